"""Figures as people read them."""

import pytest
from defuse.cli.figures import (
    misread_per_million,
    number,
    readability,
    seconds,
    share_of_all,
    share_with_interval,
)
from defuse.messages import Interval, PreflightFigures


def interval(value: float, lower: float, upper: float) -> Interval:
    return Interval(value=value, lower=lower, upper=upper)


@pytest.mark.parametrize(
    ("harm", "read"),
    [
        (interval(12.4e-6, 4.04e-6, 31.2e-6), "12 per million (4 to 31)"),
        (interval(3.18e-7, 4e-8, 2.46e-6), "0.3 per million (< 0.1 to 2.5)"),
        (interval(9.97e-6, 9.94e-6, 99.6e-6), "10 per million (9.9 to 100)"),
        (interval(0.0214, 0.00999, 1), "21,000 per million (10,000 to 1,000,000)"),
        (interval(0, 0, 1e-9), "0 per million (0 to < 0.1)"),
    ],
)
def test_harm_is_misread_inputs_per_million_with_two_digits(harm, read):
    assert misread_per_million(harm) == read


def test_a_share_comes_with_its_interval():
    assert share_with_interval(interval(0.58, 0.512, 0.645)) == "58.0% (51.2% to 64.5%)"


@pytest.mark.parametrize(
    ("count", "read"), [(3.25, "3.2 s"), (12.4, "12 s"), (80, "1 min 20 s"), (7260, "2 h 1 min")]
)
def test_seconds_become_minutes_and_hours(count, read):
    assert seconds(count) == read


@pytest.mark.parametrize(
    ("value", "read"),
    [(1.7e-25, "< 0.0001"), (-1e-9, "> -0.0001"), (0.97312, "0.9731"), (123456.0, "123,456"), (0, "0")],
)
def test_a_number_has_no_exponent(value, read):
    assert number(value) == read


@pytest.mark.parametrize(
    ("value", "read"), [(1.7e-25, "< 0.1%"), (0.0006, "0.1%"), (0.124, "12.4%"), (0, "0.0%")]
)
def test_a_share_of_all_is_never_shown_as_nothing(value, read):
    assert share_of_all(value) == read


def test_a_share_is_never_above_all():
    """Reconstructions may happen to be read better than originals."""
    assert readability(PreflightFigures(readability=1.02)) == "100.0%"
