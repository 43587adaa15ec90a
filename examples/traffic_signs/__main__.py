"""The whole loop on German traffic signs: signs of one speed limit that are read as another, found and fixed.

    DEFUSE_DATA_DIR=... python -m examples.traffic_signs

The folder holds gtsrb.npz (docs/benchmarks.md says what is in it). Classifier and annotator are those of the
benchmarks; the VAE is trained by the service, from the images alone. The results are in out/traffic-signs/,
among them the pictures of the bugs and the gate's report. This takes an hour of two cores. Environment:
BUDGET_S, the time of the VAE's training (default 1200 s), and ANSWERS, the bugs that are labeled (default
200, those that are worth most first).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import defuse
import numpy as np
import onnxruntime
from defuse.messages import Audit, Bug, Classifier, Dataset, Vae
from rich.console import Console

from bench._classifiers import train_classifier
from bench._data import load, write_dataset
from examples.digits.story import percent, verdict_name
from examples.local_server import local_server
from examples.traffic_signs.signs import NAMES

FOLDER = Path("out/traffic-signs")
ANNOTATOR = "stand-in"
AGREEMENT = 0.8
"""Share of a bug's samples that must show one sign. Otherwise the answer is mixed."""
_SHOWN = 12

console = Console(highlight=False, soft_wrap=True)


def main() -> None:
    """Train, audit, label, correct and evaluate; print each step."""
    data = load("gtsrb")
    if data is None:
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    console.print("[bold]A classifier, trained to its end, and a stand-in for the people who label[/bold]")
    (FOLDER / "classifier.onnx").write_bytes(train_classifier(data, 0, "converged"))
    (FOLDER / "stand_in.onnx").write_bytes(train_classifier(data, 0, "oracle"))
    write_dataset(data, FOLDER / "dataset.npz")
    with local_server(FOLDER / "server", threads="0") as address, defuse.Client(address) as client:
        dataset = client.push_dataset(FOLDER / "dataset.npz", class_names=NAMES, display_name="signs")
        classifier = client.push_classifier(FOLDER / "classifier.onnx", display_name="signs")
        audit = _audit(client, classifier, dataset, _vae(client, classifier, dataset))
        _show(client, client.list_bugs(audit))
        _label(client, audit)
        console.print("\n[bold]Fine-tuning on the regions of the labeled bugs[/bold]")
        correction = client.correct(audit)
        evaluation = client.evaluate(audit.classifier, correction.corrected_classifier, audit)
        client.download(evaluation.evidence.html, FOLDER / "report.html")
        client.download(correction.corrected_classifier, FOLDER / "corrected.onnx")
    console.print(
        f"  {verdict_name(evaluation.verdict)}. Test accuracy {percent(evaluation.test_accuracy_before)} -> "
        f"{percent(evaluation.test_accuracy_after)}. The report is {FOLDER / 'report.html'}"
    )


def _vae(client: defuse.Client, classifier: Classifier, dataset: Dataset) -> str:
    console.print("\n[bold]A VAE, trained from the images alone[/bold]")
    budget_s = float(os.environ.get("BUDGET_S") or 1200)
    training = client.train_vae(classifier, dataset, budget_s=budget_s)
    client.download(training.reconstruction_sheet.artifact, FOLDER / "reconstructions.png")
    console.print(f"  {training.readability_summary}")
    return training.vae


def _audit(client: defuse.Client, classifier: Classifier, dataset: Dataset, vae: str | Vae) -> Audit:
    console.print("\n[bold]Searching for signs that the classifier gets wrong[/bold]")
    audit = client.start_audit(classifier, vae, dataset)
    client.wait(audit)
    audit = client.get_audit(audit)
    for warning in audit.warnings:
        console.print(f"  {warning.reason}: {warning.message}")
    return audit


def _show(client: defuse.Client, bugs: Iterable[Bug]) -> None:
    """Print the first bugs and save their pictures."""
    for number, bug in enumerate(bugs):
        if number >= _SHOWN:
            continue
        path = FOLDER / f"bug-{number:02}.png"
        client.download(bug.sheet.artifact, path)
        console.print(f"  {NAMES[bug.seed_label]} read as {NAMES[bug.predicted_class]}: {path}")


def _label(client: defuse.Client, audit: Audit) -> None:
    """Answer the tasks that are worth most from their samples alone, as an annotator does."""
    console.print("\n[bold]Labeling the bugs[/bold]")
    session = onnxruntime.InferenceSession(FOLDER / "stand_in.onnx", providers=["CPUExecutionProvider"])
    wanted = int(os.environ.get("ANSWERS") or 200)
    answers = 0
    # A run that was cut off may have left tasks leased.
    while answers < wanted and (
        tasks := client.lease_tasks(audit, ANNOTATOR, max_tasks=10, hand_back_held=not answers)
    ):
        for task in tasks[: wanted - answers]:
            path = client.download(task.sheet.samples_artifact, FOLDER / "samples.npy")
            images = np.load(path).transpose(0, 3, 1, 2).astype(np.float32) / 255.0
            (scores,) = session.run(None, {session.get_inputs()[0].name: images})
            counts = np.bincount(np.asarray(scores).argmax(axis=1), minlength=len(NAMES))
            sure = counts.max() >= AGREEMENT * len(images)
            client.submit_label(task, int(counts.argmax()) if sure else "mixed")
            answers += 1
    confirmed = sum(bug.confirmed for bug in client.list_bugs(audit))
    console.print(f"  {answers} answers, {confirmed} confirmed bugs")


if __name__ == "__main__":
    main()
