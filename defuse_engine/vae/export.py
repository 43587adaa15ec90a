"""The two ONNX files of a VAE: float32, any batch size."""

from __future__ import annotations

import copy
import io
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from defuse_engine.job_folder.output_files import write_whole
from defuse_engine.vae.networks import Vae

_OPSET = 17


def export_vae(vae: Vae, encoder: Path, decoder: Path) -> None:
    """Write `encoder` (image -> mu, logvar) and `decoder` (code -> image)."""
    vae = copy.deepcopy(vae).cpu().eval()
    images, codes = torch.zeros(2, *vae.encoder.shape.image_shape), torch.zeros(2, vae.latent_size)
    _export(vae.encoder, images, encoder, "image", ["mu", "logvar"])
    _export(vae.decoder, codes, decoder, "code", ["image"])


def _export(model: nn.Module, example: Tensor, path: Path, source: str, targets: list[str]) -> None:
    content: Any = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter that needs no package beside torch is the deprecated one.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (example,),
            content,
            dynamo=False,
            opset_version=_OPSET,
            input_names=[source],
            output_names=targets,
            dynamic_axes={name: {0: "batch"} for name in (source, *targets)},
        )
    write_whole(path, lambda stream: stream.write(content.getvalue()))
