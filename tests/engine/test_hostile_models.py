"""Models that never answer, or want more memory than there is: the job ends at its limit, and says why."""

import json

import numpy as np
import pytest

from tests.models import handmade_classifiers


@pytest.fixture(scope="module")
def endless(graphs):
    """The analytic classifier, which goes round a loop for ever if a batch has more items than `beyond`."""

    def make(beyond=0):
        matrix = np.stack([np.zeros(6), 20 * graphs.basis[:, 0]], axis=1)
        return handmade_classifiers.endless(matrix, np.array([0.0, -20 * graphs.boundary]), beyond)

    return make


def refused(run):
    assert run.returncode == 3, run.stderr
    (error,) = run.events("error")
    assert error["reason"] == "LIMIT_EXCEEDED"
    return error


def test_an_inspection_of_a_model_that_never_answers_ends_at_its_limit(endless, make_job, run_engine):
    folder = make_job("inspect_classifier", files={"classifier.onnx": endless()}, limits={"wall_s": 8})
    error = refused(run_engine(folder))
    assert error["message"].startswith(
        "the job was not done within 8 s: the classifier did not answer a batch of 1 in its last"
    )
    assert "without unbounded loops" in error["message"]
    assert error["figures"] == {"wall_s": 8}


def test_an_audit_whose_model_hangs_in_one_batch_ends_clearly(endless, make_job, run_engine, graphs):
    """It answers batches as small as an inspection's, which therefore lets it pass."""
    files = {"classifier.onnx": endless(beyond=32), "dataset.npz": graphs.dataset((1200, 300, 300))}
    inspected = run_engine(make_job("inspect_classifier", name="inspected", files=files))
    assert inspected.returncode == 0, inspected.stderr
    error = refused(run_engine(make_job(files=files, limits={"batch_s": 2})))
    assert error["message"].startswith("the classifier did not answer a batch of 256 within 2 s")
    assert error["figures"] == {"batch_s": 2, "items": 256}


def test_a_limit_of_a_batch_does_not_end_a_job_whose_batches_are_answered(make_job, run_engine):
    run = run_engine(make_job("inspect_classifier", limits={"batch_s": 1, "wall_s": 60}))
    assert run.returncode == 0, run.stderr


def test_cpu_time_ends_a_model_that_never_gives_control_back(endless, make_job, run_engine):
    folder = make_job("inspect_classifier", files={"classifier.onnx": endless()}, limits={"cpu_s": 8})
    assert "8 s of CPU time" in refused(run_engine(folder))["message"]


def test_a_constant_beyond_all_memory_is_told_of_without_advice_on_batches(make_job, run_engine):
    folder = make_job(
        "inspect_classifier",
        files={"classifier.onnx": handmade_classifiers.boundless()},
        limits={"memory_bytes": 2 << 30},
    )
    error = refused(run_engine(folder))
    assert error["message"] == (
        "the classifier needs more memory to answer a batch of 1 than the 2147483648 bytes granted: "
        "use a smaller model or dataset, or grant more"
    )
    assert json.dumps(error["figures"]) == '{"memory_bytes": 2147483648}'
