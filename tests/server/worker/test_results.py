"""What passes between a record and the engine's files: settings into job.json, figures out of result.json."""

import numpy as np
import pytest
from defuse.v1.audit_service_pb2 import (
    PRESET_DEFAULT,
    PRESET_PAPER,
    SEARCH_METHOD_GRADIENT,
    SEARCH_METHOD_NEIGHBOURHOOD,
    SEARCH_METHOD_PAPER,
    STOP_REASON_SATURATED,
    STOP_REASON_SEEDS_EXHAUSTED,
    CalibrationFigures,
    SaturationPoint,
)
from defuse.v1.correction_service_pb2 import CORRECTION_PRESET_PAPER, Correction, CorrectionConfig
from defuse.v1.models_pb2 import JOB_STATE_QUEUED, Interval
from defuse.v1.registry_service_pb2 import Vae
from defuse_server.jobs.job_inputs import JobInputs
from defuse_server.labels import label_set
from defuse_server.worker.audit import AuditWork
from defuse_server.worker.correction import CorrectionWork
from defuse_server.worker.fence import Fence
from defuse_server.worker.job_config import config_json
from defuse_server.worker.supervisor import Supervisor

PREFLIGHT = {
    "classifier_accuracy": 0.98,
    "reconstruction_accuracy": 0.96,
    "readability": 0.641,
    "classifier_readability": {"value": 0.979, "lower": 0.93, "upper": 0.99, "samples": 98},
    "independent_readability": {"value": 0.641, "lower": 0.54, "upper": 0.73, "samples": 92},
    "flattery": {"value": 0.22, "lower": 0.15, "upper": 0.31, "samples": 95},
    "readability_summary": "Independent readers still read 64%.",
    "reconstruction_mse": 0.01,
    "sample_size": 100,
    "value_min": 0.0,
    "value_max": 1.0,
    "output_kind": "logits",
    "mean_row_sum": 0.5,
    "class_count": 2,
    "latent_std": 1.0,
}
USED = {
    "preset": "default",
    "max_seeds": 50,
    "candidates_per_seed": 20,
    "kept_per_seed": 5,
    "noise_scale": 0.15,
    "neighbours": 15,
    "agreement_threshold": 0.8,
    "tau": 0.5,
    "methods": ["neighbourhood", "gradient"],
    "max_candidates": 0,
    "budget_s": 0.0,
    "patience_shards": 8,
    "belief_threshold": 0.7,
}
CALIBRATION = {
    "items": 480,
    "bug_share": 0.25,
    "expected_calibration_error": 0.02,
    "brier_score": 0.09,
}


def result(**fields) -> dict:
    return {
        "config": USED,
        "preflight": PREFLIGHT,
        "seeds": 40,
        "warnings": [],
        "regions": [],
        "bugs": [],
        "gold": [],
        "readers": None,
        "saturation": [
            {"candidates": 400, "misclassifications": 12, "regions": 1},
            {"candidates": 800, "misclassifications": 20, "regions": 1},
        ],
        "stop_reason": "saturated",
        "calibration": CALIBRATION,
        **fields,
    }


@pytest.fixture
async def work(tiny, backend):
    """The work of an audit that this process has claimed."""

    async def make(**config) -> AuditWork:
        audit = await tiny.audit(**config)
        claim = await Fence(backend.redis, "test", 30.0).claim(audit.name)
        # Without a supervisor: an audit runs no further job.
        return AuditWork(audit, claim.attempt, backend, None)

    return make


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "output").mkdir()
    np.savez(tmp_path / "output" / "regions.npz", weights=np.zeros(0))
    return tmp_path


async def test_settings_reach_the_engine_by_name_and_unset_ones_are_left_to_it(work):
    plan = await (
        await work(
            methods=[SEARCH_METHOD_GRADIENT],
            max_candidates=5000,
            budget_s=1.5,
            patience_shards=-1,
            belief_threshold=0.75,
        )
    ).plan()
    assert plan.config == {
        "preset": "default",
        "noise_scale": 0.3,
        "candidates_per_seed": 10,
        "methods": ["gradient"],
        "max_candidates": 5000,
        "budget_s": 1.5,
        "patience_shards": -1,
        "belief_threshold": 0.75,
    }
    assert (await (await work()).plan()).config.keys() == {"preset", "noise_scale", "candidates_per_seed"}


async def test_the_record_has_the_readability_and_what_it_is_made_of(work, folder):
    job = await work()
    await job.conclude(result(), folder)
    preflight = job.message.preflight
    assert preflight.readability == 0.641
    assert preflight.classifier_readability == Interval(value=0.979, lower=0.93, upper=0.99, samples=98)
    assert preflight.independent_readability.upper == 0.73
    assert preflight.flattery == Interval(value=0.22, lower=0.15, upper=0.31, samples=95)
    assert preflight.readability_summary == "Independent readers still read 64%."
    unable = {**PREFLIGHT, "independent_readability": None, "flattery": None}
    await job.conclude(result(preflight=unable), folder)
    assert not preflight.HasField("independent_readability")
    assert not preflight.HasField("flattery")


@pytest.mark.parametrize(("training", "entry"), [("", None), ("vaeTrainings/t", "defuse")])
def test_the_engine_is_told_whether_defuse_trained_the_vae(training, entry):
    vae = Vae(encoder_artifact="artifacts/a", decoder_artifact="artifacts/b", training=training)
    assert JobInputs().vae(vae).entries["vae"].get("trained_by") == entry


async def test_the_record_shows_how_the_search_went_and_how_far_it_is_believed(work, folder):
    job = await work()
    await job.conclude(result(), folder)
    audit = job.message
    assert list(audit.saturation) == [
        SaturationPoint(candidates=400, misclassifications=12, regions=1),
        SaturationPoint(candidates=800, misclassifications=20, regions=1),
    ]
    assert audit.stop_reason == STOP_REASON_SATURATED
    assert audit.calibration == CalibrationFigures(
        items=480, bug_share=0.25, expected_calibration_error=0.02, brier_score=0.09
    )
    assert audit.config.preset == PRESET_DEFAULT
    assert list(audit.config.methods) == [SEARCH_METHOD_NEIGHBOURHOOD, SEARCH_METHOD_GRADIENT]
    assert (audit.config.patience_shards, audit.config.belief_threshold) == (8, 0.7)

    # A later attempt that concludes again says the same once.
    await job.conclude(result(), folder)
    assert len(audit.saturation) == 2
    assert len(audit.config.methods) == 2


async def test_an_audit_as_published_has_no_calibration(work, folder):
    job = await work()
    used = {**USED, "preset": "paper", "methods": ["paper"], "belief_threshold": 0.0}
    await job.conclude(result(config=used, calibration=None, stop_reason="seeds_exhausted"), folder)
    assert not job.message.HasField("calibration")
    assert job.message.stop_reason == STOP_REASON_SEEDS_EXHAUSTED
    assert job.message.config.preset == PRESET_PAPER
    assert list(job.message.config.methods) == [SEARCH_METHOD_PAPER]


POINT = {
    "lambda": 0.1,
    "learning_rate": 0.001,
    "epochs": 15,
    "validation_accuracy": 0.98,
    "region_accuracy": 0.9,
    "training_loss": 0.05,
    "diverged": False,
    "chosen": True,
    "worst_class_change": -0.004,
}
WITHOUT_REGIONS = {**POINT, "lambda": None, "chosen": False, "region_accuracy": 0.6}


@pytest.fixture
async def correction_work(tiny, backend, work, folder):
    """The work of a correction that this process has claimed, of an audit without regions."""
    (folder / "work").mkdir()
    audit = await work()
    await audit.conclude(result(), folder)
    await audit.attempt.succeed(audit.message)
    await label_set.keep(backend.store, [])
    digest = (await backend.store.put_bytes(b"[]")).sha256

    async def make(**config) -> CorrectionWork:
        correction = await tiny.submit(
            Correction(
                state=JOB_STATE_QUEUED,
                audit=audit.message.name,
                label_set_digest=digest,
                config=CorrectionConfig(**config),
            )
        )
        fence = Fence(backend.redis, "test", 30.0)
        claim = await fence.claim(correction.name)
        return CorrectionWork(correction, claim.attempt, backend, Supervisor(backend, fence, folder / "work"))

    return make


async def test_a_corrections_preset_reaches_the_engine(correction_work):
    paper = await (await correction_work(preset=CORRECTION_PRESET_PAPER, epochs=3)).plan()
    assert (paper.config["preset"], paper.config["epochs"]) == ("paper", 3)
    assert (await (await correction_work()).plan()).config.get("preset", "default") == "default"


async def test_a_correction_learns_which_items_its_audit_started_from(correction_work, backend):
    job = await correction_work()
    plan = await job.plan()
    audit = await backend.resources.get(job.message.audit)
    assert plan.config["audit"] == config_json(audit.config)
    assert plan.config["audit_seed"] == audit.config.seed


async def test_a_correction_shows_its_control_and_what_the_worst_class_lost(correction_work, folder, tiny):
    job = await correction_work(preset=CORRECTION_PRESET_PAPER)
    (folder / "output" / "corrected.onnx").write_bytes(tiny.models.classifier())
    used = {
        "preset": "paper",
        "learning_rate": 0.001,
        "epochs": 15,
        "samples_per_region": 100,
        "lambdas": [0.1],
    }
    corrected = {
        "config": used,
        "corrected": "output/corrected.onnx",
        "baseline": {**WITHOUT_REGIONS, "worst_class_change": 0.0},
        "control": {**WITHOUT_REGIONS, "validation_accuracy": 0.975},
        "curve": [POINT],
        "parity_max_abs_error": 1e-6,
        "warnings": [],
    }
    await job.conclude(corrected, folder)
    correction = job.message
    assert correction.config.preset == CORRECTION_PRESET_PAPER
    assert (correction.control.validation_accuracy, getattr(correction.control, "lambda")) == (0.975, 0.0)
    assert not correction.control.chosen
    (point,) = correction.curve
    assert (point.worst_class_change, point.chosen) == (-0.004, True)
    assert correction.corrected_classifier.startswith("classifiers/")
