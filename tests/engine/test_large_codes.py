"""Codes of more than 64 numbers: regions have low-rank factors, and every later job takes these.

A code is a place in the analytic square, turned into 80 numbers. All of them vary. Decoding drops what does
not lie in the plane of the square.
"""

import json
import shutil

import numpy as np
import pytest

SIZE = 80
CONFIG = {"max_seeds": 600, "shard_seeds": 300}


@pytest.fixture(scope="module")
def files(graphs):
    turned = np.linalg.qr(np.random.default_rng(5).standard_normal((SIZE, 2)))[0].T
    matrix = (graphs.basis @ turned).astype(np.float32)
    return {
        "encoder.onnx": graphs.linear(matrix, np.zeros(SIZE), outputs=("mu", "logvar")),
        "decoder.onnx": graphs.decoder(matrix),
    }


@pytest.fixture(scope="module")
def audited(shared_jobs, files):
    folder = shared_jobs.make(name="audit", files=files, config=CONFIG)
    return folder, shared_jobs.do(folder)


def arrays(folder) -> dict[str, np.ndarray]:
    with np.load(folder / "output/regions.npz") as file:
        return dict(file)


def follow_up(make_job, audit, kind, files, config):
    """Write a job on the regions of an audit."""
    folder = make_job(kind, name=kind, files=files, config=config)
    shutil.copy(audit / "output/regions.npz", folder / "inputs/regions.npz")
    chunks = sorted((audit / "output/chunks").iterdir())
    for chunk in chunks:
        shutil.copy(chunk, folder / "inputs" / chunk.name)
    document = json.loads((folder / "job.json").read_text())
    document["inputs"]["regions"] = {"file": "inputs/regions.npz"}
    if kind == "split":
        document["inputs"]["misclassifications"] = {"files": [f"inputs/{chunk.name}" for chunk in chunks]}
    (folder / "job.json").write_text(json.dumps(document))
    return folder


def test_an_audit_writes_factors(audited):
    folder, result = audited
    file, count = arrays(folder), len(result["regions"])
    assert count > 0
    assert file["axes"].shape[:2] == file["noise"].shape == (count, SIZE)
    assert file["axes"].shape[2] <= 64
    assert "covariances" not in file
    assert all(region["misclassification_rate"]["lower"] > 0.5 for region in result["regions"])


def test_a_correction_on_its_regions_repairs_them(audited, make_job, do_job, files):
    folder, result = audited
    labels = [{"region": region["index"], "label": 1} for region in result["regions"]]
    config = {"labels": labels, "lambdas": [1.0], "samples_per_region": 40}
    corrected = do_job(follow_up(make_job, folder, "correct", files, config))
    (chosen,) = [point for point in corrected["curve"] if point["chosen"]]
    assert corrected["baseline"]["region_accuracy"] < 0.3
    assert chosen["region_accuracy"] > 0.9


def test_a_split_leaves_them_as_they_were(audited, make_job, do_job, files):
    folder, result = audited
    largest = max(result["regions"], key=lambda region: region["size"])["index"]
    split = follow_up(make_job, folder, "split", files, {"regions": [largest], "audit": CONFIG})
    parts = do_job(split)["regions"]
    before, after = arrays(folder), arrays(split)
    count, _, axes = before["axes"].shape
    assert len(parts) > 0
    assert len(after["axes"]) == count + len(parts)
    np.testing.assert_array_equal(after["axes"][:count, :, :axes], before["axes"])
    np.testing.assert_array_equal(after["noise"][:count], before["noise"])
