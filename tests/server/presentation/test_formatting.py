import pytest
from defuse.v1.models_pb2 import Interval
from defuse_server.presentation.checks import number
from defuse_server.presentation.formatting import per_million, percent, share_of_all, small


@pytest.mark.parametrize(
    ("value", "lower", "upper", "text"),
    [
        (12e-6, 4e-6, 31e-6, "12 per million (4 to 31)"),
        (3.18e-7, 1e-9, 2.04e-6, "0.3 per million (< 0.1 to 2)"),
        (0.966, 0.96, 0.9712, "970,000 per million (960,000 to 970,000)"),
        (1234e-6, 99.6e-6, 2e-3, "1,200 per million (100 to 2,000)"),
        (9.97e-6, 9.94e-6, 1e-5, "10 per million (9.9 to 10)"),
        (0.0, 0.0, 1e-96, "< 0.1 per million (< 0.1 to < 0.1)"),
    ],
)
def test_harm_is_written_as_misread_inputs_per_million(value, lower, upper, text):
    assert per_million(Interval(value=value, lower=lower, upper=upper)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.25, "0.25"),
        (1234.5, "1,230"),
        (123456.0, "123,000"),
        (0.00012345, "0.000123"),
        (-2.0, "-2"),
    ],
)
def test_a_small_number_has_three_digits_and_no_exponent(value, text):
    assert small(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.7e-25, "< 0.0001"),
        (0.97312, "0.9731"),
        (123456.0, "123,456"),
        (-0.5, "\N{MINUS SIGN}0.5"),
        (0, "0"),
    ],
)
def test_the_figure_of_a_check_has_no_exponent(value, text):
    assert number(value) == text


def test_a_share_of_all_is_never_shown_as_nothing():
    assert share_of_all(1.7e-25) == "< 0.1\N{NARROW NO-BREAK SPACE}%"
    assert share_of_all(0.124) == "12.4\N{NARROW NO-BREAK SPACE}%"


def test_a_share_is_never_above_all():
    assert percent(1.02, 0) == "100\N{NARROW NO-BREAK SPACE}%"
    assert percent(0.995, 1) == "99.5\N{NARROW NO-BREAK SPACE}%"
