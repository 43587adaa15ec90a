"""Warnings of a dataset that can be read, and is likely not what its owner meant to push."""

from __future__ import annotations

import numpy as np

from defuse_engine.inputs.dataset import Dataset, DatasetLayout
from defuse_engine.job_folder.reporting import Reporter

_UNSCALED = 1.5
"""Floating-point images that go beyond this are no images in 0..1."""
_DARK_BYTES = 16
_USUAL_CHANNELS = (1, 3, 4)
_MOST_NAMED = 5


def warn_of_implausible_values(
    dataset: Dataset, layout: DatasetLayout, low: float, high: float, reporter: Reporter
) -> None:
    """Warn of ranges, channels, layouts and splits that images rarely have.

    `low` and `high` are the least and largest value of all images, as `Split.images` gives them.
    """
    _check_layout(dataset, layout, reporter)
    _check_range(dataset, low, high, reporter)
    _check_variety(dataset, reporter)
    _check_classes(dataset, reporter)


def _check_layout(dataset: Dataset, layout: DatasetLayout, reporter: Reporter) -> None:
    channels, height, width = dataset.image_shape
    if channels in _USUAL_CHANNELS:
        return
    other = "nhwc" if layout == "NCHW" else "nchw"
    likely = width if layout == "NCHW" else height
    if likely in _USUAL_CHANNELS:
        reporter.warning(
            "LAYOUT_UNLIKELY",
            f"the images have {channels} channels of {height} x {width} pixels, where 1, 3 or 4 channels "
            f"were expected. If the axis of {likely} holds them, push the file again with --layout {other}",
        )


def _check_range(dataset: Dataset, low: float, high: float, reporter: Reporter) -> None:
    if dataset.train.pixels.dtype == np.uint8:
        if high * 255.0 <= _DARK_BYTES:
            reporter.warning(
                "VALUES_SMALL",
                f"the uint8 images hold no value above {high * 255:.0f}, and 0 to 255 was expected: they "
                "count as nearly black. Scale them to 255, or push them as float32 in 0..1",
            )
    elif low < 0.0:
        reporter.warning(
            "VALUES_NEGATIVE",
            f"the images run from {low:g} to {high:g}, and 0 to 1 was expected: they seem to be standardised "
            "already. Push the original images and the models with --mean and --std, or the models without",
        )
    elif high > _UNSCALED:
        reporter.warning(
            "VALUES_NOT_SCALED",
            f"the floating-point images run from {low:g} to {high:g}, and 0 to 1 was expected. Push them as "
            "uint8 or divide them by 255, unless the models take them as they are, with --scale 1",
        )


def _check_variety(dataset: Dataset, reporter: Reporter) -> None:
    pixels = dataset.train.pixels
    if len(pixels) > 1 and all(np.array_equal(image, pixels[0]) for image in pixels[1:]):
        reporter.warning(
            "IMAGES_EQUAL",
            f"all {len(pixels)} train images are the same, and images that differ were expected. Check how "
            "the file was written",
        )
        return
    channels = range(pixels.shape[1])
    constant = [channel for channel in channels if pixels[:, channel].min() == pixels[:, channel].max()]
    if constant:
        reporter.warning(
            "CHANNEL_CONSTANT",
            f"channel {', '.join(map(str, constant))} of {pixels.shape[1]} has one value in all train "
            "images, and channels that vary were expected. Check how the images were read, or leave it out",
        )


def _check_classes(dataset: Dataset, reporter: Reporter) -> None:
    for name, split in dataset.named_splits.items():
        counts = np.bincount(split.labels, minlength=dataset.class_count)
        missing = [_title(dataset, int(label)) for label in np.flatnonzero(counts == 0)]
        if missing:
            named = ", ".join(missing[:_MOST_NAMED]) + (", ..." if len(missing) > _MOST_NAMED else "")
            reporter.warning(
                "CLASS_WITHOUT_ITEMS",
                f"the {name} split has no item of {len(missing)} of {dataset.class_count} classes "
                f"({named}), and some of each were expected: nothing can be told of them there. Add items, "
                "or correct the labels",
            )


def _title(dataset: Dataset, label: int) -> str:
    return dataset.class_names[label] if dataset.class_names else str(label)
