"""Readability is measured by readers that never saw a reconstruction, and flattery is seen through."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from onnx import helper
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from defuse_engine.errors import PreflightRefused, Reason
from defuse_engine.inputs.loaded import load_inputs
from defuse_engine.job_folder.job_file import read_job
from defuse_engine.models.device import open_runtime
from defuse_engine.models.onnx_model import Decoder
from defuse_engine.preflight.preflight import run_preflight
from defuse_engine.preflight.readability import SampleReaders
from defuse_engine.readers.independent_readers import IndependentReaders
from defuse_engine.readers.low_pass import LowPass

STROKE = 0.1
"""How strongly the pattern is painted that tells the classifier a class, of a range of 1."""


def nothing(done, total):
    """Nobody looks at the steps."""


class Digits:
    """Handwritten digits, a linear classifier of them, and what a decoder can paint to please it."""

    def __init__(self, graphs):
        bunch = load_digits()
        order = np.random.default_rng(0).permutation(len(bunch.target))
        images = (bunch.images[order, None] / 16).astype(np.float32)
        labels = bunch.target[order].astype(np.int64)
        cuts = [len(labels) * 3 // 5, len(labels) * 4 // 5]
        self.arrays = {}
        for name, x, y in zip(
            ("train", "validation", "test"), np.split(images, cuts), np.split(labels, cuts), strict=True
        ):
            self.arrays |= {f"x_{name}": x, f"y_{name}": y}
        flat = self.arrays["x_train"].reshape(-1, 64)
        self.model = LogisticRegression(C=0.5, max_iter=300).fit(flat, self.arrays["y_train"])
        self.classifier = graphs.linear(self.model.coef_.T, self.model.intercept_, item=(1, 8, 8))
        self.mean = flat.mean(axis=0)
        """The mean image (64,): it shows nothing."""
        self.patterns = STROKE * np.sign(self.model.coef_ - self.model.coef_.mean(axis=0))
        """For each class (10, 64), the signs of the classifier's gradient."""

    @property
    def files(self):
        return {"classifier.onnx": self.classifier, "dataset.npz": self.arrays}

    def vae_that_flatters(self, graphs):
        """Encode what the classifier reads, and decode the mean image with that class's pattern."""
        encoder = graphs.model(
            [
                helper.make_node("Flatten", ["x"], ["flat"]),
                helper.make_node("Gemm", ["flat", "matrix", "bias"], ["scores"]),
                helper.make_node("Softmax", ["scores"], ["mu"]),
            ],
            [("x", ["n", 1, 8, 8])],
            [("mu", ["n", 10])],
            {
                "matrix": self.model.coef_.T.astype(np.float32),
                "bias": self.model.intercept_.astype(np.float32),
            },
        )
        decoder = graphs.model(
            [
                helper.make_node("MatMul", ["z", "patterns"], ["painted"]),
                helper.make_node("Add", ["painted", "mean"], ["flat"]),
                helper.make_node("Reshape", ["flat", "shape"], ["image"]),
            ],
            [("z", ["n", 10])],
            [("image", ["n", 1, 8, 8])],
            {
                "patterns": self.patterns.astype(np.float32),
                "mean": self.mean.astype(np.float32),
                "shape": np.array([-1, 1, 8, 8], np.int64),
            },
        )
        return {"encoder.onnx": encoder, "decoder.onnx": decoder}

    def redrawn(self, images, labels, flattering=0, blank=0):
        """Redraw the first `flattering` images as their class's pattern, and the next `blank` as nothing."""
        drawn = images.copy()
        painted = self.mean + self.patterns[labels[:flattering]]
        drawn[:flattering] = painted.reshape(-1, 1, 8, 8)
        drawn[flattering : flattering + blank] = self.mean.reshape(1, 8, 8)
        return drawn


@pytest.fixture(scope="module")
def digits(graphs):
    return Digits(graphs)


@pytest.fixture
def inputs(digits, graphs, make_job):
    files = {**digits.files, **digits.vae_that_flatters(graphs)}
    names = [str(label) for label in range(10)]
    job = read_job(make_job(files=files, inputs={"dataset": {"class_names": names}}))
    return load_inputs(job.inputs, open_runtime("cpu", 1, 256))


@pytest.fixture
def preflight(inputs, digits, independent, reporter, monkeypatch):
    """Run the preflight of a VAE that redraws so many images of each kind; 359 are looked at."""

    def run(readers=independent, vae_is_ours=False, **redrawn):
        split = inputs.dataset.validation
        drawn = digits.redrawn(split.images(), split.labels, **redrawn)
        # Where other preprocessings are tried, it sees a part of the items: all trials are alike then.
        monkeypatch.setattr(Decoder, "__call__", lambda self, codes: drawn[: len(codes)])
        return run_preflight(
            replace(inputs, vae_is_ours=vae_is_ours), readers, 1, reporter, reporter.preflight
        )

    return run


@pytest.fixture(scope="module")
def _trained():
    return {}


@pytest.fixture
def independent(inputs, _trained):
    """The same readers for all tests: their training takes seconds."""
    return _trained.setdefault("readers", IndependentReaders(inputs.dataset, inputs.runtime, 1, nothing))


def test_each_reader_reads_what_people_read_even_in_so_few_pixels(inputs, independent):
    split = inputs.dataset.validation
    grey = np.full_like(split.images(), 0.3)
    designs = set()
    for network in independent.networks:
        assert (network.predict(split.images()) == split.labels).mean() > 0.93
        assert (network.predict(grey) == split.labels).mean() < 0.3
        designs.add(f"{network.prepared} {network.stages}")
    assert len(designs) == len(independent.networks) == 3


@pytest.mark.parametrize("side", [8, 28, 32, 50])
def test_the_low_pass_filter_takes_fine_patterns_away_and_leaves_shapes(side):
    places = torch.arange(side, dtype=torch.float32)
    fine = torch.cos(torch.pi * places).expand(1, 1, side, side)
    wide = torch.cos(torch.pi * places / (side / 4)).expand(1, 1, side, side)
    blurred = LowPass(side, side)
    assert float(blurred(fine)[..., 2:-2].abs().max()) < 0.2
    assert float(blurred(wide).std() / wide.std()) > 0.6
    assert torch.allclose(blurred(torch.ones(2, 3, side, side)), torch.ones(2, 3, side, side))
    assert blurred(torch.rand(2, 3, side, side)).shape == (2, 3, side, side)


def reasons(reporter):
    return [warning["reason"] for warning in reporter.warnings]


def test_a_vae_that_paints_what_pleases_the_classifier_is_refused(digits, graphs, make_job, do_job, reporter):
    files = {**digits.files, **digits.vae_that_flatters(graphs)}
    names = [str(label) for label in range(10)]
    with pytest.raises(PreflightRefused, match="to the classifier alone") as caught:
        do_job(make_job(files=files, inputs={"dataset": {"class_names": names}}))
    assert caught.value.reason == Reason.PREFLIGHT_FLATTERY
    figures = caught.value.figures
    # The classifier's own word, which was all there was, is that nearly everything is readable.
    assert figures["classifier_readability"] > 0.9
    assert figures["independent_readability"] == figures["readability"] < 0.5
    assert figures["flattery"] > 0.4
    assert f"{figures['flattery']:.0%}" in caught.value.message
    assert "defuse vae train --dataset D --classifier C" in caught.value.message
    assert reporter.figures["flattery"]["value"] == figures["flattery"]


def test_a_vae_that_loses_nothing_is_readable_to_all(preflight, reporter):
    found = preflight()
    assert found.readability == found.independent_readability.value == found.classifier_readability.value == 1
    assert found.flattery.value == 0
    # The interval tells how few were looked at.
    assert 0.98 < found.independent_readability.lower < 1
    assert 0 < found.flattery.upper < 0.02
    assert reporter.warnings == []
    assert found.readability_summary == (
        "Independent readers still read 100% (99% to 100%) of what they read before the VAE, the classifier "
        "100% (99% to 100%). 0% (0% to 1%) of the reconstructions please the classifier alone."
    )


def test_some_flattery_is_a_warning(preflight, reporter):
    found = preflight(flattering=60)
    assert 0.05 < found.flattery.value < 0.12
    assert found.classifier_readability.value > 0.98
    assert found.readability == found.independent_readability.value < 0.95
    assert "FLATTERY" in reasons(reporter)
    assert f"{found.flattery.value:.2f}" in str(reporter.warnings)


def test_what_independent_readers_cannot_read_is_refused_though_the_classifier_can(preflight):
    """Half is blank to all, and a little more shows its label to the classifier alone."""
    with pytest.raises(PreflightRefused, match="an independent reader still reads") as caught:
        preflight(flattering=60, blank=175)
    assert caught.value.reason == Reason.PREFLIGHT_READABILITY
    assert caught.value.figures["readability"] < 0.5 < caught.value.figures["classifier_readability"]


def test_what_the_classifier_cannot_read_trains_no_reader(inputs, preflight, reporter):
    readers = IndependentReaders(inputs.dataset, inputs.runtime, 2, nothing)
    with pytest.raises(PreflightRefused, match="the classifier is right on") as caught:
        preflight(readers, blank=359)
    assert caught.value.reason == Reason.PREFLIGHT_READABILITY
    assert "networks" not in vars(readers)
    # The figures are shown even so.
    assert reporter.figures["readability"] < 0.5


def test_readers_that_cannot_read_originals_take_no_part_and_that_is_told(inputs, preflight, reporter):
    train = inputs.dataset.train
    shuffled = replace(train, labels=np.random.default_rng(0).permutation(train.labels))
    readers = IndependentReaders(replace(inputs.dataset, train=shuffled), inputs.runtime, 1, nothing)
    found = preflight(readers, flattering=359)
    assert (found.independent_readability, found.flattery) == (None, None)
    assert found.readability == found.classifier_readability.value > 0.9
    assert "No independent reader has checked that" in found.readability_summary
    (warning,) = [one for one in reporter.warnings if one["reason"] == "INDEPENDENT_READERS_UNABLE"]
    assert "3 of 3" in warning["message"]
    assert "the classifier's word alone" in warning["message"]


def test_one_reader_that_cannot_read_is_left_out(inputs, independent, reporter):
    class Guesses:
        @staticmethod
        def probabilities(images):
            return np.full((len(images), 10), 0.1, np.float32)

    readers = IndependentReaders(inputs.dataset, inputs.runtime, 1, nothing)
    readers.networks = (*independent.networks[:2], Guesses())
    split = inputs.dataset.validation
    together = SampleReaders(inputs.classifier, readers, split.images(), split.labels)
    together.warn_of_unable(reporter)
    assert "1 of 3" in str(reporter.warnings)
    read = together.read(split.images())
    assert read.worst.value == 1.0
    assert read.right_to_all.mean() > 0.9


def test_what_is_not_finite_is_right_to_nobody(inputs, independent):
    split = inputs.dataset.validation
    readers = SampleReaders(inputs.classifier, independent, split.images(), split.labels)
    drawn = split.images()
    drawn[:100] = np.nan
    read = readers.read(drawn)
    assert not read.right_to_all[:100].any()
    assert (read.read_as[:100] == -1).all()
    assert read.worst.value < 0.8


@pytest.mark.parametrize(("vae_is_ours", "advice"), [(False, "that is readable"), (True, "longer")])
def test_the_advice_knows_who_trained_the_vae(preflight, reporter, vae_is_ours, advice):
    preflight(vae_is_ours=vae_is_ours, blank=80)
    (warning,) = [one for one in reporter.warnings if one["reason"] == "LOW_READABILITY"]
    assert advice in warning["message"]
    assert ("--budget-s" in warning["message"]) == vae_is_ours
