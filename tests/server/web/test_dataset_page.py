"""The page of a dataset, for those who run audits."""

from __future__ import annotations

import html
import uuid
from typing import Any

import pytest
from defuse.v1 import models_pb2
from defuse.v1.models_pb2 import Failure, ImageShape
from defuse.v1.registry_service_pb2 import ClassSheet, Dataset, DatasetDuplicates, DatasetSplit
from defuse.v1.registry_service_pb2 import RegistrationState as State
from defuse_server import redis_keys
from defuse_server.backend import Backend
from defuse_server.host.settings import Settings
from defuse_server.records.creation import NewResource
from pydantic import SecretStr

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def put(backend: Backend) -> Any:
    """Keeps a dataset in a state, and returns its name."""

    async def kept(state: int, **fields: Any) -> str:
        made, _ = await backend.resources.create(NewResource(Dataset(**fields), str(uuid.uuid4()), b""))
        await backend.redis.hset(redis_keys.resource(made.name), "state", state)
        return made.name

    return kept


@pytest.fixture
async def ready(put: Any, backend: Backend) -> str:
    """The name of a dataset with everything that an inspection finds."""
    return await put(
        State.REGISTRATION_STATE_READY,
        class_names=["cat", HOSTILE, "dog"],
        image_shape=ImageShape(channels=3, height=32, width=24),
        splits=[DatasetSplit(split="train", size=1234, class_counts=[1200, 30, 4])],
        value_max=255.0,
        dtype="float32",
        warnings=[models_pb2.Warning(reason="X", message=f"the values {HOSTILE} are odd")],
        class_sheet=ClassSheet(
            artifact=(await backend.store.put_bytes(b"png")).name, width=9, height=9, labels=[0, 2]
        ),
        duplicates=[
            DatasetDuplicates(
                split="test", other_split="train", size=4000, same_count=5, sample_size=2000, near_count=500
            )
        ],
    )


@pytest.mark.parametrize(
    "text",
    [
        f"The values {html.escape(HOSTILE)} are odd.",
        "1,234",
        "0 to 255",
        "32 x 24",
        "2 of 3 classes are shown",
        "5 of 4,000",
        "500 of 2,000 (25.0\N{NARROW NO-BREAK SPACE}%)",
        f'<th scope="row">{html.escape(HOSTILE)}</th><td class="number">30</td>',
    ],
)
async def test_a_datasets_page_shows_what_the_inspection_found(browse: Any, ready: str, text: str) -> None:
    assert text in (await (await browse()).get(f"/{ready}")).text


async def test_a_datasets_pictures_have_addresses(browse: Any, ready: str) -> None:
    browser = await browse()
    assert (await browser.get(f"/{ready}/classes.png")).content == b"png"
    assert (await browser.get(f"/{ready}/duplicates.png")).status_code == 404


async def test_a_dataset_that_was_rejected_says_why(browse: Any, put: Any) -> None:
    name = await put(State.REGISTRATION_STATE_REJECTED, failure=Failure(message="x_test holds NaN"))
    assert "x_test holds NaN" in (await (await browse()).get(f"/{name}")).text


async def test_a_dataset_that_waits_says_so(browse: Any, put: Any) -> None:
    name = await put(State.REGISTRATION_STATE_INSPECTING)
    assert "waits for its inspection" in (await (await browse()).get(f"/{name}")).text


@pytest.mark.parametrize("path", ["/datasets/unknown", "/datasets/00000000000000zzzz"])
async def test_there_is_no_page_of_another_dataset(browse: Any, path: str) -> None:
    assert (await (await browse()).get(path)).status_code == 404


async def test_an_audits_page_leads_to_its_dataset(browse: Any, publish: Any, backend: Backend) -> None:
    audit = await publish([3])
    dataset = (await backend.resources.get(audit)).dataset
    browser = await browse()
    assert f'href="/{dataset}"' in (await browser.get(f"/{audit}")).text
    assert (await browser.get(f"/{dataset}")).status_code == 200
    assert "warning</a>" not in (await browser.get(f"/{audit}")).text
    warned = Dataset(warnings=[models_pb2.Warning(reason="X", message="odd")]).SerializeToString()
    await backend.redis.hset(redis_keys.resource(dataset), "body", warned)
    assert f'<a href="/{dataset}">1 warning</a>' in (await browser.get(f"/{audit}")).text


class TestWithAToken:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"token": SecretStr("a-token-for-this-test")})

    @pytest.mark.parametrize("what", ["", "/classes.png", "/duplicates.png"])
    async def test_visitors_without_it_see_no_dataset(self, browse: Any, ready: str, what: str) -> None:
        answer = await (await browse()).get(f"/{ready}{what}")
        assert answer.url.path == "/sign-in"
