"""The engine's vocabulary: arrays with their shapes, the inputs of models, results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar, cast

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64, UInt8

from defuse_engine.covariance import Covariance
from defuse_engine.errors import JobInvalid
from defuse_engine.strict_json import Fields, number

Images = Float32[np.ndarray, "n c h w"]
Codes = Float32[np.ndarray, "n d"]
Outputs = Float32[np.ndarray, "n k"]
Labels = Int64[np.ndarray, " n"]

Layout = Literal["NCHW", "NHWC", "FLAT"]
OutputKind = Literal["logits", "probabilities"]
SpreadKind = Literal["auto", "logvar", "sigma", "none"]

LAYOUTS: tuple[Layout, ...] = ("NCHW", "NHWC", "FLAT")
OUTPUT_KINDS: tuple[OutputKind, ...] = ("logits", "probabilities")
SPREAD_KINDS: tuple[SpreadKind, ...] = ("auto", "logvar", "sigma", "none")
SPLIT_NAMES = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = 0, 1, 2


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes a model's input: `(image * scale - mean) / std` per channel, laid out as `layout`.

    `mean` and `std` hold one value for all channels, or one a channel.
    """

    layout: Layout = "NCHW"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    @classmethod
    def from_json(cls, value: object, where: str = "preprocessing") -> Preprocessing:
        """Read the object of a job file; absent keys take their defaults."""
        with Fields(value, where) as fields:
            preprocessing = cls(
                layout=fields.choice("layout", "NCHW", LAYOUTS),
                scale=fields.number("scale", 1.0, 0.0, 1e9, above=True),
                mean=tuple(number(v, at, -1e9, 1e9) for at, v in fields.items("mean", (0.0,))),
                std=tuple(number(v, at, 0.0, 1e9, above=True) for at, v in fields.items("std", (1.0,))),
            )
        if not preprocessing.mean or not preprocessing.std:
            raise JobInvalid(f"{where}.mean and .std must hold one value, or one a channel; got none")
        return preprocessing


@dataclass(frozen=True)
class VaeTensors:
    """Names of a VAE's tensors; one that is None is found by usual names, shapes and values."""

    mu: str | None = None
    """The encoder's output mu (n, D)."""
    spread: str | None = None
    """The encoder's output logvar or sigma (n, D)."""
    spread_kind: SpreadKind = "auto"
    code: str | None = None
    """The decoder's input z (n, D); if one file holds both halves, the start of the decoding half."""
    image: str | None = None
    """The decoder's output."""

    @classmethod
    def from_json(cls, value: object, where: str = "tensors") -> VaeTensors:
        """Read the object of a job file; tensors of absent keys are found later."""
        with Fields(value, where) as fields:
            names = {name: fields.text(name) for name in ("mu", "spread", "code", "image") if name in fields}
            return cls(**names, spread_kind=fields.choice("spread_kind", "auto", SPREAD_KINDS))


class Described:
    """The base of dataclasses that `result.json` has as objects, field by field."""

    def to_json(self) -> dict[str, Any]:
        """Return the object, made of what JSON has: a tuple is a list there."""
        return json.loads(json.dumps(asdict(cast(Any, self))))


SomeRows = TypeVar("SomeRows", bound="Rows")


class Rows:
    """The base of dataclasses of arrays that have one length: row i of every array is the same thing."""

    def __len__(self) -> int:
        return len(next(iter(vars(self).values())))

    def __getitem__(self: SomeRows, rows: slice | np.ndarray) -> SomeRows:
        """Return the chosen rows of every array that is not None."""
        return type(self)(**{name: None if a is None else a[rows] for name, a in vars(self).items()})


def concatenate(parts: Sequence[SomeRows]) -> SomeRows:
    """Join at least one part, row after row; arrays that are None in the first stay so."""
    given = [name for name, values in vars(parts[0]).items() if values is not None]
    return type(parts[0])(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in given})


@dataclass(frozen=True)
class Misclassifications(Rows):
    """Misclassified candidates; row i of every array is the same candidate."""

    codes: Codes
    seed_index: Int64[np.ndarray, " n"]
    """Index into the split."""
    seed_split: UInt8[np.ndarray, " n"]
    """0 train, 1 validation, 2 test."""
    seed_label: Int32[np.ndarray, " n"]
    predicted_class: Int32[np.ndarray, " n"]
    confidence: Float32[np.ndarray, " n"]
    """Probability of the predicted class."""
    delta_norm: Float32[np.ndarray, " n"]
    agreement: Float32[np.ndarray, " n"]
    """Share of the train codes nearest to the input, encoded again, that bear the seed's label; NaN if none
    was asked."""
    bug_probability: Float32[np.ndarray, " n"]
    """That the input does not show the predicted class; 0 if no belief model was asked."""
    method: UInt8[np.ndarray, " n"]
    """Number of the search method that found it: 1 paper, 2 neighbourhood, 3 gradient."""


@dataclass(frozen=True)
class Chunk:
    """One finished shard of a search."""

    misclassifications: Misclassifications
    candidates: int
    """Candidates tried."""
    seeds: int
    """Seeds of the shard that took part."""
    not_finite: int = 0
    """Candidates left out because decoder or classifier answered NaN or infinite values."""


@dataclass(frozen=True)
class Interval:
    """A rate with its 95% interval."""

    value: float
    lower: float
    upper: float
    samples: int


@dataclass(frozen=True)
class Regions:
    """The regions of an audit, as in `regions.npz`; row i of every array, and covariance i, is region i."""

    weights: Float64[np.ndarray, " r"]
    means: Float64[np.ndarray, "r d"]
    covariances: tuple[Covariance, ...]
    seed_labels: Int32[np.ndarray, " r"]
    predicted_classes: Int32[np.ndarray, " r"]
    sizes: Int64[np.ndarray, " r"]
    member_offsets: Int64[np.ndarray, " r+1"]
    members: Int64[np.ndarray, " m"]
    """Row numbers of each region's codes, over all chunks in shard order."""
    tau: float

    def __len__(self) -> int:
        return len(self.weights)

    def members_of(self, number: int) -> Int64[np.ndarray, " _"]:
        """Return the row numbers of one region's codes."""
        return self.members[self.member_offsets[number] : self.member_offsets[number + 1]]
