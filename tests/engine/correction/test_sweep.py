"""The last stages of a sweep: on what was mined, and gently; which of them is kept."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from defuse_engine.configs import AuditConfig
from defuse_engine.correction import sweep
from defuse_engine.correction.choose_lambda import Point
from defuse_engine.correction.disputed_regions import DisputedRegions
from defuse_engine.correction.fine_tuning import RELATIVE_ADAM, Tuned, Tuning
from defuse_engine.correction.labeled_regions import LabeledRegions, LabeledSamples
from defuse_engine.correction.measure import Measure
from defuse_engine.correction.mining import Miner
from defuse_engine.correction.sweep import Sweep
from defuse_engine.models.torch_form.differentiable import to_torch
from defuse_engine.regions.rated_regions import as_arrays
from defuse_engine.search.calibrated_belief import calibrated_belief
from defuse_engine.search.seeds import first_search_seeds
from defuse_engine.types import Preprocessing


def point(validation: float, regions: float) -> Point:
    return Point(0.1, 0.01, 3, validation, 0.002, regions, 0.0, diverged=False)


BASELINE, CONTROL = point(0.95, 0.1), point(0.96, 0.2)
FIRST, LONGER, FASTER = point(0.96, 0.98), point(0.965, 0.975), point(0.955, 0.99)


@pytest.fixture
def chosen(monkeypatch, open_sweep) -> Callable[..., tuple[float, float]]:
    """Run a sweep whose points are given, in their order; both accuracies of the one that it chooses."""

    def run(
        mined_count: int, *points: Point, control: Point = CONTROL, first=(FIRST, LONGER, FASTER)
    ) -> tuple[float, float]:
        coming = iter([*first, *points])
        mined = LabeledSamples(
            np.zeros((mined_count, 1, 2, 3), np.float32),
            np.zeros(mined_count, np.int64),
        )
        monkeypatch.setattr(Miner, "mine", lambda miner, tuned: mined)
        monkeypatch.setattr(sweep, "fine_tune", lambda model, *rest: Tuned(model, 0.0, diverged=False))

        def measured(measure, tuned, setting, epochs, mined_count=0) -> Point:
            return control if setting.region_weight == 0.0 else next(coming)

        monkeypatch.setattr(Measure, "point", measured)
        best = open_sweep().run((0.1,), 0.01, 3).chosen
        assert next(coming, None) is None
        return best.validation_accuracy, best.region_accuracy

    return run


@pytest.fixture
def open_sweep(open_run, graphs) -> Callable[[], Sweep]:
    """Open a sweep of the analytic classifier."""

    def open_it() -> Sweep:
        run = open_run(seed=0)
        seeds = first_search_seeds(run, AuditConfig(max_seeds=50), 0)
        clean = run.inputs.dataset.train
        samples = LabeledSamples(clean.images(slice(0, 50)), clean.labels[:50])
        right = np.ones(len(run.inputs.dataset.validation), bool)
        disputed = DisputedRegions(LabeledRegions((), as_arrays([], 0.1, 2)))
        return Sweep(
            run,
            to_torch(graphs.classifier()),
            Tuning(RELATIVE_ADAM, Preprocessing(), "logits", clean, (samples,), 64, baseline_loss=0.5),
            Measure(run.inputs, samples, right),
            BASELINE,
            Miner(run, seeds, disputed, calibrated_belief(run, AuditConfig()), AuditConfig(), None),
        )

    return open_it


def test_where_the_mined_stage_costs_nothing_the_gentle_one_goes_on_from_it(chosen):
    mined, gentle = point(0.964, 0.98), point(0.97, 0.99)
    assert chosen(5, mined, gentle) == (0.97, 0.99)


def test_what_the_mined_stage_cost_may_be_won_back_gently(chosen):
    mined, gentle, both = point(0.94, 0.95), point(0.97, 0.99), point(0.969, 0.975)
    assert chosen(5, mined, gentle, both) == (0.969, 0.975)


def test_what_is_not_won_back_is_not_kept(chosen):
    mined, gentle, both = point(0.94, 0.95), point(0.97, 0.99), point(0.969, 0.96)
    assert chosen(5, mined, gentle, both) == (0.97, 0.99)


def test_a_mined_stage_that_diverged_is_left_alone(chosen):
    mined, gentle = dataclasses.replace(point(0.3, 0.5), diverged=True), point(0.97, 0.99)
    assert chosen(5, mined, gentle) == (0.97, 0.99)


def test_a_mined_stage_that_ruins_what_was_known_costs_nothing(chosen):
    mined, gentle, both = point(0.5, 0.05), point(0.97, 0.99), point(0.5, 0.04)
    assert chosen(5, mined, gentle, both) == (0.97, 0.99)


def test_where_more_steps_repair_all_regions_no_larger_ones_are_tried(chosen):
    repaired = dataclasses.replace(LONGER, region_accuracy=0.985)
    assert chosen(5, point(0.964, 0.98), point(0.97, 0.99), first=(FIRST, repaired)) == (0.97, 0.99)


def test_where_nothing_was_mined_the_gentle_stage_goes_on_from_the_best(chosen):
    assert chosen(0, point(0.97, 0.99)) == (0.97, 0.99)


@pytest.mark.parametrize(("control", "told"), [(0.971, False), (0.973, True)])
def test_a_correction_below_its_control_says_so(chosen, reporter, control, told):
    """Their standard error is 0.002."""
    chosen(5, point(0.965, 0.99), point(0.97, 0.99), control=point(control, 0.2))
    assert ("CONTROL_NOT_REACHED" in [warning["reason"] for warning in reporter.warnings]) is told
