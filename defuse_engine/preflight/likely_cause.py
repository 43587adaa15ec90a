"""The likely cause of a low accuracy: usual mistakes in preprocessing and labels are tried, not guessed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.onnx_model import Classifier, Decoder, Encoder
from defuse_engine.random_streams import numpy_generator
from defuse_engine.types import Images, Labels, Outputs, Preprocessing

HIGH_ACCURACY = 0.9
"""Up to here another preprocessing is tried."""
_CONVINCING_ACCURACY = 0.5
_SCREENED, _CONFIRMED = 128, 500
"""Images on which all trials are compared, and others on which the best is compared with the declared."""
_CLEAR = 3.0
"""Standard errors of a paired difference beyond which it is no noise."""
_LEAST_GAIN = 0.2
"""Share of the errors that must vanish: a little more accuracy is no sign of a mistake."""
_OTHER_RANGE = 0.25
_COMMON_MEAN, _COMMON_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, per channel: what most pretrained networks were trained with."""


@dataclass(frozen=True)
class Trial:
    """A way to give images to a model."""

    preprocessing: Preprocessing
    reversed: bool = False
    """Whether the channels are turned around first: BGR becomes RGB."""

    def images(self, images: Images) -> Images:
        """Return the images as this trial gives them to the preprocessing."""
        return np.ascontiguousarray(images[:, ::-1]) if self.reversed else images

    def told(self, declared: Preprocessing) -> str:
        """Say what is other than declared, as options of `defuse push`."""
        parts = [] if same(self.preprocessing, declared, 1) else [options(self.preprocessing)]
        return " and ".join([*parts, *(["the channels reversed (BGR)"] if self.reversed else [])])

    @property
    def remedy(self) -> str:
        """Say what to do about it."""
        if self.reversed:
            return (
                "Turn the images' channels around before you push the dataset: x[:, ::-1] of (N, C, H, W), "
                "x[..., ::-1] of (N, H, W, C)"
            )
        return "Check the preprocessing, and push the model again with these options"


@dataclass(frozen=True)
class Better:
    """A trial under which clearly more answers are right than as declared, on the same images."""

    trial: Trial
    accuracy: float
    declared_accuracy: float
    image_count: int


def likely_cause(classifier: Classifier, images: Images, labels: Labels, outputs: Outputs) -> str | None:
    """Name the change under which most answers are right; None if no usual one helps."""
    matched = _accuracy_in_best_order(outputs.argmax(axis=1), labels, outputs.shape[1])
    if matched > _CONVINCING_ACCURACY:
        return f"With the classes in another order it would be right on {matched:.1%}: check the label order."
    better = better_preprocessing(classifier, images, labels)
    if better is None:
        return None
    told = better.trial.told(classifier.preprocessing)
    return f"With {told} it would be right on {better.accuracy:.1%}. {better.trial.remedy}."


def warn_of_doubtful_preprocessing(
    classifier: Classifier, images: Images, labels: Labels, outputs: Outputs, reporter: Reporter
) -> None:
    """Warn if the classifier's accuracy is not high, and clearly higher under another preprocessing."""
    if float((outputs.argmax(axis=1) == labels).mean()) >= HIGH_ACCURACY:
        return
    better = better_preprocessing(classifier, images, labels)
    if better is not None:
        reporter.warning(
            "PREPROCESSING_DOUBTFUL",
            f"with the declared preprocessing ({options(classifier.preprocessing)}) the classifier is right "
            f"on {better.declared_accuracy:.1%} of {better.image_count} validation images, but with "
            f"{better.trial.told(classifier.preprocessing)} on {better.accuracy:.1%}. {better.trial.remedy}",
        )


def better_preprocessing(classifier: Classifier, images: Images, labels: Labels) -> Better | None:
    """Try the usual scales, means, deviations and orders of channels; None if none is clearly better."""

    def predict(trial: Trial, some: Images) -> Labels:
        return classifier.with_preprocessing(trial.preprocessing).predict(trial.images(some))

    declared = classifier.preprocessing
    return _better(declared, list(_trials(declared, images, reversals=True)), predict, images, labels)


def cause_of_low_readability(
    classifier: Classifier, encoder: Encoder, decoder: Decoder, images: Images, labels: Labels
) -> str:
    """Name a preprocessing of the VAE under which clearly more is readable, and ranges that do not match.

    Returns whole sentences, each with a space behind it; empty if there is nothing to say.
    """

    def reconstruct(trial: Trial, some: Images) -> Images:
        codes = encoder.with_preprocessing(trial.preprocessing)(some)
        finite = np.nan_to_num(codes, posinf=0.0, neginf=0.0)
        return np.nan_to_num(decoder.with_preprocessing(trial.preprocessing)(finite), posinf=0.0, neginf=0.0)

    def predict(trial: Trial, some: Images) -> Labels:
        return classifier.predict(reconstruct(trial, some))

    declared = encoder.preprocessing
    told: list[str] = []
    some = images[_parts(len(images))[1]]
    low, high = np.quantile(some, (0.01, 0.99))
    other_low, other_high = np.quantile(reconstruct(Trial(declared), some), (0.01, 0.99))
    if max(abs(other_low - low), abs(other_high - high)) > _OTHER_RANGE * max(high - low, 1e-9):
        told.append(
            f"The ranges do not match: nearly all values of the images are in {low:.3g}..{high:.3g}, those "
            f"of the reconstructions in {other_low:.3g}..{other_high:.3g}. "
        )
    better = _better(declared, list(_trials(declared, images, reversals=False)), predict, images, labels)
    if better is not None:
        told.append(
            f"If the VAE were pushed with {options(better.trial.preprocessing)}, not {options(declared)}, "
            f"the classifier would be right on {better.accuracy:.1%} of the reconstructions. "
        )
    return "".join(told)


def options(preprocessing: Preprocessing) -> str:
    """Return a preprocessing as options of `defuse push`."""
    told = [f"--scale {preprocessing.scale:.6g}"] if preprocessing.scale != 1.0 else []
    told += [f"--mean {value:.4g}" for value in preprocessing.mean if set(preprocessing.mean) != {0.0}]
    told += [f"--std {value:.4g}" for value in preprocessing.std if set(preprocessing.std) != {1.0}]
    return " ".join(told) or "no --scale, --mean or --std"


def pushed_with(preprocessing: Preprocessing) -> str:
    """Return a preprocessing as options of `defuse push`, with the layout."""
    return f"--layout {preprocessing.layout.lower()} and {options(preprocessing)}"


def same(one: Preprocessing, other: Preprocessing, channels: int) -> bool:
    """Tell whether two preprocessings give a model the same values."""
    return _affine(one, channels) == _affine(other, channels)


def _better(
    declared: Preprocessing,
    trials: list[Trial],
    predict: Callable[[Trial, Images], Labels],
    images: Images,
    labels: Labels,
) -> Better | None:
    """Choose the best trial on some images, and compare it with what is declared on others."""
    first, second = _parts(len(labels))
    if not len(first):
        return None
    best = max(trials, key=lambda trial: float((predict(trial, images[first]) == labels[first]).mean()))
    right, before = (predict(trial, images[second]) == labels[second] for trial in (best, Trial(declared)))
    gained, lost = int((right & ~before).sum()), int((before & ~right).sum())
    clear = gained - lost > _CLEAR * math.sqrt(gained + lost + 1)
    errors = int((~before).sum())
    if not clear or gained - lost < _LEAST_GAIN * errors:
        return None
    return Better(best, float(right.mean()), float(before.mean()), len(before))


def _parts(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to screen and those to confirm on; many files hold their items class by class."""
    order = numpy_generator(0, "preprocessing-trials").permutation(count)
    screened = min(_SCREENED, count // 2)
    return order[:screened], order[screened : screened + _CONFIRMED]


def _trials(declared: Preprocessing, images: Images, *, reversals: bool) -> Iterator[Trial]:
    """Give each usual way once, without the declared one; those that say least against it come first."""
    channels = images.shape[1]
    seen = {(False, _affine(declared, channels))}
    orders = (False, True) if reversals and channels == 3 else (False,)
    for preprocessing in _usual(declared, images):
        for turned in orders:
            key = (turned, _affine(preprocessing, channels))
            if key not in seen:
                seen.add(key)
                yield Trial(preprocessing, turned)


def _usual(declared: Preprocessing, images: Images) -> Iterator[Preprocessing]:
    of_three = images.shape[1] == 3
    normalisations: list[tuple[tuple[float, ...], tuple[float, ...]]] = [((0.0,), (1.0,)), ((0.5,), (0.5,))]
    if of_three:
        normalisations.append((_COMMON_MEAN, _COMMON_STD))
    yield declared
    # Images in 0..1 and in 0..255.
    for scale in (1.0, 1.0 / 255.0):
        yield replace(declared, scale=scale)
        for mean, std in normalisations:
            yield replace(declared, scale=scale, mean=mean, std=std)
    # Images that were normalised before they were saved, for models that take 0..1.
    for mean, std in normalisations[1:]:
        undone = tuple(-m / s for m, s in zip(mean, std, strict=True)), tuple(1 / s for s in std)
        yield replace(declared, scale=1.0, mean=undone[0], std=undone[1])
    # Images in 0..1, for models that take 0..255.
    yield replace(declared, scale=255.0)
    yield replace(declared, scale=255.0, mean=(0.0,), std=(1.0,))
    if of_three:
        for mean in (_COMMON_MEAN, _COMMON_MEAN[::-1]):
            yield replace(declared, scale=255.0, mean=tuple(255.0 * m for m in mean), std=(1.0,))
    mean, std = images.mean(axis=(0, 2, 3), dtype=np.float64), images.std(axis=(0, 2, 3), dtype=np.float64)
    if (std > 0).all():
        yield replace(declared, scale=1.0, mean=_rounded(mean), std=_rounded(std))


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{value:.3g}") for value in values)


def _affine(preprocessing: Preprocessing, channels: int) -> tuple[str, ...]:
    """Return factor and offset of each channel, rounded, as something to compare."""
    mean, std = (
        np.broadcast_to(np.asarray(values, np.float64), channels if len(values) == 1 else len(values))
        for values in (preprocessing.mean, preprocessing.std)
    )
    values = [*(preprocessing.scale / std), *(-mean / std)]
    return tuple(f"{value + 0.0:.5g}" for value in values)


def _accuracy_in_best_order(predicted: Labels, labels: Labels, class_count: int) -> float:
    confusion = np.zeros((class_count, class_count), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    present = confusion.any(axis=1)
    favourites = confusion.argmax(axis=1)[present]
    if len(set(favourites.tolist())) < len(favourites):
        return 0.0
    return float(confusion.max(axis=1).sum() / len(labels))
