"""The models of the table: each with what has to be possible with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from onnx import TensorProto
from torch import Tensor, nn
from torch.nn import functional

from tests.models import handmade_classifiers as made
from tests.models import handmade_vaes as vaes
from tests.models.exported_models import (
    LATENT,
    Apply,
    Dense,
    Residual,
    SqueezeExcite,
    Vae,
    convolutional,
    decoder,
    export,
    transformer,
)

Expected = Literal["trained", "refused", "decoder", "encoder", "vae"]


@dataclass(frozen=True)
class Case:
    """A model, and what is expected of it."""

    name: str
    make: Callable[[], bytes]
    expected: Expected = "trained"
    """`trained`: all steps; `refused`: loads, and the correction names `operation`; else part of a VAE."""
    operation: str = ""
    output: str | None = None
    decoder: Callable[[], bytes] | None = None
    """The second file of a `vae`; None where one file holds both halves."""


def cases() -> list[Case]:
    """Return every case that the project brings."""
    return [*_exported(), *_other_exporters(), *_refused(), *_vaes()]


def _exported() -> list[Case]:
    relu, norm = nn.ReLU, nn.BatchNorm2d
    nets: dict[str, Callable[[], bytes]] = {
        "batch norm folded": lambda: export(convolutional(norm(8), relu())),
        "batch norm separate": lambda: export(convolutional(norm(8), relu()), folded=False),
        "residual": lambda: export(
            convolutional(Residual(nn.Conv2d(8, 8, 3, padding=1), norm(8), relu()), relu()), folded=False
        ),
        "dense": lambda: export(convolutional(Dense(8, 4), Dense(12, 4), channels=16)),
        "depthwise, relu6": lambda: export(
            convolutional(nn.Conv2d(8, 8, 3, groups=8, padding=1), nn.ReLU6(), nn.Conv2d(8, 8, 1))
        ),
        "grouped, shuffled": lambda: export(
            convolutional(
                nn.Conv2d(8, 8, 3, groups=2),
                Apply(_shuffled),
                nn.Conv2d(8, 8, 1),
            )
        ),
        "squeeze and excite, hardswish": lambda: export(convolutional(SqueezeExcite(8), nn.Hardswish())),
        "transformer": lambda: export(transformer()),
        "transformer, opset 12, einsum": lambda: export(transformer(einsum=True), opset=12),
        "prelu": lambda: export(convolutional(nn.PReLU(8))),
        "swish, mish, elu, softplus": lambda: export(
            convolutional(nn.SiLU(), nn.Mish(), nn.ELU(), nn.Softplus()), opset=18
        ),
        "instance norm": lambda: export(convolutional(nn.InstanceNorm2d(8, affine=True), relu())),
        "group norm": lambda: export(convolutional(nn.GroupNorm(2, 8), relu())),
        "local response norm": lambda: export(convolutional(nn.LocalResponseNorm(3), relu())),
        "pads, slices": lambda: export(
            convolutional(
                nn.ReflectionPad2d(1), Apply(lambda v: v[:, :, ::2, 1:-1]), nn.ZeroPad2d(1), nn.AvgPool2d(2)
            )
        ),
        "split, gather": lambda: export(
            convolutional(
                Apply(
                    lambda v: torch.cat(v.split([2, 6], 1)[::-1], 1)[
                        :, torch.tensor([7, 0, 1, 2, 3, 4, 5, 6])
                    ]
                )
            )
        ),
        "glu, max over pairs": lambda: export(
            convolutional(
                Apply(lambda v: functional.glu(v, 1)),
                Apply(_pair_maxima),
                channels=2,
            )
        ),
        "dilated, max pooling": lambda: export(
            convolutional(nn.Conv2d(8, 8, 3, dilation=2), relu(), nn.MaxPool2d(3, 2, 1, ceil_mode=True))
        ),
        "upsampling inside": lambda: export(
            convolutional(nn.MaxPool2d(2), nn.Upsample(scale_factor=2, mode="bilinear"), relu())
        ),
        "softmax head": lambda: export(convolutional(relu(), head=nn.Softmax(1))),
        "log softmax head": lambda: export(convolutional(relu(), head=nn.LogSoftmax(1))),
        "dropout, tanh, sigmoid": lambda: export(
            convolutional(nn.Dropout2d(0.5), nn.Tanh(), nn.Sigmoid()), folded=False
        ),
        "weight norm": lambda: export(
            convolutional(nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 3))), folded=False
        ),
        "recurrent": lambda: export(_recurrent()),
        "batch of 1": lambda: export(convolutional(norm(8), relu()), batch=1),
        "transformer, batch of 1": lambda: export(transformer(), batch=1),
        "opset 9": lambda: export(convolutional(norm(8), relu(), nn.MaxPool2d(2)), opset=9),
        "opset 11": lambda: export(convolutional(nn.Upsample(scale_factor=2), nn.Hardswish()), opset=11),
        "opset 13": lambda: export(convolutional(nn.GELU(), nn.MaxPool2d(2)), opset=13),
        "float64": lambda: export(convolutional(norm(8), relu()).double()),
    }
    return [Case(f"torch: {name}", make) for name, make in nets.items()]


def _shuffled(values: Tensor) -> Tensor:
    n, channels, height, width = values.shape
    return (
        values.reshape(n, 2, channels // 2, height, width).transpose(1, 2).reshape(n, channels, height, width)
    )


def _pair_maxima(values: Tensor) -> Tensor:
    n, channels, height, width = values.shape
    return values.reshape(n, channels // 2, 2, height, width).amax(2)


def _recurrent() -> nn.Module:
    rows = Apply(lambda v: v.flatten(2).transpose(1, 2))
    lstm = nn.LSTM(3, 6, batch_first=True)
    return nn.Sequential(rows, lstm, Apply(lambda out: out[0][:, -1]), nn.Linear(6, made.K))


def _other_exporters() -> list[Case]:
    return [
        Case("torch's newer exporter: functions", made.torch_function),
        *(
            Case(f"layers, opset {opset}", lambda opset=opset: made.layers(opset))
            for opset in (9, 15, 21, 24, 26, 28)
        ),
        Case("layers, float16", lambda: made.layers(17, TensorProto.FLOAT16)),
        Case("layers, float64", lambda: made.layers(17, TensorProto.DOUBLE)),
        Case("layers, batch of 1", lambda: made.layers(17, batch=1)),
        Case("a graph that insists on a batch of 2", made.insisting),
        Case("tf: NHWC", made.keras_convolution),
        Case("tf: NHWC, opset 9 style", lambda: made.keras_convolution(opset=11)),
        Case("tf: batch of 1", lambda: made.keras_convolution(fixed=True)),
        Case("tf: uint8 input", lambda: made.keras_convolution(byte_input=True)),
        Case("tf: pooling, constants", made.keras_pooling),
        Case("sklearn: network", made.sklearn_network),
        Case("sklearn: network, opset 11", lambda: made.sklearn_network(opset=11)),
        Case("sklearn: network, float64", lambda: made.sklearn_network(double=True)),
        Case("sklearn: logistic regression", made.sklearn_linear),
        Case("sklearn: scaler, one against rest", lambda: made.sklearn_linear(post="LOGISTIC", scaled=True)),
        Case("sklearn: ZipMap", lambda: made.sklearn_linear(zipmap=True)),
        Case("two heads, one named", made.two_heads, output="logits"),
    ]


def _refused() -> list[Case]:
    return [
        Case("quantised: QDQ", made.quantised, "refused", "QuantizeLinear"),
        Case("quantised: weights alone", lambda: made.quantised(False), "refused", "DequantizeLinear"),
        Case("quantised: dynamic", made.quantised_operators, "refused", "MatMulInteger"),
        Case("a branch", made.branching, "refused", "If"),
        Case("sklearn: trees", made.tree_ensemble, "refused", "TreeEnsembleClassifier"),
    ]


def _vaes() -> list[Case]:
    grown = nn.ConvTranspose2d
    outputs = ("reconstruction", "mu", "logvar")
    return [
        Case(
            "decoder: transposed convolutions",
            lambda: export(decoder(grown(8, 8, 4, 2, 1), nn.ReLU(), grown(8, 8, 4, 2, 1)), (LATENT,)),
            "decoder",
        ),
        Case("decoder: nearest", lambda: export(decoder(nn.Upsample(scale_factor=4)), (LATENT,)), "decoder"),
        Case(
            "decoder: bilinear",
            lambda: export(decoder(nn.Upsample(size=(16, 16), mode="bilinear")), (LATENT,), opset=13),
            "decoder",
        ),
        Case(
            "decoder: pixel shuffle, batch of 1",
            lambda: export(decoder(nn.Conv2d(8, 32, 1), nn.PixelShuffle(4), channels=2), (LATENT,), batch=1),
            "decoder",
        ),
        Case(
            "decoder: bicubic",
            lambda: export(
                decoder(nn.Upsample(size=(16, 16), mode="bicubic", align_corners=True)), (LATENT,)
            ),
            "decoder",
        ),
        Case("vae: mu and logvar", vaes.encoder, "vae", decoder=vaes.decoder),
        Case("vae: mu and sigma", lambda: vaes.encoder("sigma"), "vae", decoder=vaes.decoder),
        Case(
            "vae: sigma without a name",
            lambda: vaes.encoder("sigma", ("45", "47")),
            "vae",
            decoder=vaes.decoder,
        ),
        Case("vae: mu alone", lambda: vaes.encoder(""), "vae", decoder=vaes.decoder),
        Case("vae: one file of torch", lambda: export(Vae(), names=outputs), "vae"),
        Case("vae: one file of torch, batch of 1", lambda: export(Vae(), names=outputs, batch=1), "vae"),
        Case("vae: one file, noise added", vaes.both, "vae"),
        Case("vae: one file, sigma", lambda: vaes.both(spread="sigma"), "vae"),
        Case("vae: one file, code is mu", lambda: vaes.both(noise=""), "vae"),
    ]
