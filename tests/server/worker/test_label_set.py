"""The labels of a correction, frozen when it is made."""

import hashlib

import pytest
from defuse.v1.audit_service_pb2 import RegionState
from defuse_server.errors import NotFound
from defuse_server.labels import label_set
from defuse_server.labels.region_label import RegionLabel

LABELED = RegionState.REGION_STATE_LABELED


def of(state: RegionState, label: int | None = None) -> RegionLabel:
    return RegionLabel(state=state, label=label, answers=1, wanted=1)


def test_the_digest_is_of_canonical_json_of_the_labeled_regions_in_order():
    labels = {
        10: of(LABELED, 7),
        2: of(LABELED, 0),
        3: of(RegionState.REGION_STATE_MIXED),
        4: of(RegionState.REGION_STATE_UNLABELED),
    }
    digest, pairs = label_set.freeze(labels)
    assert pairs == [(2, 0), (10, 7)]
    assert digest == hashlib.sha256(b"[[2,0],[10,7]]").hexdigest()


@pytest.mark.parametrize("labels", [{}, {0: of(LABELED, 3), 5: of(LABELED, 1)}])
async def test_a_job_reads_back_exactly_what_was_frozen(store, labels):
    digest, pairs = label_set.freeze(labels)
    with pytest.raises(NotFound):
        await label_set.load(store, digest)
    await label_set.keep(store, pairs)
    assert await label_set.load(store, digest) == pairs
