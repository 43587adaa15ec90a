"""Faulty policies: each fault is named with its line and column, all of them in one answer."""

import pytest
from defuse.v1.error_reason_pb2 import ERROR_REASON_POLICY_INVALID
from defuse_server.errors import PolicyInvalid
from defuse_server.gate.policy import Policy
from defuse_server.gate.statistics.shares import share_interval
from hypothesis import given
from hypothesis import strategies as st


def faults(text: str) -> list[tuple[str, str]]:
    with pytest.raises(PolicyInvalid) as caught:
        Policy.parse(text)
    assert caught.value.reason == ERROR_REASON_POLICY_INVALID
    return caught.value.fields


def only_fault(text: str) -> tuple[str, str]:
    (fault,) = faults(text)
    return fault


def checks(*lines: str) -> str:
    return "\n".join(["version: 1", "checks:", *(f"  {line}" for line in lines)])


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (
            checks("clean_acuracy: {min: 0.9}"),
            (3, 3),
            "unknown check 'clean_acuracy': did you mean clean_accuracy?",
        ),
        ("version: 1\nchekcs: {}", (2, 1), "did you mean checks?"),
        (checks("region_accuracy: {mni: 0.9}"), (3, 21), "did you mean min?"),
        ("version: 1\naudit: {budget: 3}", (2, 9), "did you mean budget_s?"),
        (checks("zzz: off"), (3, 3), "expected one of clean_accuracy, clean_accuracy_change"),
        (checks("clean_accuracy: 0.9"), (3, 19), "expected off or {min: ...}, got '0.9'"),
        (checks("clean_accuracy: {}"), (3, 19), "expected min, got none"),
        (checks("clean_accuracy:"), (3, 18), "got nothing"),
        (checks("audit_age: {max_days: soon}"), (3, 25), "a number above 0 and at most 36,500, got 'soon'"),
        (checks("audit_age: {max_days: '30'}"), (3, 25), "got '30'"),
        (checks("audit_age: {max_days: .nan}"), (3, 25), "expected a number"),
        (checks("audit_age: {max_days: 1e999}"), (3, 25), "got inf"),
        (checks("audit_age: {max_days: off}"), (3, 25), "expected a number"),
        (checks("region_accuracy: {samples: 20.5}"), (3, 30), "a whole number"),
        (checks("unlabeled_regions: {max_harm_share: 2}"), (3, 39), "at least 0 and below 1, or off, got 2"),
        ("version: 1\nconfidence: 95", (2, 13), "at least 0.8 and at most 0.9999, got 95"),
        ("version: 2", (1, 10), "expected `version: 1`, got '2'"),
        ("checks: {}", (1, 1), "expected `version: 1`, got none"),
        ("# nothing", (1, 1), "got no content"),
        ("version: 1\nchecks: [a]", (2, 9), "checks: expected a mapping, got a list"),
        ("version: 1\nchecks: {", (2, 10), "not YAML"),
        ("version: 1\n---\nversion: 1", (2, 1), "not YAML"),
        ("version: 1\n# \x07", (2, 3), "the character 0x7 is not allowed"),
        ("version: 1\nchecks: &a {}\naudit: *a", (3, 8), "aliases are not allowed"),
        ("version: 1\nchecks: " + "[" * 5000, (2, 16), "expected at most 8 levels, got more"),
        ("version: 1\n" + "#" * 65_536, (1, 1), "expected at most 65,536 bytes, got 65,547"),
    ],
)
def test_a_fault_is_named_with_its_place(text, place, said):
    field, description = only_fault(text)
    assert field == f"policy:{place[0]}"
    assert description.startswith(f"line {place[0]}, column {place[1]}: ")
    assert said in description


def test_a_key_that_stands_twice_is_named_with_both_lines():
    text = checks("audit_age: off", "second_search: off", "audit_age: {max_days: 2}")
    field, description = only_fault(text)
    assert field == "policy:5"
    assert "audit_age is there twice: in line 3 and in line 5" in description


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        # The lower end of 10 in 10 is 0.692; of 36 in 36 it is 0.903.
        (checks("region_accuracy: {min: 0.9, samples: 10}"), 3, "36 samples would be enough"),
        (checks("region_accuracy: {min: 0.9, samples: 35}"), 3, "36 samples would be enough"),
        (checks("clean_accuracy: {min: 1.0}"), 3, "the lower end of an interval lies between"),
        (checks("clean_accuracy_change: {min: 1}"), 3, "the lower end of an interval lies between"),
        (checks("second_search: {max_ratio: 0}"), 3, "the upper end of an interval lies above 0"),
        (checks("second_search: {max_ratio: off}"), 3, "has no bound left; write `second_search: off`"),
        (checks("unlabeled_regions: {max_harm_share: off}"), 3, "has no bound left"),
        (
            checks("annotator_agreement: {}") + "\naudit: {annotators_per_region: 1}",
            4,
            "annotator_agreement can never pass",
        ),
        ("version: 1\naudit: {max_seeds: 9}", 2, "needs at least 10"),
        (checks("second_search: {max_ratio: 0.01}") + "\naudit: {max_seeds: 300}", 4, "at least 385"),
        (checks("audit_age: {max_days: 0.5}") + "\naudit: {budget_s: 50000}", 4, "older than audit_age"),
    ],
)
def test_bounds_that_nothing_could_meet_are_refused(text, line, said):
    field, description = only_fault(text)
    assert field == f"policy:{line}"
    assert said in description


def test_as_many_samples_as_the_fault_names_do():
    bound = Policy.parse(checks("region_accuracy: {min: 0.9, samples: 36}")).checks.region_accuracy
    assert share_interval(35, 35, 0.05).lower < bound.min <= share_interval(36, 36, 0.05).lower


def test_one_answer_names_every_fault_in_the_order_of_the_lines():
    text = "version: 3\nconfidence: 2\nchecks:\n  nothing: off\n  audit_age: {max_days: -1, hours: 3}\n"
    assert [field for field, _ in faults(text)] == [
        "policy:1",
        "policy:2",
        "policy:4",
        "policy:5",
        "policy:5",
    ]


@given(st.text(alphabet=st.sampled_from("version: 1chks{}[],&*!|>'\"\n\t-?#%@`min09.efo"), max_size=200))
def test_any_text_is_read_or_refused_with_a_place(text):
    for field, _ in fields_of(text):
        assert field.startswith("policy:")


def fields_of(text: str) -> list[tuple[str, str]]:
    try:
        Policy.parse(text)
    except PolicyInvalid as refused:
        return refused.fields or [("none", "")]
    return []
