"""Policies: what is read, what the defaults are, what comes out again."""

from pathlib import Path

from defuse_server.gate.policy import DEFAULT, Policy


def checks(*lines: str) -> str:
    return "\n".join(["version: 1", "checks:", *(f"  {line}" for line in lines)])


def test_an_empty_text_and_one_that_names_no_check_are_the_default():
    assert Policy.parse("") == Policy.parse("version: 1") == DEFAULT
    assert Policy.parse("version: 1\nchecks: {}\naudit: {}\n") == DEFAULT


def test_the_default_in_the_documentation_is_the_default():
    page = (Path(__file__).parents[3] / "docs" / "policy.md").read_text()
    assert Policy.parse(page.split("```yaml\n")[1].split("```")[0]) == DEFAULT


def test_what_a_policy_leaves_out_keeps_its_default_and_off_turns_a_check_off():
    policy = Policy.parse(
        checks("clean_accuracy: {min: 0.9}", "audit_age: off", "second_search: {max_rate: 0.02}")
    )
    assert policy.checks.clean_accuracy.min == 0.9
    assert policy.checks.audit_age is None
    assert (policy.checks.second_search.max_ratio, policy.checks.second_search.max_rate) == (1.25, 0.02)
    assert policy.checks.class_accuracy_change == DEFAULT.checks.class_accuracy_change
    absolute = Policy.parse(checks("second_search: {max_ratio: No, max_rate: 1e-2}")).checks.second_search
    assert (absolute.max_ratio, absolute.max_rate) == (None, 0.01)


def test_written_out_it_names_every_check_and_is_read_back_the_same():
    policy = Policy.parse(
        checks("region_accuracy: {min: 0.95}", "clean_accuracy_change: off")
        + "\naudit: {max_seeds: 100, budget_s: 60, patience_shards: off}\nconfidence: 0.99"
    )
    text = policy.to_yaml()
    assert Policy.parse(text) == policy
    assert Policy.parse(text).to_yaml() == text
    assert "clean_accuracy_change: off" in text
    assert "region_accuracy: {min: 0.95, samples: 500}" in text
    assert all(name in text for name in vars(policy.checks))


def test_its_digest_is_of_what_it_says_not_of_how_it_is_written():
    one = Policy.parse("# ours\nversion: 1\nchecks:\n  audit_age: {max_days: 30}\n")
    assert one.sha256 == DEFAULT.sha256
    assert Policy.parse(checks("audit_age: {max_days: 31}")).sha256 != DEFAULT.sha256
    assert Policy.parse(checks("audit_age: off")).sha256 != DEFAULT.sha256
    # Evidence names it: it changes with a default alone.
    assert DEFAULT.sha256 == "7c8e4aece7672debb320330e24a1b1f97dc9c316b4ddaf1a95e85c0cfed6d9c5"


def test_an_audit_is_made_with_its_budget():
    text = "version: 1\naudit: {seed: 3, max_seeds: 50, max_candidates: 9, patience_shards: off}"
    config = Policy.parse(text).audit_config()
    assert (config.seed, config.max_seeds, config.max_candidates, config.patience_shards) == (3, 50, 9, -1)
    assert (config.candidates_per_seed, config.budget_s, config.annotators_per_region) == (12, 0, 1)


def test_a_policy_that_wants_annotators_to_agree_asks_three_of_them():
    policy = Policy.parse("version: 1\nchecks: {annotator_agreement: {}}")
    assert policy.audit_config().annotators_per_region == 3


def test_samples_are_drawn_as_the_check_asks():
    assert DEFAULT.samples_per_region == 500
    assert Policy.parse(checks("region_accuracy: {samples: 40}")).samples_per_region == 40
    assert Policy.parse(checks("region_accuracy: off")).samples_per_region > 0
