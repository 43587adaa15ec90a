"""Which limits a job has, by its kind and by the size of its files."""

import pytest
from defuse_server.host.settings import GIBIBYTE, Settings
from defuse_server.worker.job_limits import limits_of

SETTINGS = Settings(threads=2, inspection_s=30, batch_s=500, job_cpu_s=7000)


@pytest.fixture
def file(tmp_path):
    def make(name, size_bytes=1000):
        path = tmp_path / name
        with path.open("wb") as stream:
            stream.truncate(size_bytes)
        return path

    return make


def test_a_job_has_the_limits_of_jobs(file):
    limits = limits_of("audit", [file("classifier.onnx"), file("dataset.npz")], SETTINGS).to_json()
    assert limits == {
        "memory_bytes": 8 * GIBIBYTE,
        "batch_s": 500,
        "cpu_s": 7000,
        "file_size_bytes": 8 * GIBIBYTE,
        "open_files": 256,
    }


def test_an_inspection_of_a_model_has_limits_of_its_own(file):
    limits = limits_of("inspect_classifier", [file("classifier.onnx")], SETTINGS)
    assert (limits.wall_s, limits.batch_s, limits.cpu_s) == (30, 30, 60)
    assert limits.memory_bytes == 2 * GIBIBYTE + 12_000
    assert limits.settings["memory_bytes"] == "DEFUSE_INSPECTION_MEMORY_BYTES"


def test_a_large_model_gets_more_but_no_more_memory_than_a_job(file):
    limits = limits_of("inspect_vae", [file("encoder.onnx", GIBIBYTE), file("decoder.onnx")], SETTINGS)
    assert limits.wall_s == 60
    assert limits.memory_bytes == 8 * GIBIBYTE
    assert limits.settings["memory_bytes"] == "DEFUSE_JOB_MEMORY_BYTES"


def test_an_inspection_that_reads_a_dataset_may_use_what_a_job_may(file):
    limits = limits_of("inspect_dataset", [file("dataset.npz")], SETTINGS)
    assert (limits.wall_s, limits.memory_bytes) == (300, 8 * GIBIBYTE)
    measured = limits_of("inspect_classifier", [file("classifier.onnx"), file("dataset.npz")], SETTINGS)
    assert (measured.wall_s, measured.batch_s) == (300, 30)
