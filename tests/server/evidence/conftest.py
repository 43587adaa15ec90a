"""Evaluations as the gate concludes them, written down by hand."""

import pytest
from defuse.v1 import models_pb2
from defuse.v1.audit_service_pb2 import Audit, Region
from defuse.v1.correction_service_pb2 import Correction, CorrectionPoint
from defuse.v1.models_pb2 import ContactSheet, Interval
from defuse.v1.promotion_service_pb2 import (
    Check,
    ClassAccuracy,
    Evaluation,
    LabelingFigures,
    RegionAccuracy,
    SecondSearch,
    Verdict,
)
from defuse.v1.registry_service_pb2 import Classifier, Dataset, Lineage
from defuse_server.evidence.materials import Materials
from defuse_server.gate.policy import Policy

AUDIT = "audits/01k0000000000000aa"
POLICY = Policy.parse("version: 1\nchecks: {annotator_agreement: off}")
SHA = {name: f"{number:064x}" for number, name in enumerate("abcdefg", 10)} | {"h": POLICY.sha256}


def checks(verdicts):
    """One check for each verdict; the second and later ones are of regions."""
    made = []
    for number, verdict in enumerate(verdicts):
        value = {"PASS": 0.97, "FAIL": 0.42, "INCONCLUSIVE": 0.9}[verdict]
        made.append(
            Check(
                check="region_accuracy" if number else "clean_accuracy_change",
                subject=f"{AUDIT}/regions/{number - 1}" if number else "",
                verdict=Verdict.Value(f"VERDICT_{verdict}"),
                value=value,
                bound=0.9,
                at_least=True,
                interval=Interval(value=value, lower=value - 0.02, upper=value + 0.02, samples=500),
                explanation=f"{value:.3f} of 500 samples get the label",
                remedy="" if verdict == "PASS" else "correct it, or label more regions",
            )
        )
    return made


def materials_of(verdict="FAIL", regions=3, class_names=("cat", "dog", "cow"), pictures=True, **fields):
    """An evaluation with `regions` regions, all labeled but the last, each with its check."""
    pass_or = [verdict if number == 1 else "PASS" for number in range(regions)]
    labeled = range(regions - 1)
    evaluation = Evaluation(
        name="evaluations/01k0000000000000ee",
        display_name="nightly",
        baseline="classifiers/01k0000000000000ba",
        candidate="classifiers/01k0000000000000ca",
        audit=AUDIT,
        baseline_sha256=SHA["a"],
        candidate_sha256=SHA["b"],
        dataset_sha256=SHA["c"],
        encoder_sha256=SHA["d"],
        decoder_sha256=SHA["e"],
        label_set_digest=SHA["f"],
        regions_artifact=f"artifacts/{SHA['g']}",
        policy=POLICY.to_yaml(),
        policy_sha256=POLICY.sha256,
        code_version="0.1.0+3f9a1c2b7d44",
        input_digest="0" * 63 + "1",
        verdict=Verdict.Value(f"VERDICT_{verdict}"),
        checks=checks(pass_or or ["PASS"]),
        test_accuracy_before=0.95,
        test_accuracy_after=0.96,
        test_size=3000,
        classes=[
            ClassAccuracy(
                label=label,
                size=1000,
                accuracy_before=0.95,
                accuracy_after=0.96,
                lost_count=5,
                gained_count=15,
            )
            for label in range(len(class_names))
        ],
        regions=[
            RegionAccuracy(
                region=f"{AUDIT}/regions/{number}",
                label=number % len(class_names),
                predicted_class=(number + 1) % len(class_names),
                confirmed=True,
                accuracy_before=0.05,
                accuracy_after=0.95,
                samples=500,
            )
            for number in labeled
        ],
        second_search=SecondSearch(
            seed_count=2,
            candidates_before=1000,
            candidates_after=1000,
            misclassifications_before=40,
            misclassifications_after=10,
            seed_candidates_before=[500, 500],
        ),
        labeling=LabelingFigures(
            region_count=regions, unlabeled_count=1, unlabeled_harm_share=0.02, alpha=0.8, overlap_count=2
        ),
        warnings=[models_pb2.Warning(reason="NO_UNUSED_TRAIN_SEEDS", message="no seeds were left")],
    )
    evaluation.times.create_time.FromSeconds(1_760_000_000)
    evaluation.times.start_time.FromSeconds(1_760_000_060)
    correction = Correction(
        name="corrections/01k0000000000000cc",
        baseline=CorrectionPoint(region_accuracy=0.05, validation_accuracy=0.95),
        control=CorrectionPoint(region_accuracy=0.1, validation_accuracy=0.96),
        curve=[
            CorrectionPoint(
                learning_rate=0.01,
                epochs=4,
                region_accuracy=0.8 + weight / 10,
                validation_accuracy=0.96,
                chosen=weight == 1,
                **{"lambda": weight},
            )
            for weight in (0.1, 0.3, 1.0)
        ],
    )
    made = {
        "evaluation": evaluation,
        "audit": Audit(name=AUDIT, vae="vaes/01k0000000000000fa", display_name="weekly audit"),
        "dataset": Dataset(name="datasets/01k0000000000000da", class_names=class_names),
        "baseline": Classifier(name=evaluation.baseline, display_name="pets 3"),
        "candidate": Classifier(
            name=evaluation.candidate,
            display_name="pets 4",
            lineage=Lineage(parent=evaluation.baseline, correction=correction.name),
        ),
        "correction": correction,
        "regions": tuple(region(number, len(class_names)) for number in range(regions)),
        "pictures": {f"{AUDIT}/regions/{n}": b"\x89PNG picture" for n in range(min(regions, 3))}
        if pictures
        else {},
    }
    return Materials(**{**made, **fields})


def region(number, classes):
    return Region(
        name=f"{AUDIT}/regions/{number}",
        seed_label=number % classes,
        predicted_class=(number + 1) % classes,
        size=20 + number,
        harm=Interval(value=1e-3 / (number + 1), lower=1e-4, upper=2e-3, samples=100),
        misclassification_rate=Interval(value=0.9, lower=0.8, upper=0.95, samples=100),
        sheet=ContactSheet(columns=4, rows=4, tile_width=28, tile_height=28, count=16),
    )


@pytest.fixture
def materials():
    """Makes them."""
    return materials_of


@pytest.fixture(scope="session")
def sha():
    return SHA
