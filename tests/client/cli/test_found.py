"""`defuse list`, `defuse show` and `defuse delete`."""

import os
import pty
import subprocess

import grpc
import pytest
from defuse.messages import (
    Artifact,
    Audit,
    Bug,
    Classifier,
    Correction,
    Dataset,
    Evaluation,
    Vae,
    VaeTraining,
)
from defuse.v1.audit_service_pb2 import ListAuditsResponse
from defuse.v1.correction_service_pb2 import ListCorrectionsResponse
from defuse.v1.promotion_service_pb2 import ListEvaluationsResponse
from defuse.v1.registry_service_pb2 import (
    DeleteClassifierResponse,
    ListClassifiersResponse,
    ListDatasetsResponse,
    ListVaesResponse,
    ListVaeTrainingsResponse,
)

from tests.client.fake_server import Refusal

NAMES = {
    "classifiers": "classifiers/c",
    "vaes": "vaes/v",
    "datasets": "datasets/d",
    "audits": "audits/a",
    "trainings": "vaeTrainings/t",
    "corrections": "corrections/k",
    "evaluations": "evaluations/e",
}


@pytest.fixture
def everything(server):
    """A corrected classifier, and all that led to it."""
    lineage = {"parent": "classifiers/c", "correction": "corrections/k", "audit": "audits/a"}
    first = Classifier(
        name="classifiers/c", display_name="Signs [v1]", state=2, artifact="artifacts/abc1", class_count=43
    )
    corrected = Classifier(name="classifiers/new", state=2, artifact="artifacts/abd2", lineage=lineage)
    held = {
        "Classifier": (first, corrected),
        "Vae": (Vae(name="vaes/v", state=2, training="vaeTrainings/t", encoder_artifact="artifacts/ee"),),
        "Dataset": (Dataset(name="datasets/d", display_name="Signs", state=2, artifact="artifacts/dd"),),
        "Audit": (
            Audit(
                name="audits/a",
                state=3,
                classifier="classifiers/c",
                vae="vaes/v",
                dataset="datasets/d",
                misclassification_count=1234,
            ),
        ),
        "VaeTraining": (
            VaeTraining(
                name="vaeTrainings/t", state=3, classifier="classifiers/c", dataset="datasets/d", vae="vaes/v"
            ),
        ),
        "Correction": (
            Correction(
                name="corrections/k", state=3, audit="audits/a", corrected_classifier="classifiers/new"
            ),
        ),
        "Evaluation": (
            Evaluation(
                name="evaluations/e",
                state=3,
                baseline="classifiers/c",
                candidate="classifiers/new",
                audit="audits/a",
                candidate_sha256="abd2",
                verdict=1,
            ),
        ),
    }
    answers = {
        "Registry/Classifier": (ListClassifiersResponse, "classifiers"),
        "Registry/Vae": (ListVaesResponse, "vaes"),
        "Registry/Dataset": (ListDatasetsResponse, "datasets"),
        "Registry/VaeTraining": (ListVaeTrainingsResponse, "vae_trainings"),
        "Audit/Audit": (ListAuditsResponse, "audits"),
        "Correction/Correction": (ListCorrectionsResponse, "corrections"),
        "Promotion/Evaluation": (ListEvaluationsResponse, "evaluations"),
    }
    for what, (response, field) in answers.items():
        service, kind = what.split("/")
        by_name = {one.name: one for one in held[kind]}
        newest_first = list(reversed(held[kind]))
        server.on(f"{service}Service/List{kind}s", response(**{field: newest_first}))
        server.on(f"{service}Service/Get{kind}", lambda request, by_name=by_name: by_name[request.name])
    return held


def names(ran):
    """The first words of the rows of a table."""
    return [line.split()[0] for line in ran.out.splitlines()[1:]]


@pytest.mark.parametrize(("kind", "name"), NAMES.items())
def test_each_kind_is_listed_and_shown(command, everything, kind, name):
    listed, shown = command("list", kind), command("show", name)
    assert name in names(listed)
    assert (shown.code, name in shown.out) == (0, True)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("classifiers",), ["classifiers/new", "classifiers/c"]),
        (("classifiers", "--limit", "1"), ["classifiers/new"]),
        (("classifiers", "--name", "signs [V"), ["classifiers/c"]),
        (("classifiers", "--digest", "ABD"), ["classifiers/new"]),
        (("classifiers", "--digest", "sha256:abc1"), ["classifiers/c"]),
        (("classifiers", "--parent", "audits/a"), ["classifiers/new"]),
        (("vaes", "--digest", "ee"), ["vaes/v"]),
        (("audits", "--parent", "datasets/d"), ["audits/a"]),
        (("evaluations", "--parent", "classifiers/new"), ["evaluations/e"]),
        (("evaluations", "--digest", "abd2"), ["evaluations/e"]),
        (("trainings", "--parent", "classifiers/new"), []),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_list_can_be_narrowed(command, everything, options, found):
    ran = command("list", *options)
    assert ran.code == 0
    assert names(ran) == found


def test_a_list_says_if_nothing_matches(command, everything):
    assert command("list", "audits", "--name", "nightly").out == "There are no such audits.\n"


def test_a_state_reaches_the_server(command, server, everything):
    command("list", "classifiers", "--state", "ready")
    assert server.asked("RegistryService/ListClassifiers")[0].state == 2


def test_a_list_is_one_document_of_json(command, everything):
    (document,) = command("list", "trainings", "--json").json
    assert [training["vae"] for training in document["vae_trainings"]] == ["vaes/v"]


def test_brackets_in_a_display_name_are_shown(command, everything):
    assert "Signs [v1]" in command("list", "classifiers").out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("list", "audits", "--digest", "ab"), "--parent"),
        (("list", "datasets", "--parent", "audits/a"), "datasets"),
        (("list", "audits", "--parent", "a"), "classifiers/ID"),
        (("list", "classifiers", "--state", "running"), "ready"),
        (("list", "models"), "classifiers"),
        (("show", "a"), "classifiers/ID"),
        (("delete", "audits/a/bugs/1", "--yes"), "classifiers/ID"),
        (("delete", "classifiers/c"), "--yes"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_what_can_not_be_asked_is_wrong_usage(command, server, everything, arguments, told):
    ran = command(*arguments)
    assert (ran.code, told in ran.err) == (64, True)
    assert not server.asked("RegistryService/DeleteClassifier")


def test_bugs_and_artifacts_are_shown_too(command, server):
    server.on("AuditService/GetBug", Bug(name="audits/a/bugs/3", seed_label=1))
    server.on("AuditService/GetAudit", Audit(name="audits/a", dataset="datasets/d"))
    server.on("RegistryService/GetDataset", Dataset(class_names=["a cat", "a dog"]))
    server.on("ArtifactService/GetArtifact", lambda asked: Artifact(name=asked.name, size_bytes=12))
    (row,) = command("show", "audits/a/bugs/3").out.splitlines()[1:]
    assert "audits/a/bugs/3" in row
    assert "1 a dog" in row
    assert "12 bytes" in command("show", "artifacts/abc").out


def test_the_lineage_is_drawn_both_ways(command, everything):
    ran = command("show", "corrections/k", "--lineage")
    drawn = [line.lstrip("│├└─ ") for line in ran.out.splitlines()]
    assert drawn == [
        "corrections/k  SUCCEEDED",
        "made of",
        "audits/a  SUCCEEDED",
        "classifiers/c  READY  Signs [v1]",
        "vaes/v  READY",
        "vaeTrainings/t  SUCCEEDED",
        "classifiers/c  (above)",
        "datasets/d  READY  Signs",
        "datasets/d  (above)",
        "went into",
        "classifiers/new  READY",
        "evaluations/e  SUCCEEDED  PASS",
    ]
    depths = [len(line) - len(line.lstrip("│├└─ ")) for line in ran.out.splitlines()]
    assert depths == [0, 4, 8, 12, 12, 16, 20, 20, 12, 4, 8, 12]


def test_the_lineage_goes_on_beyond_a_deleted_correction(command, server, everything):
    server.on("CorrectionService/ListCorrections", ListCorrectionsResponse())
    server.on("CorrectionService/GetCorrection", Refusal(grpc.StatusCode.NOT_FOUND))
    (top,) = command("show", "classifiers/new", "--lineage", "--json").json
    assert [(node["name"], node["state"]) for node in top["made_of"]] == [
        ("corrections/k", "DELETED"),
        ("audits/a", "SUCCEEDED"),
    ]
    (top,) = command("show", "audits/a", "--lineage", "--json").json
    assert [node["name"] for node in top["went_into"]] == ["classifiers/new", "evaluations/e"]


def test_the_lineage_is_json_too(command, everything):
    (top,) = command("show", "classifiers/new", "--lineage", "--json").json
    (correction,) = top["made_of"]
    assert [node["name"] for node in correction["made_of"]] == ["audits/a"]
    assert top["went_into"] == [
        {
            "name": "evaluations/e",
            "state": "SUCCEEDED",
            "display_name": "",
            "verdict": "PASS",
            "went_into": [],
        }
    ]


def test_with_yes_it_is_deleted_at_once(command, server, everything):
    server.on("RegistryService/DeleteClassifier", DeleteClassifierResponse())
    ran = command("delete", "classifiers/c", "--yes")
    assert (ran.code, ran.out) == (0, "classifiers/c was deleted.\n")
    assert [request.name for request in server.asked("RegistryService/DeleteClassifier")] == ["classifiers/c"]


@pytest.mark.parametrize(("answer", "deleted"), [("y\n", ["classifiers/c"]), ("n\n", []), ("\n", [])])
def test_at_a_terminal_it_asks_first(start_process, server, everything, answer, deleted):
    server.on("RegistryService/DeleteClassifier", DeleteClassifierResponse())
    ours, theirs = pty.openpty()
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = start_process("delete", "classifiers/c", stdin=theirs, **options)
    os.write(ours, answer.encode())
    _, err = process.communicate(timeout=60)
    os.close(theirs)
    os.close(ours)
    assert "Delete classifiers/c (READY, Signs [v1])?" in err
    assert [request.name for request in server.asked("RegistryService/DeleteClassifier")] == deleted
    assert ("Nothing was deleted." in err) == (not deleted)
