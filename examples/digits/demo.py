"""The whole loop on handwritten digits: train, audit, label, correct, evaluate.

    python -m examples.digits.demo

The demo starts a server, talks to it over gRPC, and stops it. The results are in out/demo/, among them the
service's report and its signed evidence. The last printed line is one JSON object. The exit status is 0 for
every verdict: an honest FAIL is a result, too.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import defuse
import numpy as np
import onnxruntime
from defuse.evidence import verify
from defuse.messages import Audit, Correction, Evaluation, Region

from examples.digits.data import CLASS_NAMES, load
from examples.digits.narration import Narrator
from examples.digits.stand_in import Answer, StandIn
from examples.digits.story import Story
from examples.digits.train import Trained, train_all
from examples.local_server import local_server

FOLDER = Path("out/demo")
POLICY = Path(__file__).with_name("gate.yaml")
RANDOM_SEED = 0
CANDIDATES_PER_SEED = 60
KEPT_PER_SEED = 20
"""Both are above the default: a thousand seeds are few, and the classifier is small and fast."""
ANNOTATOR = "stand-in"


def run(folder: Path, random_seed: int = RANDOM_SEED) -> Story:
    """Run the demo in `folder` and replace what is there. Prints each step and writes report.html."""
    started_s = time.monotonic()
    if folder.exists():
        shutil.rmtree(folder)
    narrator = Narrator(CLASS_NAMES)
    narrator.step("Training a small classifier, a VAE and a stand-in for the annotators")
    models = train_all(folder / "models", random_seed)
    narrator.trained(models)
    with local_server(folder / "server") as address, defuse.Client(address) as client:
        loop = Loop(client, models, folder, narrator, random_seed)
        story = loop.run(started_s)
        narrator.step("The gate's verdict")
        narrator.verdict(story)
        evaluated = folder / "corrected.onnx" if story.correction else models.classifier
        keep_evidence(client, story.evaluation, evaluated, folder, narrator)
    return story


def keep_evidence(
    client: defuse.Client, evaluation: Evaluation, evaluated: Path, folder: Path, narrator: Narrator
) -> None:
    """Download the report and the signed evidence, and verify the evidence with the server's key."""
    client.download(evaluation.evidence.html, folder / "report.html")
    envelope = client.download(evaluation.evidence.envelope, folder / "evidence.json")
    key = folder / "server" / "state" / "signing-key.pem.pub"
    sha256 = hashlib.sha256(evaluated.read_bytes()).hexdigest()
    verified = verify(envelope.read_bytes(), key.read_bytes(), model_sha256=sha256)
    narrator.line(f"report: {folder / 'report.html'}, evaluated model: {evaluated}")
    narrator.line(
        f"evidence: {envelope}, verified: {verified.verdict} for this very model, signed by the server"
    )


class Loop:
    """The steps between a running server and the story."""

    def __init__(
        self, client: defuse.Client, models: Trained, folder: Path, narrator: Narrator, random_seed: int
    ) -> None:
        self._client = client
        self._models = models
        self._folder = folder
        self._narrator = narrator
        self._random_seed = random_seed
        self._stand_in = StandIn(models.stand_in)

    def run(self, started_s: float) -> Story:
        """Register, audit, label, correct, evaluate, and check the corrected file."""
        audit = self._audit()
        answers = self._label(audit)
        regions, bugs = tuple(self._client.list_regions(audit)), tuple(self._client.list_bugs(audit))
        self._narrator.labels(answers, bugs)
        correction = self._correct(audit, regions)
        evaluation = self._evaluate(audit, correction)
        before = self._test_accuracy(self._models.classifier)
        after = self._check_corrected(correction, evaluation) if correction else before
        test = load().test
        right = self._stand_in.read(test.images.numpy()) == test.labels.numpy()
        return Story(
            class_names=CLASS_NAMES,
            audit=audit,
            regions=regions,
            bugs=bugs,
            correction=correction,
            evaluation=evaluation,
            test_accuracy_before=before,
            test_accuracy_after=after,
            stand_in_test_accuracy=float(right.mean()),
            seconds=time.monotonic() - started_s,
        )

    def _audit(self) -> Audit:
        client, models = self._client, self._models
        self._narrator.step(f"Registering the models with the server at {client.address}")
        classifier = client.push_classifier(models.classifier, display_name="digits")
        vae = client.push_vae(models.encoder, models.decoder, display_name="digits")
        dataset = client.push_dataset(models.dataset, class_names=CLASS_NAMES, display_name="digits")
        self._narrator.line(f"{classifier.name}, {vae.name}, {dataset.name}: all inspected and ready")
        self._narrator.step("Searching for digits that the classifier gets wrong")
        audit = client.start_audit(
            classifier,
            vae,
            dataset,
            seed=self._random_seed,
            candidates_per_seed=CANDIDATES_PER_SEED,
            kept_per_seed=KEPT_PER_SEED,
            annotators_per_region=1,
        )
        pool = ThreadPoolExecutor(2)
        try:
            shown = [pool.submit(show, audit) for show in (self._show_misclassifications, self._show_bugs)]
            for stream in shown:
                stream.result()
        finally:
            # an interrupted demo must not wait for the audit; closing the client ends the streams
            pool.shutdown(wait=False)
        client.wait(audit)
        audit = client.get_audit(audit)
        self._narrator.audit(audit)
        return audit

    def _show_misclassifications(self, audit: Audit) -> None:
        for batch in self._client.misclassification_batches(audit):
            self._narrator.misclassifications(batch.misclassifications)

    def _show_bugs(self, audit: Audit) -> None:
        for bug in self._client.bugs(audit):
            self._narrator.bug(bug)

    def _label(self, audit: Audit) -> list[Answer]:
        """Answer every task from its samples alone, blind to prediction and seed as annotators are."""
        self._narrator.step("Labeling the bugs, with a stand-in for people")
        answers: list[Answer] = []
        # A run that was cut off may have left tasks leased.
        while tasks := self._client.lease_tasks(audit, ANNOTATOR, max_tasks=10, hand_back_held=not answers):
            for task in tasks:
                answer = self._stand_in.answer(self._samples(task.sheet.samples_artifact))
                said = "mixed" if answer.label is None else answer.label
                self._client.submit_label(task, said, note=answer.note)
                answers.append(answer)
        return answers

    def _correct(self, audit: Audit, regions: tuple[Region, ...]) -> Correction | None:
        if not any(region.confirmed for region in regions):
            self._narrator.step("No bug is confirmed: there is nothing to correct")
            return None
        self._narrator.step("Fine-tuning on the regions of the labeled bugs")
        correction = self._client.correct(audit, seed=self._random_seed)
        self._narrator.point(correction.baseline)
        for point in correction.curve:
            self._narrator.point(point)
        return correction

    def _evaluate(self, audit: Audit, correction: Correction | None) -> Evaluation:
        """Evaluate the corrected classifier. Without one, evaluate the classifier itself."""
        self._narrator.step("Evaluating the classifier on fresh samples and the test split")
        candidate = correction.corrected_classifier if correction else audit.classifier
        return self._client.evaluate(
            audit.classifier,
            candidate,
            audit,
            policy=POLICY.read_text(encoding="utf-8"),
            seed=self._random_seed,
            display_name="digits, labeled by a stand-in for people",
        )

    def _check_corrected(self, correction: Correction, evaluation: Evaluation) -> float:
        """Download the corrected model, measure it, and return its test accuracy.

        Raises RuntimeError if the figure differs from the server's.
        """
        path = self._client.download(correction.corrected_classifier, self._folder / "corrected.onnx")
        measured = self._test_accuracy(path)
        # allow one item: another device may round a tie the other way
        if abs(measured - evaluation.test_accuracy_after) > 1.5 / evaluation.test_size:
            raise RuntimeError(
                f"expected a test accuracy of {evaluation.test_accuracy_after:.4f}, as the server measured; "
                f"the downloaded file has {measured:.4f}"
            )
        self._narrator.line(
            f"{path.name}, downloaded and run here with onnxruntime: test accuracy {measured:.4f}, "
            "as the server says"
        )
        return measured

    def _test_accuracy(self, model: Path) -> float:
        test = load().test
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        (logits,) = session.run(None, {session.get_inputs()[0].name: test.images.numpy()})
        return float((np.asarray(logits).argmax(1) == test.labels.numpy()).mean())

    def _samples(self, artifact: str) -> np.ndarray:
        """Return a task's samples as the stand-in reads them."""
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            samples = np.load(self._client.download(artifact, Path(folder) / "samples.npy"))
        return (samples.transpose(0, 3, 1, 2) / 255.0).astype(np.float32)


def _terminate(signal_number: int, _frame: FrameType | None) -> None:
    # an exception lets the demo stop the server on its way out
    sys.exit(128 + signal_number)


def main() -> None:
    """Run the demo in out/demo/ and print its summary."""
    signal.signal(signal.SIGTERM, _terminate)
    story = run(FOLDER)
    print()
    print(json.dumps(story.summary()))


if __name__ == "__main__":
    main()
