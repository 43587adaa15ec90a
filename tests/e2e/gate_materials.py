"""What the gates of registries are tested with: a service that has audited the baseline, and candidates.

The truth is z0 > 0. The baseline says z0 > 0.5 and is wrong in the stripe between; so is its one region.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import defuse

BASELINE, BETTER, WORSE = "baseline", "better", "worse"
POLICY = "version: 1\nchecks:\n  annotator_agreement: off\n"
"""One annotator says what is true; nobody is there to agree with."""
BOUNDARIES = {BASELINE: 0.5, BETTER: 0.0, WORSE: 1.0}


@dataclass(frozen=True)
class Materials:
    """Names in the service, and the classifiers' files by name."""

    address: str
    baseline: str
    vae: str
    dataset: str
    labeled: str
    """An audit of the baseline whose regions people labeled."""
    unlabeled: str
    """One whose regions nobody labeled: it lets nothing be promoted."""
    files: Mapping[str, Path]
    policy: Path
    public_key: Path
    """Of the service's signatures."""


def make(address: str, state: Path, tiny_models: ModuleType, folder: Path) -> Materials:
    """Register what is needed, run both audits and label one."""
    for name, boundary in BOUNDARIES.items():
        (folder / f"{name}.onnx").write_bytes(tiny_models.classifier(boundary))
    (folder / "encoder.onnx").write_bytes(tiny_models.encoder())
    (folder / "decoder.onnx").write_bytes(tiny_models.decoder())
    (folder / "gate.yaml").write_text(POLICY)
    (folder / "dataset.npz").write_bytes(tiny_models.dataset())
    with defuse.Client(address) as client:
        vae = client.push_vae(folder / "encoder.onnx", folder / "decoder.onnx").name
        dataset = client.push_dataset(folder / "dataset.npz", class_names=["left", "right"]).name
        baseline = client.push_classifier(folder / "baseline.onnx").name
        audits = [
            client.start_audit(baseline, vae, dataset, seed=seed, annotators_per_region=1) for seed in (1, 0)
        ]
        for audit in audits:
            client.wait(audit)
        # The newest, which is taken where no audit is named.
        unlabeled, labeled = (audit.name for audit in audits)
        label_all(client, labeled)
    files = {name: folder / f"{name}.onnx" for name in BOUNDARIES}
    policy = folder / "gate.yaml"
    key = state / "signing-key.pem.pub"
    return Materials(address, baseline, vae, dataset, labeled, unlabeled, files, policy, key)


def label_all(client: defuse.Client, audit: str) -> None:
    """Say of every region what is true: `right`."""
    while tasks := client.lease_tasks(audit, "ada"):
        for task in tasks:
            client.submit_label(task, 1)


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.out)


def run(address: str, *arguments: str, **environment: str) -> Ran:
    """Run the command `defuse`."""
    command = [str(Path(sys.executable).with_name("defuse")), "--address", address, *arguments]
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False, env=os.environ | environment
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)
