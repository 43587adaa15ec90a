"""`defuse folder gate` against a real service: what it promotes, what it leaves, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import defuse
import pytest
from defuse.model_registries.errors import AliasMoved, VersionChanged
from defuse.model_registries.folder import FolderRegistry
from defuse.model_registries.gate import EVIDENCE_FILES, gate
from defuse.model_registries.request import GateRequest

from tests.e2e.gate_materials import POLICY, Materials, Ran, run

pytestmark = pytest.mark.xdist_group("gate")


@pytest.fixture
def materials(gate_materials: Materials) -> Materials:
    return gate_materials


@pytest.fixture
def place(folder_registry: Path) -> Path:
    return folder_registry


Gate = Callable[..., Ran]


@pytest.fixture
def gate_version(materials: Materials, place: Path) -> Gate:
    def gated(version: str, *options: str, address: str = materials.address) -> Ran:
        where = ["--folder", str(place), "--model", "digits", "--alias", "champion"]
        how = ["--version", version, "--policy", str(materials.policy), *options]
        return run(address, "--timeout-s", "5", "folder", "gate", *where, *how)

    return gated


def champion(place: Path) -> str:
    return (place / "digits" / "aliases" / "champion").read_text().strip()


def tags(place: Path, version: str) -> dict[str, str]:
    path = place / "digits" / version / "tags.json"
    return json.loads(path.read_text()) if path.exists() else {}


def test_a_better_version_is_promoted_and_carries_its_evidence(
    gate_version: Gate, place: Path, materials: Materials
) -> None:
    ran = gate_version("2", "--audit", materials.labeled, "--json")
    assert ran.code == 0, ran.err
    evaluation = ran.document
    assert champion(place) == "2"
    assert tags(place, "2") == {
        "defuse.verdict": "PASS",
        "defuse.evaluation": evaluation["name"],
        "defuse.candidate_sha256": evaluation["candidate_sha256"],
        "defuse.policy_sha256": evaluation["policy_sha256"],
    }

    attached = place / "digits" / "2" / "defuse" / evaluation["name"].removeprefix("evaluations/")
    assert {file.name for file in attached.iterdir()} == set(EVIDENCE_FILES.values())

    again = gate_version("2", "--audit", materials.labeled, "--json")
    assert (again.code, again.document["name"]) == (0, evaluation["name"])


def test_a_worse_version_is_left_where_it_is(gate_version: Gate, place: Path, materials: Materials) -> None:
    ran = gate_version("3", "--audit", materials.labeled)
    assert ran.code == 1, ran.err
    assert champion(place) == "1"
    assert tags(place, "3")["defuse.verdict"] == "FAIL"
    assert "champion  stays at version 1" in ran.out


def test_without_an_audit_the_newest_of_the_baseline_over_dataset_and_vae_counts(
    gate_version: Gate, place: Path, materials: Materials
) -> None:
    ran = gate_version("2", "--dataset", materials.dataset, "--vae", materials.vae, "--json")
    assert (ran.code, ran.document["audit"]) == (0, materials.labeled), ran.err
    assert champion(place) == "2"


def test_without_labels_nothing_is_promoted(gate_version: Gate, place: Path, materials: Materials) -> None:
    ran = gate_version("2", "--audit", materials.unlabeled)
    assert ran.code == 2, ran.err
    assert champion(place) == "1"
    assert tags(place, "2")["defuse.verdict"] == "INCONCLUSIVE"


def test_when_the_service_is_down_nothing_is_written(
    gate_version: Gate, place: Path, materials: Materials
) -> None:
    ran = gate_version("2", "--audit", materials.labeled, address="127.0.0.1:1")
    assert ran.code == 69, ran.err
    assert (champion(place), tags(place, "2")) == ("1", {})


def test_an_alias_that_nobody_bears_is_an_error_with_a_remedy(
    gate_version: Gate, place: Path, materials: Materials
) -> None:
    ran = gate_version("2", "--alias", "challenger", "--audit", materials.labeled)
    assert ran.code == 64
    assert "echo VERSION >" in ran.err


def test_a_version_that_bears_the_alias_without_a_verdict_is_refused(
    gate_version: Gate, materials: Materials
) -> None:
    ran = gate_version("1", "--audit", materials.labeled)
    assert ran.code == 64
    assert "it already points to the candidate, version 1," in ran.err


def test_an_audit_of_another_classifier_is_refused(
    gate_version: Gate, place: Path, materials: Materials
) -> None:
    (place / "digits" / "aliases" / "champion").write_text("3")
    ran = gate_version("2", "--audit", materials.labeled)
    assert ran.code == 64
    assert "expected an audit of digits version 3, to which champion points" in ran.err


class Meddled(FolderRegistry):
    """The real registry, where something happens between the judgement and its end."""

    def __init__(self, place: Path, meddle: Callable[[], None]) -> None:
        super().__init__(place)
        self._meddle = meddle

    def attach(self, *arguments, **options) -> None:
        super().attach(*arguments, **options)
        self._meddle()


@pytest.fixture
def client(materials: Materials) -> Iterator[defuse.Client]:
    with defuse.Client(materials.address) as client:
        yield client


@pytest.mark.parametrize("version", ["1", "2"])
def test_bytes_that_change_before_the_move_promote_nothing(
    client: defuse.Client, place: Path, materials: Materials, version: str
) -> None:
    registry = Meddled(
        place, lambda: (place / "digits" / version / "model.onnx").write_bytes(b"others") and None
    )
    request = GateRequest("digits", "2", "champion", materials.labeled, policy=POLICY)
    with pytest.raises(VersionChanged, match=f"version {version} of digits changed while it was evaluated"):
        client.run_flow(gate(registry, request))
    assert champion(place) == "1"


def test_bytes_that_change_during_the_evaluation_are_not_even_tagged(
    client: defuse.Client, place: Path, materials: Materials
) -> None:
    registry, path = FolderRegistry(place), place / "digits" / "2" / "model.onnx"
    request = GateRequest("digits", "2", "champion", materials.labeled, policy=POLICY)
    with pytest.raises(VersionChanged):
        client.run_flow(gate(registry, request, on_update=lambda job: path.write_bytes(b"others") and None))
    assert (champion(place), tags(place, "2")) == ("1", {})


def test_an_alias_that_moves_meanwhile_stays_where_it_went(
    client: defuse.Client, place: Path, materials: Materials
) -> None:
    registry = Meddled(place, lambda: (place / "digits" / "aliases" / "champion").write_text("3") and None)
    request = GateRequest("digits", "2", "champion", materials.labeled, policy=POLICY)
    with pytest.raises(AliasMoved):
        client.run_flow(gate(registry, request))
    assert champion(place) == "3"


def test_the_same_bytes_are_registered_once(client: defuse.Client, place: Path, materials: Materials) -> None:
    def count() -> int:
        return sum(1 for _ in client.list_classifiers())

    request = GateRequest("digits", "3", "champion", materials.labeled, policy=POLICY)
    client.run_flow(gate(FolderRegistry(place), request))
    before = count()
    client.run_flow(gate(FolderRegistry(place), request))
    assert count() == before
