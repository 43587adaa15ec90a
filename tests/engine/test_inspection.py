"""A resource's description is read from the file, and from a run of it."""

import numpy as np
import pytest
from PIL import Image


def test_a_classifier_tells_its_signature(make_job, do_job):
    result = do_job(make_job("inspect_classifier"))
    assert result == {
        "input": {"name": "x", "dtype": "float32", "shape": [-1, 1, 2, 3]},
        "output": {"name": "logits", "dtype": "float32", "shape": [-1, 2]},
        "class_count": 2,
        "image_shape": [1, 2, 3],
        "opset": 17,
        "batch_size": -1,
        "differentiable": True,
        "undifferentiable_ops": [],
        "warnings": [],
    }


@pytest.mark.parametrize(
    ("layout", "item", "image_shape"),
    [("NHWC", (2, 3, 1), [1, 2, 3]), ("FLAT", (6,), None)],
)
def test_the_image_shape_follows_the_layout(layout, item, image_shape, make_job, do_job, graphs):
    folder = make_job(
        "inspect_classifier",
        files={"classifier.onnx": graphs.classifier(item=item, batch=5)},
        inputs={"classifier": {"preprocessing": {"layout": layout}}},
    )
    result = do_job(folder)
    assert result["image_shape"] == image_shape
    assert result["batch_size"] == 5


def test_a_vae_tells_its_latent_size(make_job, do_job):
    result = do_job(make_job("inspect_vae"))
    assert result["latent_size"] == 2
    assert result["image_shape"] == [1, 2, 3]
    assert [output["name"] for output in result["encoder_outputs"]] == ["mu", "logvar"]


def test_an_encoder_may_give_mu_alone_or_second(make_job, do_job, graphs):
    for name, outputs in {"alone": ("codes",), "second": ("logvar", "mu")}.items():
        folder = make_job("inspect_vae", files={"encoder.onnx": graphs.encoder(outputs=outputs)}, name=name)
        assert do_job(folder)["latent_size"] == 2


def test_a_dataset_tells_its_splits_and_range(make_job, do_job):
    result = do_job(make_job("inspect_dataset"))
    assert result["image_shape"] == [1, 2, 3]
    assert result["class_count"] == 2
    assert {name: split["size"] for name, split in result["splits"].items()} == {
        "train": 3000,
        "validation": 400,
        "test": 400,
    }
    assert sum(result["splits"]["train"]["class_counts"]) == 3000
    assert result["dtype"] == "float32"


@pytest.mark.parametrize(
    ("layout", "image_shape"), [("NCHW", [4, 5, 3]), ("NHWC", [3, 4, 5])], ids=["NCHW", "NHWC"]
)
def test_colour_images_of_bytes_are_divided_by_255(layout, image_shape, make_job, do_job):
    images = np.full((4, 4, 5, 3), 51, np.uint8)
    arrays = {}
    for split in ("train", "validation", "test"):
        arrays |= {f"x_{split}": images, f"y_{split}": np.array([0, 1, 1, 0], np.uint8)}
    folder = make_job(
        "inspect_dataset", files={"dataset.npz": arrays}, inputs={"dataset": {"layout": layout}}
    )
    result = do_job(folder)
    assert result["image_shape"] == image_shape
    assert result["value_max"] == pytest.approx(0.2)
    assert result["splits"]["test"]["class_counts"] == [2, 2]


def images(**changes):
    """Arrays of a dataset of two classes that nothing is wrong with, but for the changes."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split in ("train", "validation", "test"):
        arrays |= {f"x_{split}": rng.random((40, 3, 8, 8), np.float32), f"y_{split}": np.arange(40) % 2}
    return arrays | {name: change(arrays[name]) for name, change in changes.items()}


def of_all_images(change):
    return {f"x_{split}": change for split in ("train", "validation", "test")}


def told(make_job, do_job, arrays, layout="NCHW"):
    folder = make_job(
        "inspect_dataset", files={"dataset.npz": arrays}, inputs={"dataset": {"layout": layout}}
    )
    return do_job(folder)["warnings"]


def test_of_a_usual_dataset_nothing_is_said(make_job, do_job):
    assert told(make_job, do_job, images()) == []


@pytest.mark.parametrize(
    ("reason", "says", "changes", "layout"),
    [
        ("VALUES_NOT_SCALED", "0 to 1 was expected", of_all_images(lambda x: 255 * x), "NCHW"),
        ("VALUES_NEGATIVE", "standardised", of_all_images(lambda x: (x - 0.5) / 0.25), "NCHW"),
        ("VALUES_SMALL", "nearly black", of_all_images(lambda x: (x > 0.5).astype(np.uint8)), "NCHW"),
        (
            "LAYOUT_UNLIKELY",
            "--layout nhwc",
            of_all_images(lambda x: x[:, :1, :, 1:].transpose(0, 2, 3, 1)),
            "NCHW",
        ),
        ("LAYOUT_UNLIKELY", "--layout nchw", {}, "NHWC"),
        (
            "CHANNEL_CONSTANT",
            "channel 1 of 3",
            {"x_train": lambda x: np.where(np.arange(3)[:, None, None] == 1, np.float32(0.5), x)},
            "NCHW",
        ),
        ("IMAGES_EQUAL", "all 40 train images", {"x_train": lambda x: x[:1].repeat(40, axis=0)}, "NCHW"),
        (
            "CLASS_WITHOUT_ITEMS",
            "test split has no item of 1 of 2 classes (left)",
            {"y_test": np.ones_like},
            "NCHW",
        ),
        (
            "ITEMS_CONTRADICT",
            "train 0 (left) and train 1 (right)",
            {"x_train": lambda x: x[[0, 0, *range(2, 40)]]},
            "NCHW",
        ),
        ("DUPLICATES_ACROSS_SPLITS", "1 of 40 test items", {"x_test": lambda x: x}, "NCHW"),
    ],
)
def test_what_is_likely_wrong_with_a_dataset_is_told(reason, says, changes, layout, make_job, do_job):
    arrays = images(**changes)
    if reason == "DUPLICATES_ACROSS_SPLITS":
        arrays["x_test"][7] = arrays["x_train"][8]
    messages = {one["reason"]: one["message"] for one in told(make_job, do_job, arrays, layout)}
    assert says in messages[reason]


def test_a_dataset_shows_items_of_each_class(make_job, do_job):
    folder = make_job("inspect_dataset", files={"dataset.npz": images()})
    sheet = do_job(folder)["class_sheet"]
    assert sheet["labels"] == [0, 1]
    with Image.open(folder / sheet["file"]) as picture:
        assert picture.size == (sheet["width"], sheet["height"])
        # Ten items of 56 x 56 pixels, and the names to their left.
        assert 10 * 56 < picture.width < 10 * 60 + 240
        assert 2 * 56 < picture.height < 2 * 64


def test_of_many_classes_fifty_are_shown(make_job, do_job):
    arrays = images()
    rng = np.random.default_rng(1)
    arrays |= {"x_train": rng.random((600, 3, 120, 8), np.float32), "y_train": np.arange(600) % 120}
    arrays |= {f"x_{split}": rng.random((40, 3, 120, 8), np.float32) for split in ("validation", "test")}
    names = [f"{label} of a name that is too long to be written beside its pictures" for label in range(120)]
    folder = make_job(
        "inspect_dataset", files={"dataset.npz": arrays}, inputs={"dataset": {"class_names": names}}
    )
    sheet = do_job(folder)["class_sheet"]
    assert len(sheet["labels"]) == 50
    assert (sheet["labels"][0], sheet["labels"][-1]) == (0, 119)
    assert sheet["width"] < 300
