"""A VAE is trained from a classifier and a dataset alone, as a job of kind `train_vae`."""

import io
import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch.optim.optimizer import register_optimizer_step_pre_hook

from defuse_engine.errors import InvalidDataset, PreflightRefused
from defuse_engine.inputs.dataset import Dataset, Split
from defuse_engine.job_folder.lines import Lines
from defuse_engine.models.device import Runtime
from defuse_engine.readers import own_classifier
from defuse_engine.readers.independent_readers import IndependentReaders
from defuse_engine.vae import train
from defuse_engine.vae.readers import independent_readers

SHORT = {"max_steps": 60, "latent_sizes": [4], "budget_s": 600}


def splits(images, labels):
    """Three fifths, one fifth, one fifth."""
    cuts = [len(labels) * 3 // 5, len(labels) * 4 // 5]
    names = ("train", "validation", "test")
    arrays = {f"x_{name}": part for name, part in zip(names, np.split(images, cuts), strict=True)}
    return {**arrays, **{f"y_{name}": part for name, part in zip(names, np.split(labels, cuts), strict=True)}}


@pytest.fixture(scope="session")
def digits():
    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    images = (bunch.images[order, None] / 16).astype(np.float32)
    return splits(images, bunch.target[order].astype(np.int64))


@pytest.fixture(scope="session")
def digits_classifier(digits, graphs):
    flat = digits["x_train"].reshape(-1, 64)
    model = LogisticRegression(C=0.5, max_iter=300).fit(flat, digits["y_train"])
    return graphs.linear(model.coef_.T, model.intercept_, item=(1, 8, 8))


@pytest.fixture
def make_training(make_job):
    """Write a job folder that trains a VAE; `dataset` is arrays, `classifier` bytes."""

    def make(classifier, dataset, config, **entry):
        names = [str(label) for label in range(int(dataset["y_train"].max()) + 1)]
        folder = make_job(
            "train_vae",
            files={"classifier.onnx": classifier, "dataset.npz": dataset},
            inputs={"classifier": entry, "dataset": {"class_names": names}},
            config=config,
        )
        job = json.loads((folder / "job.json").read_text())
        del job["inputs"]["vae"]
        (folder / "job.json").write_text(json.dumps(job))
        return folder

    return make


@pytest.fixture
def quick_readers(monkeypatch):
    """Readers that tell bright images from dark ones, which takes few steps."""
    monkeypatch.setattr(own_classifier, "_STEPS", (30, 30))


quick = pytest.mark.usefixtures("quick_readers")


def run_file(path, values):
    session = onnxruntime.InferenceSession(path.read_bytes())
    return session.run(None, {session.get_inputs()[0].name: values})


def colours(shape, count=400):
    """Bright images of class 1, dark ones of class 0, in the units -1..3."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, count)
    images = rng.uniform(-1, 1, (count, *shape)) + 2 * labels[:, None, None, None] * rng.uniform(0.5, 1)
    return splits(images.astype(np.float32), labels)


def brightness(graphs, shape, **options):
    """Classify by the mean of all values."""
    size = int(np.prod(shape))
    matrix = np.stack([np.zeros(size), np.full(size, 8.0 / size)], axis=1)
    return graphs.linear(matrix, [0.0, -6.0], item=shape, **options)


def test_the_classifier_reads_the_digits_that_a_short_training_reconstructs(
    make_training, do_job, digits, digits_classifier
):
    config = {"max_steps": 250, "latent_sizes": [8], "budget_s": 600}
    folder = make_training(digits_classifier, digits, config)
    result = do_job(folder)
    images, labels = digits["x_test"], digits["y_test"]
    mu, logvar = run_file(folder / result["encoder"], images)
    (decoded,) = run_file(folder / result["decoder"], mu)
    # What a VAE gives that learned to blur: the mean of the four pixels around.
    blurred = images.reshape(-1, 1, 4, 2, 4, 2).mean(axis=(3, 5)).repeat(2, 2).repeat(2, 3)
    before, after, blurry = (
        float((run_file(folder / "inputs/classifier.onnx", values)[0].argmax(1) == labels).mean())
        for values in (images, decoded, blurred.astype(np.float32))
    )
    assert after > 0.9 * before > blurry
    assert result["readability"] > 0.9
    assert decoded.min() >= 0
    assert decoded.max() <= 1
    assert mu.shape == logvar.shape == (len(images), result["latent_size"])
    (chosen,) = [point for point in result["points"] if point["chosen"]]
    assert chosen["latent_size"] == result["latent_size"]
    assert chosen["kl"] > 1
    shares = [milestone["budget_share"] for milestone in result["milestones"]]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert result["milestones"][-1]["readability"] > 0.9
    assert len(result["points"]) >= 1
    assert result["config"] == config


@quick
def test_what_it_tried_is_all_there_and_the_sheets_are_pictures(
    make_training, shared_jobs, graphs, monkeypatch
):
    # So short a training tries one setting, unless a trial may be as short.
    monkeypatch.setattr(train, "_LEAST_TRIAL_STEPS", 5)
    folder = make_training(graphs.classifier(), graphs.dataset(), {**SHORT, "latent_sizes": [2, 3]})
    stream = io.StringIO()
    result = shared_jobs.do(folder, Lines(stream))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    progress = [line for line in lines if line["event"] == "progress"]
    assert [point["latent_size"] for point in result["points"]] == [2, 3]
    assert {line["stage"] for line in progress} == {"preflight", "train"}
    assert progress[-1]["done"] == progress[-1]["total"]
    for sheet, count in (("reconstruction_sheet", 60), ("prior_sheet", 64)):
        assert (folder / result[sheet]["file"]).read_bytes().startswith(b"\x89PNG")
        assert result[sheet]["count"] == count


@quick
@pytest.mark.parametrize("shape", [(3, 9, 13), (2, 24, 10)])
def test_any_size_and_number_of_channels_and_any_range_will_do(make_training, do_job, graphs, shape):
    dataset = colours(shape)
    folder = make_training(brightness(graphs, shape), dataset, {**SHORT, "max_steps": 20})
    result = do_job(folder)
    (decoded,) = run_file(
        folder / result["decoder"], np.random.default_rng(0).normal(size=(3, 4)).astype("f4")
    )
    assert decoded.shape == (3, *shape)
    assert decoded.dtype == np.float32
    assert dataset["x_train"].min() <= decoded.min() < decoded.max() <= dataset["x_train"].max()


@quick
def test_a_classifier_that_takes_channels_last_takes_part_too(make_training, do_job, graphs):
    channels, height, width = shape = (3, 8, 8)
    classifier = brightness(graphs, (height, width, channels))
    preprocessing = {"layout": "NHWC", "scale": 1.0, "mean": [0.0], "std": [1.0]}
    result = do_job(make_training(classifier, colours(shape), SHORT, preprocessing=preprocessing))
    assert result["readability"] > 0.8


@quick
def test_classifiers_of_one_dataset_get_one_vae_whether_they_have_a_gradient_or_not(
    make_training, do_job, graphs, tmp_path
):
    """That the same random seed and steps give the same bytes is a part of this."""
    smooth = brightness(graphs, (1, 8, 8))
    model = onnx.load_from_string(smooth)
    model.graph.node[-1].output[0] = "unrounded"
    model.graph.node.append(helper.make_node("Round", ["unrounded"], ["logits"]))
    files = []
    for number, classifier in enumerate((smooth, model.SerializeToString())):
        folder = make_training(classifier, colours((1, 8, 8)), SHORT)
        result = do_job(folder)
        assert result["readability"] > 0.8
        assert "FEW_TRAIN_ITEMS" in str(result["warnings"])
        files.append([(folder / f"output/{half}.onnx").read_bytes() for half in ("encoder", "decoder")])
        folder.rename(tmp_path / f"classifier-{number}")
    assert files[0] == files[1]


@quick
def test_a_hundred_items_of_which_few_are_of_one_class_train_with_a_warning(make_training, do_job, graphs):
    dataset = colours((1, 8, 8), count=166)
    rare = np.flatnonzero(dataset["y_train"] == 1)[4:]
    for axis in "xy":
        dataset[f"{axis}_train"] = np.delete(dataset[f"{axis}_train"], rare, axis=0)
    result = do_job(make_training(brightness(graphs, (1, 8, 8)), dataset, SHORT))
    assert "FEW_TRAIN_ITEMS" in str(result["warnings"])


def test_images_that_are_all_the_same_are_refused(make_training, do_job, graphs):
    dataset = colours((1, 8, 8))
    dataset["x_train"] = np.full_like(dataset["x_train"], 0.5)
    with pytest.raises(InvalidDataset, match=r"every pixel of the train split is 0\.5"):
        do_job(make_training(brightness(graphs, (1, 8, 8)), dataset, SHORT))


def test_a_classifier_that_guesses_is_refused(make_training, do_job, graphs):
    dataset = colours((1, 8, 8))
    dataset["y_validation"] = np.random.default_rng(0).integers(0, 2, len(dataset["y_validation"]))
    with pytest.raises(PreflightRefused, match="hardly more than by chance"):
        do_job(make_training(brightness(graphs, (1, 8, 8)), dataset, SHORT))


@pytest.fixture
def optimizer_steps():
    """Count the steps of every optimizer of torch."""
    counted = []
    hook = register_optimizer_step_pre_hook(lambda *_: counted.append(1))
    yield counted
    hook.remove()


def test_a_wrong_preprocessing_is_refused_before_anything_is_trained(
    make_training, do_job, digits, digits_classifier, optimizer_steps
):
    wrong = {"scale": 1e-3, "mean": [0.5]}
    with pytest.raises(PreflightRefused, match="no --scale, --mean or --std it would be right on"):
        do_job(make_training(digits_classifier, digits, SHORT, preprocessing=wrong))
    assert not optimizer_steps


@quick
def test_a_training_under_a_doubtful_preprocessing_says_so(
    make_training, do_job, graphs, optimizer_steps, reporter
):
    shape = (1, 8, 8)
    dataset = colours(shape, count=1000)
    shifted = {"mean": [-0.75]}
    do_job(make_training(brightness(graphs, shape), dataset, SHORT, preprocessing=shifted))
    assert "PREPROCESSING_DOUBTFUL" in [warning["reason"] for warning in reporter.warnings]
    assert len(optimizer_steps) >= SHORT["max_steps"]


def test_readers_that_take_no_part_in_the_loss_tell_how_much_of_what_they_read_is_left(
    make_training, do_job, graphs, reporter
):
    """After a step or two a VAE draws grey, whatever it gets."""
    config = {**SHORT, "max_steps": 2}
    result = do_job(make_training(brightness(graphs, (1, 8, 8)), colours((1, 8, 8)), config))
    both = result["classifier_readability"], result["independent_readability"]
    assert result["readability"] == min(one["value"] for one in both) < 0.9
    for one in (*both, result["flattery"]):
        assert 0 <= one["lower"] <= one["value"] <= one["upper"] <= 1
        assert 0 < one["samples"] <= 80
    assert "Independent readers still read" in result["readability_summary"]
    (warning,) = [one for one in reporter.warnings if one["reason"] == "LOW_READABILITY"]
    assert "Train longer (budget_s was 600)" in warning["message"]


def test_the_readers_of_a_training_are_not_those_that_an_audit_asks(digits, reporter):
    """They choose a setting of the VAE. An audit with the same random seed asks others."""
    train = Split(digits["x_train"], digits["y_train"])
    dataset = Dataset(train, train, train, 10, ())
    chose = independent_readers(dataset, Runtime(), 1, reporter)
    others = IndependentReaders(dataset, Runtime(), 1, lambda done, total: None)
    some = digits["x_validation"][:20]
    assert not np.array_equal(chose.probabilities(some), others.probabilities(some))
