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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from defuse_engine import run
from defuse_engine.covariance import FullCovariance
from defuse_engine.job_folder.lines import Lines
from defuse_engine.readers import own_classifier
from defuse_engine.readers.independent_readers import IndependentReaders
from defuse_engine.regions.regions_file import write_regions
from defuse_engine.search import calibrated_belief
from defuse_engine.search.readers import Readers
from defuse_engine.types import Regions
from defuse_engine.vae import readers as vae_readers
from tests.models.onnx_graphs import graph

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


class Jobs:
    """Writes job folders on the analytic models below one folder, and does them in this process."""

    def __init__(self, folder: Path):
        self._folder = folder

    def make(self, kind="audit", name="job", files=None, inputs=None, with_dataset=False, **job) -> Path:
        """Write a job folder; `files` replaces inputs, `inputs` their entries.

        An inspection gets its one resource, and the dataset too `with_dataset`.
        """
        folder = self._folder / name
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
            kept = [kind.removeprefix("inspect_"), *(["dataset"] if with_dataset else [])]
            entries = {key: entries[key] for key in kept}
        document = {"kind": kind, "seed": 1, "device": "cpu", "threads": 1, "inputs": entries, **job}
        (folder / "job.json").write_text(json.dumps(document))
        return folder

    def follow_up(
        self,
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
        """Write a job folder on two regions of an audit, inside the stripe that the classifier gets wrong.

        Both are labeled `label`, unless the config names `labels`; an evaluation needs a `candidate`.
        """
        labels = [{"region": region, "label": label} for region in range(2)]
        folder = self.make(kind=kind, name=name, files=files, config={"labels": labels, **config})
        regions = Regions(
            weights=np.array([0.5, 0.5]),
            means=np.array(means),
            covariances=tuple(FullCovariance(np.diag(one)) for one in variances),
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

    @staticmethod
    def do(folder: Path, reporter=None) -> dict[str, Any]:
        """Do a job; returns what `result.json` holds."""
        from defuse_engine.job import run_job
        from defuse_engine.job_folder.job_file import read_job

        run_job(read_job(folder), reporter or Silent())
        return json.loads((folder / "output/result.json").read_text())


@pytest.fixture
def make_job(tmp_path):
    return Jobs(tmp_path).make


@pytest.fixture
def follow_up(tmp_path):
    return Jobs(tmp_path).follow_up


@pytest.fixture(scope="module")
def shared_jobs(tmp_path_factory) -> Jobs:
    """Jobs whose results several tests of a module look at."""
    return Jobs(tmp_path_factory.mktemp("shared"))


@pytest.fixture
def quick_tuning(monkeypatch):
    """Let corrections train for a few steps, where a test looks at something else than what they learn."""
    from defuse_engine.recipes import CORRECTION_RECIPES

    recipe = CORRECTION_RECIPES["default"]
    few_steps = replace(recipe.optimization, least_steps=25, most_steps=50)
    monkeypatch.setitem(CORRECTION_RECIPES, "default", replace(recipe, optimization=few_steps))


@pytest.fixture(scope="session")
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


_trained: dict[str, Any] = {}


def _digest(random_seed, runtime, dataset, *more: bytes) -> str:
    digest = hashlib.sha256(repr((random_seed, runtime, dataset.class_count)).encode())
    train = dataset.train
    for values in (train.images(slice(0, len(train))), train.labels):
        digest.update(np.ascontiguousarray(values).tobytes())
    for values in more:
        digest.update(values)
    return digest.hexdigest()


@pytest.fixture(autouse=True, scope="session")
def _the_same_readers_are_trained_once():
    """Most tests share data and random seed: to train the networks for each takes half of their time.

    They train for as few steps as they do on the smallest data: images of six pixels ask for no more.
    """
    fewest = own_classifier._STEPS[0]

    def readers(one):
        decoder, codes = one.inputs.decoder.session.model_bytes, np.ascontiguousarray(one.train_codes)
        digest = _digest(one.random_seed, one.inputs.runtime, one.inputs.dataset, decoder, codes.tobytes())
        return _trained.setdefault(digest, Readers(one))

    def independent(dataset, runtime, random_seed, on_step, stage="held-out", trained=None):
        digest = _digest(random_seed, runtime, dataset, stage.encode())
        readers = IndependentReaders(dataset, runtime, random_seed, on_step, stage, trained)
        return _trained.setdefault(digest, readers)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own_classifier, "_STEPS", (fewest, fewest))
        patch.setattr(calibrated_belief, "Readers", readers)
        patch.setattr(run, "IndependentReaders", independent)
        patch.setattr(vae_readers, "IndependentReaders", independent)
        yield


class Silent(Lines):
    """Lines that nobody reads: remembers what was said, except progress."""

    def __init__(self):
        super().__init__(io.StringIO())
        self.chunks: list[int] = []

    def progress(self, stage, done, total, unit):
        assert 0 <= done <= (total or done)

    def preflight(self, figures):
        self.figures = figures

    def warning(self, reason, message):
        self.warnings.append({"reason": reason, "message": message})

    def chunk(self, shard, file, records, candidates, seeds):
        self.chunks.append(shard)

    def result(self, file):
        self.result_file = file


@pytest.fixture
def reporter() -> Silent:
    return Silent()


@pytest.fixture
def do_job(reporter):
    """Do a job folder in this process; returns what `result.json` holds. Warnings are the last job's."""

    def do(folder):
        reporter.warnings.clear()
        return Jobs.do(folder, reporter)

    return do


@pytest.fixture
def open_run(make_job, reporter):
    """Open the run of a job on the analytic models."""
    from defuse_engine.inputs.loaded import load_inputs
    from defuse_engine.job_folder.job_file import read_job
    from defuse_engine.models.device import open_runtime
    from defuse_engine.run import open_run

    def open_it(device="cpu", threads=1, batch_size=256, **options):
        job = read_job(make_job(**options))
        return open_run(job, load_inputs(job.inputs, open_runtime(device, threads, batch_size)), reporter)

    return open_it


@pytest.fixture
def open_search(open_run):
    """Open a search on the analytic models; returns it with its seeds.

    Unless it is shown: then the candidates are those of the methods alone.
    """
    from defuse_engine.configs import AuditConfig
    from defuse_engine.recipes import AUDIT_RECIPES
    from defuse_engine.search.open_search import open_search
    from defuse_engine.search.seeds import first_search_seeds

    def open_it(config=None, shown=False, random_seed=1, **options):
        config = config or AuditConfig()
        run = open_run(batch_size=config.batch_size, seed=random_seed, **options)
        recipe = AUDIT_RECIPES[config.preset].search
        search = open_search(run, config, recipe, recipe.open_belief_model(run, config), shown=shown)
        return search, first_search_seeds(run, config, random_seed)

    return open_it
