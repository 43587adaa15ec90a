"""A resource's description is read from the file, and from a run of it."""

import numpy as np
import pytest


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
