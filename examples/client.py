"""Audit a classifier.

    python client.py FOLDER

FOLDER holds classifier.onnx, encoder.onnx, decoder.onnx and dataset.npz.
"""

import sys
from pathlib import Path

import defuse

folder = Path(sys.argv[1])
with defuse.Client() as client:
    classifier = client.push_classifier(folder / "classifier.onnx")
    vae = client.push_vae(folder / "encoder.onnx", folder / "decoder.onnx")
    dataset = client.push_dataset(folder / "dataset.npz")
    audit = client.start_audit(classifier, vae, dataset, max_seeds=1000)
    for bug in client.bugs(audit):
        print(f"{bug.name}: {bug.seed_label} read as {bug.predicted_class}, {bug.harm_share:.0%} of all harm")
    client.wait(audit)  # raises defuse.JobFailed, with the reason, if the audit failed
