"""Checks which models of users load, convert to torch, have a gradient, and can be written back.

The benchmark has its own models (`_model_zoo`). The environment variable `MODELS` names a folder whose
`.onnx` files are added, with its subfolders. A quantised model or a tree passes if it loads and if the
refusal of its correction names the operation. A file that looks like half a VAE must have what a search
needs: a gradient with respect to its input.
"""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import torch

from bench._model_zoo import Case, Expected, cases
from defuse_engine.errors import DeviceUnavailable, EngineError, InvalidModel, Reason
from defuse_engine.inspection import inspect_classifier, inspect_vae
from defuse_engine.job_folder.job_file import ClassifierInput, VaeInput
from defuse_engine.models.device import Runtime, open_runtime
from defuse_engine.models.differentiable import (
    DifferentiableModel,
    input_differentiable,
    parity_max_abs_error,
    to_torch,
    undifferentiable_operations,
    write_back,
)
from defuse_engine.models.onnx_file import TensorSpec, parse, read_signature
from defuse_engine.models.trial import Trial
from defuse_engine.models.vae_halves import cut
from defuse_engine.models.vae_tensors import find_mu, find_spread
from defuse_engine.types import Layout, Preprocessing, VaeTensors

TOLERANCE = 1e-3
"""Largest difference between onnxruntime and torch, relative to the largest output or 1."""
FLOAT16_TOLERANCE = 3e-2
CHANGE = 0.02
"""Weights are changed by this share of their root mean square before they are written back."""


_NEVER_TRAINED = (
    "ConvInteger", "DequantizeLinear", "DynamicQuantize", "MatMulInteger", "QLinear", "QuantizeLinear", "SVM",
    "TreeEnsemble",
)  # fmt: skip


class Failed(Exception):
    """A step failed. The message says which, and how."""


def run(device: str) -> dict[str, object]:
    """Run every model through its steps, and print a row for each."""
    try:
        runtime = open_runtime(device, 1, 16)
    except DeviceUnavailable as error:
        return {"skipped": error.message}
    failures: dict[str, str] = {}
    total = 0
    for case in [*cases(), *_from_folder(os.environ.get("MODELS", ""))]:
        total += 1
        problem = _problem(case, runtime)
        if problem:
            failures[case.name] = problem
        print(f"{'FAIL' if problem else 'PASS'}  {case.expected:8} {case.name:48} {problem}", flush=True)
    return {
        "device": runtime.device,
        "passed": total - len(failures),
        "total": total,
        "failed": sorted(failures),
        "problems": failures,
    }


def _problem(case: Case, runtime: Runtime) -> str:
    steps: dict[Expected, Callable[[Case, bytes, Path, Runtime], None]] = {
        "trained": _train,
        "refused": _refuse,
        "decoder": _search,
        "encoder": _search,
        "vae": _vae,
    }
    try:
        content = case.make()
        with tempfile.TemporaryDirectory() as folder:
            steps[case.expected](case, content, Path(folder), runtime)
    except Failed as failed:
        return str(failed)
    except EngineError as error:
        return f"{error.reason}: {error.message}"
    except Exception:  # one model's defect must not hide the others' rows
        return traceback.format_exc(limit=-2).strip().replace("\n", " | ")
    return ""


def _train(case: Case, content: bytes, folder: Path, runtime: Runtime) -> None:
    described = _inspect(case, content, folder, runtime)
    if not described["differentiable"]:
        operations = described["undifferentiable_ops"]
        try:
            to_torch(content, case.output)
        except EngineError as error:
            raise Failed(f"not differentiable: {operations}: {error.message}") from error
    module = to_torch(content, case.output)
    inputs = Trial(parse(content), module.output).inputs().to(runtime.device)
    module = module.to(runtime.device)
    allowed = FLOAT16_TOLERANCE if _is_float16(content) else TOLERANCE
    _compare("parity", content, module, inputs, allowed)
    scores = module(inputs)
    weighted = scores * torch.rand(scores.shape, generator=torch.Generator().manual_seed(3)).to(scores)
    weighted.sum().backward()
    gradients = [weight.grad for weight in module.parameters()]
    if not any(gradient is not None and bool(gradient.any()) for gradient in gradients):
        raise Failed("gradient: none reaches a weight")
    if not all(gradient is None or bool(gradient.isfinite().all()) for gradient in gradients):
        raise Failed("gradient: not finite")
    before = module(inputs).detach()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for weight in module.parameters():
            noise = torch.randn(weight.shape, generator=generator).to(weight)
            weight.add_(noise * weight.square().mean().sqrt() * CHANGE)
    if torch.equal(before, module(inputs).detach()):
        raise Failed("write-back: the changed weights give the same scores")
    written = write_back(content, module)
    _compare("parity after write-back", written, module, inputs, allowed)
    if onnx.load_from_string(written).graph.node != onnx.load_from_string(
        content
    ).graph.node and not _in_nodes(content):
        raise Failed("write-back: the graph's nodes changed")
    _search(case, content, folder, runtime)


def _refuse(case: Case, content: bytes, folder: Path, runtime: Runtime) -> None:
    described = _inspect(case, content, folder, runtime)
    if described["differentiable"] or case.operation not in str(described["undifferentiable_ops"]):
        raise Failed(f"load: expected {case.operation}, got {described['undifferentiable_ops']}")
    try:
        to_torch(content, case.output)
    except InvalidModel as error:
        if error.reason is Reason.MODEL_NOT_DIFFERENTIABLE and case.operation in error.message:
            return
        raise Failed(f"refusal: {error.message}") from error
    raise Failed("refusal: the correction was not refused")


def _search(case: Case, content: bytes, folder: Path, runtime: Runtime) -> None:
    """Check what a search by gradient needs: outputs like onnxruntime's, and a gradient at the input."""
    module = input_differentiable(content, case.output).to(runtime.device)
    inputs = Trial(parse(content), module.output).inputs().to(runtime.device)
    allowed = FLOAT16_TOLERANCE if _is_float16(content) else TOLERANCE
    _compare("parity of the form without weights", content, module, inputs, allowed)
    leaf = inputs.float().requires_grad_()
    outputs = module(leaf)
    weighted = outputs * torch.rand(outputs.shape, generator=torch.Generator().manual_seed(3)).to(outputs)
    (gradient,) = torch.autograd.grad(weighted.sum(), leaf)
    if not bool(gradient.isfinite().all()):
        raise Failed("gradient at the input: not finite")


def _vae(case: Case, content: bytes, folder: Path, runtime: Runtime) -> None:
    (folder / "encoder.onnx").write_bytes(content)
    second = folder / "decoder.onnx" if case.decoder else None
    if second and case.decoder:
        second.write_bytes(case.decoder())
    described = inspect_vae(VaeInput(folder / "encoder.onnx", second, Preprocessing()), runtime)
    kind = described["tensors"]["spread_kind"]
    wanted = "sigma" if "sigma" in case.name else "none" if "alone" in case.name else "logvar"
    if case.decoder and kind != wanted:
        raise Failed(f"load: expected the spread {wanted}, got {kind}")
    if second is not None:
        _search(
            Case(case.name, case.make, output=described["tensors"]["image"]),
            second.read_bytes(),
            folder,
            runtime,
        )
        return
    halves = cut(content, VaeTensors())
    for half, output in ((halves.encoder, halves.tensors.mu), (halves.decoder, halves.tensors.image)):
        _search(Case(case.name, case.make, output=output), half, folder, runtime)


def _inspect(case: Case, content: bytes, folder: Path, runtime: Runtime) -> dict[str, Any]:
    file = folder / "classifier.onnx"
    file.write_bytes(content)
    shape = read_signature(parse(content)).input.shape
    preprocessing = Preprocessing(layout=_layout(shape))
    return inspect_classifier(ClassifierInput(file, preprocessing, "logits", case.output), runtime)


def _layout(shape: tuple[int, ...]) -> Layout:
    if len(shape) != 4:
        return "FLAT"
    return "NHWC" if shape[3] in (1, 3, 4) and shape[1] not in (1, 3, 4) else "NCHW"


def _compare(
    step: str, content: bytes, module: DifferentiableModel, inputs: torch.Tensor, allowed: float
) -> None:
    error = parity_max_abs_error(content, module, inputs)
    with torch.no_grad():
        scale = max(1.0, float(module(inputs).abs().max()))
    if not error <= allowed * scale:
        raise Failed(f"{step}: differs by {error:g}")


def _is_float16(content: bytes) -> bool:
    return any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in parse(content).graph.initializer)


def _in_nodes(content: bytes) -> bool:
    """Tell whether nodes hold weights, as constants or attributes. Such nodes change."""
    return any(node.op_type in ("Constant", "LinearClassifier") for node in parse(content).graph.node)


def _from_folder(folder: str) -> Iterator[Case]:
    for file in sorted(Path(folder).rglob("*.onnx")) if folder else []:
        yield _guessed(str(file.relative_to(folder)), file.read_bytes())


def _guessed(name: str, content: bytes) -> Case:
    """Guess what a file of an unknown folder is from its outputs; by default, a classifier."""

    def make() -> bytes:
        return content

    try:
        model = parse(content)
        outputs = read_signature(model).outputs
    except EngineError:
        return Case(name, make)
    pictures = [output for output in outputs if len(output.shape) == 4]
    codes = tuple(output for output in outputs if len(output.shape) == 2)
    mu = find_mu(codes, None, name) if codes else None
    if pictures and codes:
        return Case(name, make, "vae")
    if pictures:
        return Case(name, make, "decoder", output=pictures[0].name)
    if mu and len(codes) > 1 and _is_spread(codes, mu):
        return Case(name, make, "encoder", output=mu.name)
    return _classifier(name, make, content)


def _is_spread(codes: tuple[TensorSpec, ...], mu: TensorSpec) -> bool:
    _, kind = find_spread(codes, mu, VaeTensors(), "the file")
    return kind in ("logvar", "sigma")


def _classifier(name: str, make: Callable[[], bytes], content: bytes) -> Case:
    """Expect a refusal from a model that no correction can change."""
    operations = {node.op_type for node in parse(content).graph.node}
    refused = sorted(operation for operation in operations if operation.startswith(_NEVER_TRAINED))
    if refused:
        return Case(name, make, "refused", refused[0])
    branches = sorted(operations & {"If", "Loop", "Scan"})
    output = _named_as_scores(content)
    if branches and branches[0] in undifferentiable_operations(content, output):
        return Case(name, make, "refused", branches[0], output)
    return Case(name, make, output=output)


def _named_as_scores(content: bytes) -> str | None:
    """Name one output if several could hold scores, as users must when they register such a model."""
    outputs = [output.name for output in read_signature(parse(content)).outputs if len(output.shape) == 2]
    if len(outputs) < 2:
        return None
    return next(
        (name for name in outputs if name.lower() in ("logits", "scores", "probabilities")), outputs[-1]
    )
