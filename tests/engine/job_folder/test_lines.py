"""The lines that the engine says: how fast the work goes on."""

import io
import json

import pytest

from defuse_engine.job_folder import lines as lines_module
from defuse_engine.job_folder.lines import Lines


@pytest.fixture
def rates(monkeypatch):
    """Returns the rates that a job says which reports one progress a second."""

    def said(*reports: tuple[str, int, int, str]) -> list[float]:
        clock = iter(range(100))
        monkeypatch.setattr(lines_module.time, "monotonic", lambda: float(next(clock)))
        stream = io.StringIO()
        lines = Lines(stream)
        for report in reports:
            lines.progress(*report)
        return [json.loads(line)["rate_per_s"] for line in stream.getvalue().splitlines()]

    return said


def test_the_rate_is_that_of_the_stage(rates):
    assert rates(
        ("identify", 0, 30, "seeds"), ("identify", 10, 30, "seeds"), ("identify", 30, 30, "seeds")
    ) == [
        0.0,
        10.0,
        15.0,
    ]


def test_a_stage_that_counts_something_else_counts_anew(rates):
    first = [("neighbourhood", 0, 50, "items"), ("neighbourhood", 50, 50, "items")]
    then = [("neighbourhood", 60, 3000, "steps"), ("neighbourhood", 65, 3000, "steps")]
    assert rates(*first, *then) == [0.0, 50.0, 0.0, 5.0]


def test_a_stage_whose_end_nobody_knows_is_not_told_more_often_than_others(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(lines_module.time, "monotonic", lambda: next(clock) / 64)
    stream = io.StringIO()
    lines = Lines(stream)
    for done in range(100):
        lines.progress("correct", done, 0, "steps")
    told = [json.loads(line)["done"] for line in stream.getvalue().splitlines()]
    assert told == list(range(0, 100, 13))


def test_a_stage_that_starts_again_counts_anew(rates):
    once = [("distill", 0, 9, "steps"), ("distill", 9, 9, "steps")]
    assert rates(*once, *once) == [0.0, 9.0, 0.0, 9.0]
