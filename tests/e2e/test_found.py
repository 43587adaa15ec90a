"""Everything that a real service holds is found again, and deleted, from the command line."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def defuse(address):
    def run(*arguments):
        command = [str(Path(sys.executable).with_name("defuse")), "--address", address, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    return run


@pytest.fixture(scope="module")
def pushed(defuse, models_folder):
    """Names of a dataset, a classifier, a VAE, an audit that was cancelled, and a training, too."""

    def made(*arguments):
        answer = defuse(*arguments, "--json")
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout.splitlines()[-1])["name"]

    halves = [str(models_folder / f"{half}.onnx") for half in ("encoder", "decoder")]
    classifier = ("push", "classifier", str(models_folder / "classifier.onnx"), "--name", "Stripes 1")
    names = {
        "dataset": made("push", "dataset", str(models_folder / "dataset.npz"), "--name", "Stripes"),
        "classifier": made(*classifier),
        "vae": made("push", "vae", *halves),
    }
    names["audit"] = made("audit", "start", *(f"--{kind}={name}" for kind, name in names.items()))
    inputs = (f"--dataset={names['dataset']}", f"--classifier={names['classifier']}")
    names["training"] = made("vae", "train", *inputs, "--no-wait")
    for job in ("audit", "training"):
        defuse("cancel", names[job])
        defuse("watch", names[job])
    return names


def test_what_was_pushed_is_found_by_name_digest_and_use(defuse, pushed, models_folder):
    digest = hashlib.sha256((models_folder / "classifier.onnx").read_bytes()).hexdigest()
    for options, name in (
        (("classifiers", "--name", "stripes"), pushed["classifier"]),
        (("classifiers", "--digest", digest, "--state", "ready"), pushed["classifier"]),
        (("audits", "--parent", pushed["vae"]), pushed["audit"]),
        (("trainings", "--parent", pushed["dataset"]), pushed["training"]),
    ):
        (document,) = json.loads(defuse("list", *options, "--json").stdout).values()
        assert [one["name"] for one in document] == [name]
    assert json.loads(defuse("list", "datasets", "--name", "nothing", "--json").stdout) == {"datasets": []}


def test_each_is_shown_with_what_it_went_into(defuse, pushed):
    for name in pushed.values():
        assert name in defuse("show", name).stdout
    drawn = defuse("show", pushed["dataset"], "--lineage").stdout
    assert drawn.index("went into") < drawn.index(pushed["audit"])
    assert pushed["training"] in drawn


def test_what_is_in_use_is_deleted_last(defuse, pushed):
    refused = defuse("delete", pushed["classifier"], "--yes")
    assert refused.returncode == 70
    assert "RESOURCE_IN_USE" in refused.stderr
    for kind in ("training", "audit", "vae", "classifier", "dataset"):
        deleted = defuse("delete", pushed[kind], "--yes")
        assert deleted.returncode == 0, deleted.stderr
        assert "RESOURCE_NOT_FOUND" in defuse("show", pushed[kind]).stderr
