"""The engine as a program: its lines, its exit status, its limits, and how a killed job resumes."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from defuse_engine.configs import AuditConfig
from defuse_engine.job_folder import limits

MANY_SHARDS = {
    "shard_seeds": 40,
    "candidates_per_seed": 24,
    "max_seeds": 0,
    "max_components": 5,
    "patience_shards": -1,
}
LONG_SEARCH = {**MANY_SHARDS, "candidates_per_seed": 1000}


def outputs(folder: Path) -> dict[str, bytes]:
    output = folder / "output"
    return {str(path.relative_to(output)): path.read_bytes() for path in output.rglob("*") if path.is_file()}


CONFIG = {"max_seeds": 900, "shard_seeds": 400}


@pytest.fixture(scope="module")
def few_items(graphs):
    """Files of a job whose data is so small that its readers train for as few steps as they ever do."""
    return {"dataset.npz": graphs.dataset((1200, 300, 300))}


@pytest.fixture(scope="module")
def ran(shared_jobs, run_engine, few_items):
    """An audit as a program: its folder, its run, and its result."""
    folder = shared_jobs.make(files=few_items, config=CONFIG)
    run = run_engine(folder)
    assert run.returncode == 0, run.stderr
    return folder, run, json.loads((folder / "output/result.json").read_text())


def test_an_audit_goes_through_its_stages_in_order(ran):
    _, run, _ = ran
    stages = list(dict.fromkeys(line["stage"] for line in run.events("progress")))
    assert stages == ["preflight", "neighbourhood", "identify", "distill"]
    assert all(line["device"] == "cpu" for line in run.events("progress"))


def test_the_last_line_names_the_result(ran):
    _, run, _ = ran
    assert run.lines[-1] == {"event": "result", "file": "output/result.json"}


def test_a_result_holds_every_setting(ran):
    _, _, result = ran
    assert result["config"] == AuditConfig(**CONFIG).to_json()


def test_chunks_are_told_as_they_are_written_and_add_up_to_the_result(ran):
    folder, run, result = ran
    chunks = run.events("chunk")
    assert [chunk["shard"] for chunk in chunks] == [0, 1, 2]
    assert all((folder / chunk["file"]).is_file() for chunk in chunks)
    assert result["shards"] == 3
    assert result["seeds"] > 700
    assert result["candidates"] == sum(chunk["candidates"] for chunk in chunks)
    assert result["misclassifications"] == sum(chunk["records"] for chunk in chunks)


def test_a_job_killed_in_its_search_resumes_to_the_same_bytes(make_job, run_engine, few_items):
    whole = make_job(name="whole", files=few_items, config=MANY_SHARDS)
    assert run_engine(whole).returncode == 0

    killed = make_job(name="killed", files=few_items, config=MANY_SHARDS)
    done = kill_after_chunk(killed, 3)
    assert not (killed / "output/result.json").exists()

    resumed = make_job(name="resumed", files=few_items, config=MANY_SHARDS)
    shutil.copytree(killed / "output/chunks", resumed / "output/chunks", ignore=shutil.ignore_patterns(".*"))
    present = len(list((resumed / "output/chunks").iterdir()))
    run = run_engine(resumed)
    assert run.returncode == 0, run.stderr
    assert present >= done
    assert [chunk["shard"] for chunk in run.events("chunk")] == list(range(present, 30))
    assert outputs(resumed) == outputs(whole)


def kill_after_chunk(folder: Path, shard: int) -> int:
    with subprocess.Popen(
        [sys.executable, "-m", "defuse_engine", str(folder)], stdout=subprocess.PIPE, text=True
    ) as engine:
        assert engine.stdout is not None
        for line in engine.stdout:
            if json.loads(line).get("shard") == shard:
                engine.kill()
                break
    assert engine.returncode == -signal.SIGKILL
    return shard + 1


@pytest.mark.parametrize("content", [b"half", b"PK\x03\x04 cut off"])
def test_a_chunk_that_is_none_is_refused(make_job, run_engine, few_items, content):
    folder = make_job(files=few_items, config={"max_seeds": 900})
    (folder / "output/chunks").mkdir(parents=True)
    (folder / "output/chunks/misclassifications-00000.npz").write_bytes(content)
    run = run_engine(folder)
    assert run.returncode == 3
    assert run.events("error")[0]["reason"] == "JOB_INVALID"


def test_an_expected_failure_is_one_line_and_exit_3(make_job, run_engine):
    run = run_engine(make_job(files={"classifier.onnx": b"no model"}))
    assert run.returncode == 3
    (error,) = run.events("error")
    assert error["reason"] == "MODEL_NOT_ONNX"
    assert error == run.lines[-1]
    assert set(error) == {"event", "reason", "message", "figures"}


def test_a_folder_without_a_job_is_an_expected_failure(tmp_path, run_engine):
    run = run_engine(tmp_path)
    assert run.returncode == 3
    assert run.events("error")[0]["reason"] == "JOB_INVALID"


def test_memory_beyond_the_limit_is_an_expected_failure(make_job, run_engine):
    # 2 GiB are always granted for the imports; this file of a few kB unfolds to 3 GiB.
    folder = make_job("inspect_dataset", limits={"memory_bytes": 1 << 20})
    write_sparse_images(folder / "inputs/dataset.npz", size_bytes=3 << 30)
    run = run_engine(folder)
    assert run.returncode == 3, run.stderr
    assert run.events("error")[0]["reason"] == "LIMIT_EXCEEDED"


def write_sparse_images(path: Path, size_bytes: int) -> None:
    """Write a small file whose images would take `size_bytes` in memory."""
    import zipfile

    import numpy as np

    with np.load(path) as file:
        arrays = dict(file)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                if name != "x_train":
                    np.lib.format.write_array(stream, values)
                    continue
                header = {"descr": "|u1", "fortran_order": False, "shape": (size_bytes // 6, 1, 2, 3)}
                np.lib.format.write_array_header_1_0(stream, header)
                # The rest may be missing: memory for all of it is asked for first.
                stream.write(bytes(1 << 16))


def test_cpu_time_beyond_the_limit_is_an_expected_failure(make_job, run_engine):
    run = run_engine(make_job(limits={"cpu_s": 1}, config=LONG_SEARCH))
    assert run.returncode == 3, run.stderr
    assert run.events("error")[0]["reason"] == "LIMIT_EXCEEDED"


def test_a_file_beyond_the_limit_is_an_expected_failure(make_job, run_engine, few_items):
    folder = make_job(files=few_items, limits={"file_size_bytes": 1000}, config={"max_seeds": 900})
    run = run_engine(folder)
    assert run.returncode == 3, run.stderr
    assert run.events("error")[0]["reason"] == "LIMIT_EXCEEDED"


def test_limits_are_set_before_torch_is_imported():
    code = (
        "import sys, defuse_engine.__main__; sys.exit('torch' in sys.modules or 'onnxruntime' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert limits.IMPORTS_ALLOWANCE_BYTES == 2 << 30
