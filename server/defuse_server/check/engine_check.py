"""Runs the engine on a tiny classifier, on the device of the settings."""

import base64
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from defuse.v1.registry_service_pb2 import Classifier

from defuse_server.check.finding import Finding, ok, warning, wrong
from defuse_server.host.settings import Settings
from defuse_server.jobs.job_inputs import JobInputs
from defuse_server.store.artifacts import ArtifactStore
from defuse_server.worker.engine_events import EngineFailure, ResultReady, StageProgress, UnreadableLine
from defuse_server.worker.engine_process import running_engine
from defuse_server.worker.gpus import read_gpus
from defuse_server.worker.job_folder import JobPlan, build_folder

_PATIENCE_S: Final = 120
_CLASSIFIER: Final = base64.b64decode(
    "CAg6oAEKFgoFaW1hZ2USBGZsYXQiB0ZsYXR0ZW4KGQoEZmxhdAoBdxIGbG9naXRzIgZNYXRNdWwSAWcqKwgECAIQAUIBd0ogAAAA"
    "AAAAgD8AAAAAAACAPwAAAAAAAIA/AAAAAAAAgD9aIAoFaW1hZ2USFwoVCAESEQoDEgFOCgIIAQoCCAIKAggCYhkKBmxvZ2l0cxIP"
    "Cg0IARIJCgMSAU4KAggCQgQKABAR"
)
"""ONNX: the logits of two classes of an image (1, 2, 2)."""


async def check_engine(settings: Settings) -> list[Finding]:
    """Run a job as a worker does. It tells what the device is, and which providers onnxruntime has."""
    providers = _providers()
    if isinstance(providers, Finding):
        return [providers]
    found = [ok("onnxruntime", f"has {', '.join(providers)}")]
    start_s = time.monotonic()
    with tempfile.TemporaryDirectory() as stored, tempfile.TemporaryDirectory() as folder:
        store = ArtifactStore(stored)
        artifact = await store.put_bytes(_CLASSIFIER)
        inputs = JobInputs().classifier("classifier", Classifier(artifact=artifact.name))
        await build_folder(Path(folder), JobPlan("inspect_classifier", inputs), store, settings)
        device, problem = await _run(Path(folder), settings)
    if problem:
        advice = "Set DEFUSE_DEVICE to what is there: auto, cpu or cuda:N. A GPU needs NVIDIA's driver."
        return [*found, wrong("engine", problem, advice)]
    gpus = read_gpus()
    if device == "cpu" and settings.device == "auto" and gpus:
        told = f"it runs on the CPU, and this machine has {len(gpus)} GPU(s)"
        advice = "Set DEFUSE_DEVICE=cuda:0 and check again: then it says why the GPU can't be used."
        return [*found, warning("engine", told, advice)]
    return [*found, ok("engine", f"ran a tiny job on {device} in {time.monotonic() - start_s:.1f} s")]


async def _run(folder: Path, settings: Settings) -> tuple[str, str]:
    """Run the job in a folder. Returns the device on which it ran, and what went wrong or an empty text."""
    device, problem = "", "the engine ended without an answer"
    async with running_engine(
        folder, memory_limit_bytes=settings.job_memory_bytes, threads=settings.threads
    ) as engine:
        try:
            async for event in engine.events():
                match event:
                    case StageProgress():
                        device = event.device
                    case EngineFailure():
                        problem = event.message
                    case ResultReady():
                        problem = ""
                    case _:
                        pass
        except UnreadableLine as error:
            problem = str(error)
        ended = await engine.exit()
    if problem and ended.stderr_tail:
        problem = f"{problem}: {ended.stderr_tail.strip().splitlines()[-1]}"
    return device, problem


def _providers() -> list[str] | Finding:
    """Ask onnxruntime in a process of its own, which a broken library can end."""
    code = "import json, onnxruntime; print(json.dumps(onnxruntime.get_available_providers()))"
    command = [sys.executable, "-P", "-c", code]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)  # noqa: S603 - ours
    except subprocess.TimeoutExpired as error:
        return wrong("onnxruntime", str(error), "Look what keeps this machine busy.")
    if ran.returncode == 0:
        return json.loads(ran.stdout)
    last = (ran.stderr.strip().splitlines() or [f"it ended with status {ran.returncode}"])[-1]
    return wrong("onnxruntime", f"it can't be loaded: {last}", "Install the extra: defuse-audit[engine].")
