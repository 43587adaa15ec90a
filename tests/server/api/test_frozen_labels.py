"""What a gate stands on while people go on labeling and mixed bugs are split."""

import uuid
from collections.abc import Sequence

import pytest
from defuse.v1.audit_service_pb2 import Audit, Bug, Region
from defuse.v1.correction_service_pb2 import CreateCorrectionRequest
from defuse.v1.label_service_pb2 import LabelAnswer, LabelVerdict
from defuse.v1.promotion_service_pb2 import (
    LABEL_CHOICE_FROZEN,
    LABEL_CHOICE_LATEST,
    CreateEvaluationRequest,
    Evaluation,
)
from defuse.v1.registry_service_pb2 import Lineage
from defuse_server import redis_keys
from defuse_server.findings.region_splits import RegionSplitOutcome
from defuse_server.names import FIRST_BUG, region_split_name

MIXED = LabelAnswer(verdict=LabelVerdict.LABEL_VERDICT_MIXED)
SEEDS_LABEL = LabelAnswer(label=0)


class Labeled:
    """An audit of four regions in three bugs, and what happens to its labels."""

    def __init__(self, records, audit: Audit) -> None:
        self.records, self.backend, self.audit = records, records.backend, audit

    async def publish(self, number: int, cells: Sequence[int], **fields) -> None:
        name = f"{self.audit.name}/regions/"
        bug = Bug(
            name=f"{self.audit.name}/bugs/{number}",
            cells=[f"{name}{cell}" for cell in cells],
            shown_cells=[f"{name}{cell}" for cell in cells],
            predicted_class=1,
            **fields,
        )
        key = redis_keys.bugs(self.audit.name)
        await self.backend.redis.hset(key, str(number), bug.SerializeToString())

    async def answer(self, number: int, answer: LabelAnswer) -> None:
        for task in await self.backend.labels.lease(self.audit.name, str(uuid.uuid4()), 100, 60.0):
            if task.region == f"{self.audit.name}/bugs/{number}":
                await self.backend.labels.submit(task.region, task.lease_token, answer, "")
            else:
                await self.backend.labels.release(task.region, task.lease_token)

    async def split(self, number: int, parts: Sequence[int] = (), reason: str = "", region: int = 0) -> None:
        """Split a bug as a worker does, into bugs of one cell each; the last may have a new `region`."""
        await self.backend.region_splits.begin()
        attempt = await self.records.attempt(region_split_name(self.audit.name))
        assert await self.backend.region_splits.take(attempt.name, attempt.number) == [FIRST_BUG + number]
        outcome = RegionSplitOutcome(tuple(FIRST_BUG + part for part in parts), reason)
        name, file = self.audit.name, await self.records.artifact(f"with {region}".encode())
        new = Region(name=f"{name}/regions/{region}", predicted_class=1, regions_artifact=file)
        bugs = [
            Bug(
                name=f"{name}/bugs/{part}",
                parent=f"{name}/bugs/{number}",
                cells=[f"{name}/regions/{region if region and part == parts[-1] else place}"],
                predicted_class=1,
            )
            for place, part in enumerate(parts)
        ]
        await self.backend.region_splits.publish(
            attempt.name,
            attempt.number,
            {FIRST_BUG + number: outcome},
            [new] if region else [],
            file if region else "",
            bugs,
        )
        await self.backend.labels.open(name, [FIRST_BUG + part for part in parts], 1)
        await attempt.succeed(await self.backend.resources.get(attempt.name))


@pytest.fixture
async def labeled(records) -> Labeled:
    """Bug 0 has regions 0 and 1 and no answer yet, bugs 1 and 2 have one region each; bug 2 has its label."""
    labeled = Labeled(records, await records.audit(regions=4))
    for number, cells in enumerate([(0, 1), (2,), (3,)]):
        await labeled.publish(number, cells)
    await records.backend.redis.delete(
        *(
            key(labeled.audit.name)
            for key in (redis_keys.label_tasks, redis_keys.label_states, redis_keys.label_places)
        )
    )
    await records.backend.labels.open(labeled.audit.name, range(FIRST_BUG, FIRST_BUG + 3), 1)
    await labeled.answer(2, SEEDS_LABEL)
    return labeled


@pytest.fixture
def evaluate(stubs, labeled):
    """Ask for an evaluation of the audited classifier, or of another candidate."""

    async def ask(**fields) -> Evaluation:
        audit = labeled.audit
        values = {"baseline": audit.classifier, "candidate": audit.classifier, "audit": audit.name, **fields}
        return await stubs.promotions.CreateEvaluation(
            CreateEvaluationRequest(request_id=str(uuid.uuid4()), **values)
        )

    return ask


@pytest.fixture
async def corrected(stubs, labeled, records) -> dict[str, str]:
    """A candidate that comes from a correction of the audit, as a field of a request."""
    request = CreateCorrectionRequest(request_id=str(uuid.uuid4()), audit=labeled.audit.name)
    correction = await stubs.corrections.CreateCorrection(request)
    lineage = Lineage(
        correction=correction.name,
        audit=correction.audit,
        label_set_digest=correction.label_set_digest,
    )
    candidate = await records.classifier(artifact=await records.artifact(b"corrected"), lineage=lineage)
    return {"candidate": candidate.name}


@pytest.mark.parametrize("parts", [{"parts": (3, 4)}, {"parts": (3, 4), "region": 4}])
async def test_a_split_between_two_commands_changes_no_evaluation(labeled, evaluate, parts):
    await labeled.answer(0, MIXED)
    first = await evaluate()
    await labeled.split(0, **parts)
    assert (await evaluate()).name == first.name


async def test_bugs_that_are_called_mixed_and_split_change_no_evaluation(labeled, evaluate):
    first = await evaluate()
    await labeled.answer(0, MIXED)
    await labeled.split(0, parts=(3, 4), region=4)
    assert (await evaluate()).name == first.name


async def test_an_answer_that_labels_regions_is_asked_about_anew(labeled, evaluate):
    first = await evaluate()
    await labeled.answer(1, SEEDS_LABEL)
    second = await evaluate()
    assert second.name != first.name
    assert second.labeling.labeled_region_count == first.labeling.labeled_region_count + 1


async def test_the_label_of_a_part_is_asked_about_anew_and_then_no_split_changes_it(labeled, evaluate):
    names = [(await evaluate()).name]
    await labeled.answer(0, MIXED)
    await labeled.split(0, parts=(3, 4), region=4)
    await labeled.answer(4, SEEDS_LABEL)
    names.append((await evaluate()).name)
    assert len(set(names)) == 2
    await labeled.answer(1, MIXED)
    await labeled.split(1, parts=(5, 6), region=5)
    assert (await evaluate()).name == names[-1]


async def test_what_changes_a_check_of_the_labels_is_asked_about_anew(labeled, evaluate):
    """Bug 0 stays whole, so nobody has to label it any more."""
    policy = "version: 1\nchecks: {unlabeled_regions: {max_count: 1, max_harm_share: off}}\n"
    await labeled.answer(0, MIXED)
    first = await evaluate(policy=policy)
    await labeled.split(0, reason="too few codes")
    second = await evaluate(policy=policy)
    assert (first.labeling.unlabeled_count, second.labeling.unlabeled_count) == (2, 1)
    assert second.name != first.name


async def test_an_evaluation_says_what_it_leaves_out(labeled, evaluate):
    await labeled.answer(0, MIXED)
    figures = (await evaluate()).labeling
    name = labeled.audit.name
    assert (figures.bug_count, figures.unlabeled_count, figures.splitting_count) == (3, 2, 1)
    assert list(figures.splitting) == [f"{name}/bugs/0"]
    assert set(figures.unlabeled) == {f"{name}/bugs/0", f"{name}/bugs/1"}
    assert figures.labeled_region_count == 1


async def test_a_correction_says_what_it_leaves_out(labeled, stubs):
    await labeled.answer(0, MIXED)
    request = CreateCorrectionRequest(request_id=str(uuid.uuid4()), audit=labeled.audit.name)
    figures = (await stubs.corrections.CreateCorrection(request)).labeling
    assert (figures.unlabeled_count, figures.splitting_count, figures.labeled_region_count) == (2, 1, 1)


async def test_right_after_a_correction_its_labels_are_the_latest_ones(evaluate, corrected):
    latest = await evaluate(**corrected, labels=LABEL_CHOICE_LATEST)
    assert (await evaluate(**corrected, labels=LABEL_CHOICE_FROZEN)).name == latest.name


async def test_frozen_labels_give_the_same_evaluation_whatever_people_answer(labeled, evaluate, corrected):
    first = await evaluate(**corrected, labels=LABEL_CHOICE_FROZEN)
    await labeled.answer(1, SEEDS_LABEL)
    again = await evaluate(**corrected, labels=LABEL_CHOICE_FROZEN)
    latest = await evaluate(**corrected)
    assert again.name == first.name != latest.name
    assert (first.labeling.unlabeled_count, latest.labeling.unlabeled_count) == (2, 1)


async def test_frozen_labels_bring_their_audit(labeled, evaluate, corrected):
    evaluation = await evaluate(**corrected, audit="", labels=LABEL_CHOICE_FROZEN)
    assert evaluation.audit == labeled.audit.name
    assert evaluation.label_set_digest


async def test_only_candidates_of_a_correction_have_frozen_labels(evaluate, corrected, records, refused):
    with refused() as problem:
        await evaluate(labels=LABEL_CHOICE_FROZEN)
    assert problem.reason == "RESOURCES_MISMATCHED"
    other = await records.audit(regions=1)
    with refused() as problem:
        await evaluate(**corrected, audit=other.name, labels=LABEL_CHOICE_FROZEN)
    assert problem.reason == "RESOURCES_MISMATCHED"


async def test_frozen_labels_and_a_vae_are_refused(evaluate, corrected, labeled, refused):
    over = {"audit": "", "vae": labeled.audit.vae, "dataset": labeled.audit.dataset}
    with refused() as problem:
        await evaluate(**corrected, **over, labels=LABEL_CHOICE_FROZEN)
    assert problem.fields == ("labels",)
