"""Models and data whose misclassifications are known in closed form.

Latent space is a square, z = (z0, z1) in [-2, 2]^2. Images are A z with orthonormal columns of A, reshaped to
(1, 2, 3); so the encoder A' x and the decoder A z lose nothing. The truth is `z0 > 0`; the classifier says
`z0 > 0.5`. Its bug is the stripe 0 < z0 < 0.5: label 1, predicted 0.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from onnx_graphs import graph

from defuse_engine.job_folder.lines import Lines
from defuse_engine.regions.regions_file import write_regions
from defuse_engine.search import assembly
from defuse_engine.search.witness import Witness
from defuse_engine.types import Regions

IMAGE_SHAPE = (1, 2, 3)
BASIS = np.linalg.qr(np.random.default_rng(7).standard_normal((6, 2)))[0].astype(np.float32)
BOUNDARY = 0.5


class Graphs:
    """Makers of tiny ONNX files."""

    image_shape = IMAGE_SHAPE
    basis = BASIS
    boundary = BOUNDARY

    @staticmethod
    def model(nodes, inputs, outputs, constants=None) -> bytes:
        return graph(nodes, constants or {}, inputs, outputs).SerializeToString()

    @classmethod
    def linear(cls, matrix, bias, item=IMAGE_SHAPE, batch="n", outputs=("logits",)) -> bytes:
        """Return item (flattened) @ matrix + bias; every named output is the same."""
        matrix, bias = np.asarray(matrix, np.float32), np.asarray(bias, np.float32)
        nodes = [helper.make_node("Flatten", ["x"], ["flat"])]
        nodes += [helper.make_node("Gemm", ["flat", "matrix", "bias"], [name]) for name in outputs]
        return cls.model(
            nodes,
            [("x", [batch, *item])],
            [(name, [batch, matrix.shape[1]]) for name in outputs],
            {"matrix": matrix, "bias": bias},
        )

    @classmethod
    def classifier(cls, boundary=BOUNDARY, sharpness=20.0, **options) -> bytes:
        """Return logits (0, sharpness * (z0 - boundary)) of an image."""
        matrix = np.stack([np.zeros(6), sharpness * BASIS[:, 0]], axis=1)
        return cls.linear(matrix, [0.0, -sharpness * boundary], **options)

    @classmethod
    def encoder(cls, latent_size=2, outputs=("mu", "logvar"), **options) -> bytes:
        return cls.linear(BASIS[:, :latent_size], np.zeros(latent_size), outputs=outputs, **options)

    @classmethod
    def decoder(cls, matrix=BASIS, item=IMAGE_SHAPE) -> bytes:
        latent_size = matrix.shape[1]
        nodes = [
            helper.make_node("MatMul", ["z", "matrix"], ["flat"]),
            helper.make_node("Reshape", ["flat", "shape"], ["image"]),
        ]
        constants = {"matrix": matrix.T.copy(), "shape": np.array([-1, *item], np.int64)}
        return cls.model(nodes, [("z", ["n", latent_size])], [("image", ["n", *item])], constants)

    @staticmethod
    def dataset(sizes=(3000, 400, 400)) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(3)
        arrays = {}
        for name, size in zip(("train", "validation", "test"), sizes, strict=True):
            codes = rng.uniform(-2.0, 2.0, (size, 2)).astype(np.float32)
            arrays[f"x_{name}"] = (codes @ BASIS.T).reshape(-1, *IMAGE_SHAPE)
            arrays[f"y_{name}"] = (codes[:, 0] > 0).astype(np.int64)
        return arrays


@dataclass(frozen=True)
class EngineRun:
    """What one run of `python -m defuse_engine` said."""

    returncode: int
    lines: list[dict[str, Any]]
    stderr: str

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == name]


@pytest.fixture(scope="session")
def graphs() -> type[Graphs]:
    return Graphs


@pytest.fixture
def make_job(tmp_path):
    """Write a job folder on the analytic models; `files` replaces inputs, `inputs` their entries."""

    def make(kind="audit", name="job", files=None, inputs=None, **job) -> Path:
        folder = tmp_path / name
        (folder / "inputs").mkdir(parents=True)
        contents = {
            "classifier.onnx": Graphs.classifier,
            "encoder.onnx": Graphs.encoder,
            "decoder.onnx": Graphs.decoder,
        }
        for file, content in {**contents, **(files or {})}.items():
            if file != "dataset.npz":
                (folder / "inputs" / file).write_bytes(content if isinstance(content, bytes) else content())
        np.savez(folder / "inputs/dataset.npz", **(files or {}).get("dataset.npz", Graphs.dataset()))
        entries = {
            "classifier": {"file": "inputs/classifier.onnx"},
            "vae": {"encoder": "inputs/encoder.onnx", "decoder": "inputs/decoder.onnx"},
            "dataset": {"file": "inputs/dataset.npz", "class_names": ["left", "right"]},
        }
        entries = {key: {**entry, **(inputs or {}).get(key, {})} for key, entry in entries.items()}
        if kind.startswith("inspect_"):
            entries = {key: entries[key] for key in [kind.removeprefix("inspect_")]}
        document = {"kind": kind, "seed": 1, "device": "cpu", "threads": 1, "inputs": entries, **job}
        (folder / "job.json").write_text(json.dumps(document))
        return folder

    return make


@pytest.fixture
def follow_up(make_job):
    """Write a job folder on two regions of an audit, inside the stripe that the classifier gets wrong.

    Both are labeled `label`, unless the config names `labels`; an evaluation needs a `candidate`.
    """

    def make(
        kind,
        config,
        *,
        name="job",
        files=None,
        label=1,
        predicted_class=0,
        means=((0.25, -1.0), (0.25, 1.0)),
        variances=((0.05, 1.0), (0.05, 1.0)),
        candidate=None,
    ) -> Path:
        labels = [{"region": region, "label": label} for region in range(2)]
        folder = make_job(kind=kind, name=name, files=files, config={"labels": labels, **config})
        regions = Regions(
            weights=np.array([0.5, 0.5]),
            means=np.array(means),
            covariances=np.array([np.diag(one) for one in variances]),
            seed_labels=np.array([1, 1], np.int32),
            predicted_classes=np.full(2, predicted_class, np.int32),
            sizes=np.array([10, 10]),
            member_offsets=np.array([0, 10, 20]),
            members=np.arange(20),
            tau=0.1,
        )
        write_regions(folder / "inputs/regions.npz", regions)
        job = json.loads((folder / "job.json").read_text())
        job["inputs"]["regions"] = {"file": "inputs/regions.npz"}
        if candidate is not None:
            (folder / "inputs/candidate.onnx").write_bytes(candidate)
            job["inputs"]["candidate"] = {"file": "inputs/candidate.onnx"}
        (folder / "job.json").write_text(json.dumps(job))
        return folder

    return make


@pytest.fixture
def run_engine():
    """Run the engine as a program of its own, to its end."""

    def run(folder: Path, **environment: str) -> EngineRun:
        done = subprocess.run(
            [sys.executable, "-m", "defuse_engine", str(folder)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, **environment},
        )
        return EngineRun(
            done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr
        )

    return run


_witnesses: dict[str, Witness] = {}


@pytest.fixture(autouse=True)
def _the_same_witness_is_trained_once(monkeypatch):
    """Most tests of this folder share data and seed: training its networks anew took half of their time."""

    def trained(resources, codes, seed, reporter):
        digest = hashlib.sha256(repr((seed, resources.runtime, resources.dataset.class_count)).encode())
        digest.update(resources.decoder.session.model_bytes)
        train = resources.dataset.train
        for values in (train.images(slice(0, len(train))), train.labels, codes):
            digest.update(np.ascontiguousarray(values).tobytes())
        key = digest.hexdigest()
        if key not in _witnesses:
            _witnesses[key] = Witness(resources, codes, seed, reporter)
        return _witnesses[key]

    monkeypatch.setattr(assembly, "Witness", trained)


class Silent(Lines):
    """Lines that nobody reads: remembers what was said, except progress."""

    def __init__(self):
        super().__init__(io.StringIO())
        self.chunks: list[int] = []

    def progress(self, stage, done, total, unit):
        assert 0 <= done <= total

    def preflight(self, figures):
        self.figures = figures

    def warning(self, reason, message):
        self.warnings.append({"reason": reason, "message": message})

    def chunk(self, shard, file, records, candidates):
        self.chunks.append(shard)

    def result(self, file):
        self.result_file = file


@pytest.fixture
def reporter() -> Silent:
    return Silent()


@pytest.fixture
def do_job(reporter):
    """Do a job folder in this process; returns what `result.json` holds."""
    from defuse_engine.job import run_job
    from defuse_engine.job_folder.job_file import read_job

    def do(folder: Path) -> dict[str, Any]:
        run_job(read_job(folder), reporter)
        return json.loads((folder / "output/result.json").read_text())

    return do


@pytest.fixture
def open_search(make_job, reporter):
    """Open a search on the analytic models; returns it with its seeds.

    Without growth: then the candidates are those of the methods alone.
    """
    from defuse_engine import audit
    from defuse_engine.configs import AuditConfig
    from defuse_engine.inputs.resources import open_resources
    from defuse_engine.job_folder.job_file import read_job
    from defuse_engine.models.device import open_runtime
    from defuse_engine.search.seeds import encode_split

    def open_it(config=None, device="cpu", job_seed=1, grows=False, threads=1, **job):
        config = config or AuditConfig()
        inputs = read_job(make_job(**job)).inputs
        resources = open_resources(inputs, open_runtime(device, threads, config.batch_size))
        codes = encode_split(resources.encoder, resources.dataset.train, reporter)
        judge, thresholds = assembly.open_judge(resources, codes, config, job_seed, reporter)
        search = assembly.open_search(
            resources, resources.classifier, codes, judge, thresholds, config, job_seed, reporter, grows=grows
        )
        return search, audit.first_search_seeds(resources, codes, config, job_seed)

    return open_it
