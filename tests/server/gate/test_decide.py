"""The gate: which figures pass, fail or tell too little, and what each check says about it."""

import math

import pytest
from defuse.v1.promotion_service_pb2 import VERDICT_FAIL, VERDICT_INCONCLUSIVE, VERDICT_PASS, LabelingFigures

from .conftest import REGION, region, searched

ONLY = "version: 1\nchecks:\n" + "".join(
    f"  {name}: off\n"
    for name in (
        "clean_accuracy_change",
        "class_accuracy_change",
        "region_accuracy",
        "second_search",
        "unlabeled_regions",
        "annotator_agreement",
        "audit_age",
    )
)


def only(name: str, bounds: str) -> str:
    """A policy of one check."""
    if f"  {name}: off\n" in ONLY:
        return ONLY.replace(f"  {name}: off\n", f"  {name}: {bounds}\n")
    return ONLY + f"  {name}: {bounds}\n"


def test_a_good_candidate_passes_every_check_of_the_default_policy(evaluation, decided):
    verdict, checks = decided(evaluation(lost={0: 30, 1: 20}, gained={0: 40, 2: 20}))
    assert verdict == "PASS"
    assert [name for name, _ in checks] == [
        "clean_accuracy_change",
        *["class_accuracy_change"] * 4,
        *["region_accuracy"] * 2,
        "second_search",
        "unlabeled_regions",
        "audit_age",
    ]
    assert all(check.explanation and not check.remedy for check in checks.values())


def test_the_verdict_is_whether_the_interval_is_clear_of_the_bound(evaluation, decided):
    seen = set()
    for lost in range(0, 1200, 37):
        _, checks = decided(
            evaluation(lost={0: lost}, regions=[region(0, 500 - lost // 15), region(1, 470)]),
        )
        for check in checks.values():
            if check.HasField("interval"):
                low, high = check.interval.lower, check.interval.upper
                assert low <= check.value == check.interval.value <= high
                if not check.at_least:
                    low, high = -high, -low
                bound = check.bound if check.at_least else -check.bound
                expected = (
                    VERDICT_PASS if low >= bound else VERDICT_FAIL if high < bound else VERDICT_INCONCLUSIVE
                )
                assert check.verdict == expected
                assert bool(check.remedy) == (expected != VERDICT_PASS)
                seen.add((check.check, expected))
    assert len(seen) >= 9


def test_a_worse_candidate_fails_and_class_and_region_are_named(evaluation, decided):
    worse = evaluation(lost={3: 900}, gained={0: 20}, regions=[region(0, 490), region(1, 300)])
    verdict, checks = decided(worse)
    assert verdict == "FAIL"
    failed = {key for key, check in checks.items() if check.verdict == VERDICT_FAIL}
    assert failed == {
        ("clean_accuracy_change", ""),
        ("class_accuracy_change", "class 3"),
        ("region_accuracy", REGION.format(1)),
    }
    of_class = checks["class_accuracy_change", "class 3"]
    assert of_class.value == -900 / 5000
    assert "class 3 loses 0.1800" in of_class.remedy
    assert REGION.format(1) in checks["region_accuracy", REGION.format(1)].remedy
    assert all(checks[key].remedy for key in failed)


def test_what_a_failed_check_says_would_pass_does_pass(evaluation, decided):
    _, checks = decided(
        evaluation(lost={0: 900}, gained={0: 20}), only("clean_accuracy_change", "{min: -0.01}")
    )
    (check,) = checks.values()
    allowed = number_before("lost items would pass", check.remedy)
    for lost, verdict in ((allowed, "PASS"), (allowed + 1, "INCONCLUSIVE")):
        policy = only("clean_accuracy_change", "{min: -0.01}")
        assert decided(evaluation(lost={0: lost}, gained={0: 20}), policy)[0] == verdict

    policy = only("region_accuracy", "{min: 0.9}")
    _, checks = decided(evaluation(regions=[region(0, 300)]), policy)
    (check,) = checks.values()
    enough = number_before("of 500 would pass", check.remedy)
    for right, verdict in ((enough, "PASS"), (enough - 1, "INCONCLUSIVE")):
        assert decided(evaluation(regions=[region(0, right)]), policy)[0] == verdict


@pytest.mark.parametrize("items", [100, 600])
def test_as_many_test_items_as_an_undecided_check_names_do_tell(evaluation, decided, items):
    policy = only("clean_accuracy_change", "{min: -0.01}")
    share = 0.02
    verdict, checks = decided(evaluation(items, {0: round(share * items)}, {1: round(share * items)}), policy)
    assert verdict == "INCONCLUSIVE"
    (check,) = checks.values()
    needed = number_before("test items at this rate of disagreement would decide", check.remedy)
    assert needed > items
    for count, expected in ((needed, "PASS"), (needed * 8 // 10, "INCONCLUSIVE")):
        wrong = {0: round(share * count)}
        assert decided(evaluation(count, wrong, {1: round(share * count)}), policy)[0] == expected


def number_before(text: str, remedy: str) -> int:
    assert text in remedy, remedy
    return int(remedy[: remedy.index(text)].split()[-1].replace(",", ""))


def test_a_value_at_the_bound_itself_is_never_decided(evaluation, decided):
    for items in (1000, 100_000):
        verdict, checks = decided(
            evaluation(items, {0: items // 100}), only("clean_accuracy_change", "{min: -0.01}")
        )
        assert verdict == "INCONCLUSIVE"
    assert "no number of test items" in next(iter(checks.values())).remedy


def test_equal_figures_pass_where_there_are_enough_items_and_only_there(evaluation, decided):
    policy = only("clean_accuracy_change", "{min: -0.01}")
    assert decided(evaluation(400), policy)[0] == "INCONCLUSIVE"
    assert decided(evaluation(600), policy)[0] == "PASS"


def test_the_absolute_accuracy_is_decided_where_the_policy_asks(evaluation, decided):
    good, bad = evaluation(1000), evaluation(1000, lost={0: 100})
    assert decided(good, only("clean_accuracy", "{min: 0.9}"))[0] == "PASS"
    assert decided(bad, only("clean_accuracy", "{min: 0.9}"))[0] == "FAIL"
    verdict, checks = decided(good, only("clean_accuracy", "{min: 0.94}"))
    assert verdict == "INCONCLUSIVE"
    assert "test items at this accuracy would decide" in checks["clean_accuracy", ""].remedy


def test_without_a_confirmed_region_there_is_nothing_to_hold_a_candidate_to(evaluation, decided):
    for regions in ([], [region(0, 100, confirmed=False)]):
        verdict, checks = decided(evaluation(regions=regions))
        assert verdict == "INCONCLUSIVE"
        assert "Label the audit's regions" in checks["region_accuracy", ""].remedy
        assert decided(evaluation(regions=regions), "version: 1\nchecks: {region_accuracy: off}")[0] == "PASS"


def test_a_region_without_samples_is_not_decided(evaluation, decided):
    assert decided(evaluation(regions=[region(0, 490), region(1, 0, samples=0)]))[0] == "INCONCLUSIVE"


def test_a_policy_without_a_check_promotes_nothing(evaluation, decided):
    verdict, checks = decided(evaluation(), ONLY)
    assert (verdict, checks) == ("INCONCLUSIVE", {})


def test_a_failure_outweighs_what_is_not_known(evaluation, decided):
    assert decided(evaluation(lost={0: 2000}, regions=[]), days=100)[0] == "FAIL"


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ([4] * 200, [4] * 200, "PASS"),
        ([4] * 200, [0] * 200, "PASS"),
        ([2, 0] * 300, [0, 2] * 300, "PASS"),
        # Equal, but too few seeds differ from none.
        ([2, 0] * 50, [0, 2] * 50, "INCONCLUSIVE"),
        ([2] * 200, [4] * 200, "FAIL"),
        ([0] * 200, [4] * 200, "FAIL"),
        ([4] * 9, [0] * 9, "INCONCLUSIVE"),
        ([], [], "INCONCLUSIVE"),
        # One seed with most of the misclassifications is one seed.
        ([1] * 20 + [400], [1] * 20 + [0], "INCONCLUSIVE"),
    ],
)
def test_the_second_search_counts_seeds(evaluation, decided, before, after, verdict):
    found, checks = decided(evaluation(search=searched(before, after)), only("second_search", "{}"))
    assert found == verdict
    (check,) = checks.values()
    assert check.subject == "ratio"
    assert math.isfinite(check.value)
    assert bool(check.remedy) == (verdict != "PASS")


def test_the_rate_of_the_second_search_has_a_bound_of_its_own(evaluation, decided):
    policy = only("second_search", "{max_ratio: off, max_rate: 0.01}")
    assert decided(evaluation(search=searched([4] * 200, [1] * 200)), policy)[0] == "PASS"
    assert decided(evaluation(search=searched([4] * 400, [4] * 400)), policy)[0] == "FAIL"
    assert decided(evaluation(search=searched([4] * 200, [4] * 200)), policy)[0] == "INCONCLUSIVE"
    assert decided(evaluation(search=searched([], [])), policy)[0] == "PASS"


@pytest.mark.parametrize(
    ("bounds", "labeling", "verdict"),
    [
        (
            "unlabeled_regions: {}",
            LabelingFigures(region_count=9, unlabeled_count=4, unlabeled_harm_share=0.1),
            "PASS",
        ),
        (
            "unlabeled_regions: {}",
            LabelingFigures(region_count=9, unlabeled_count=4, unlabeled_harm_share=0.11),
            "INCONCLUSIVE",
        ),
        (
            "unlabeled_regions: {max_count: 3}",
            LabelingFigures(region_count=9, unlabeled_count=4),
            "INCONCLUSIVE",
        ),
        ("annotator_agreement: {}", LabelingFigures(region_count=40, overlap_count=40, alpha=0.7), "PASS"),
        (
            "annotator_agreement: {}",
            LabelingFigures(region_count=40, overlap_count=40, alpha=0.6),
            "INCONCLUSIVE",
        ),
        (
            "annotator_agreement: {}",
            LabelingFigures(region_count=40, overlap_count=9, alpha=0.9),
            "INCONCLUSIVE",
        ),
        ("annotator_agreement: {}", LabelingFigures(region_count=4, overlap_count=4, alpha=0.9), "PASS"),
        ("annotator_agreement: {}", LabelingFigures(region_count=40), "INCONCLUSIVE"),
    ],
)
def test_evidence_passes_or_is_not_enough(evaluation, decided, bounds, labeling, verdict):
    name, value = bounds.split(": ", 1)
    found, checks = decided(evaluation(labeling=labeling), only(name, value))
    assert found == verdict
    assert any(check.remedy for check in checks.values()) == (verdict != "PASS")
    assert not any(check.HasField("interval") for check in checks.values())


def test_labels_that_were_not_counted_are_no_evidence(evaluation, decided):
    unknown = evaluation()
    unknown.ClearField("labeling")
    assert decided(unknown, only("unlabeled_regions", "{}"))[0] == "INCONCLUSIVE"


def test_unlabeled_regions_are_named(evaluation, decided):
    labeling = LabelingFigures(
        region_count=40,
        unlabeled_count=12,
        unlabeled_harm_share=0.5,
        unlabeled=[REGION.format(n) for n in (5, 2)],
    )
    _, checks = decided(evaluation(labeling=labeling), only("unlabeled_regions", "{}"))
    remedy = checks["unlabeled_regions", "harm share"].remedy
    assert remedy == f"Label {REGION.format(5)}, {REGION.format(2)} and 10 more."


def test_what_waits_for_its_split_is_not_to_be_labeled_itself(evaluation, decided):
    labeling = LabelingFigures(
        bug_count=40,
        unlabeled_count=12,
        splitting_count=1,
        unlabeled_harm_share=0.5,
        unlabeled=["audits/a/bugs/5", "audits/a/bugs/2"],
        splitting=["audits/a/bugs/5"],
    )
    _, checks = decided(evaluation(labeling=labeling), only("unlabeled_regions", "{}"))
    check = checks["unlabeled_regions", "harm share"]
    assert check.remedy == (
        "Label audits/a/bugs/2 and 10 more. Label what comes of the split of audits/a/bugs/5."
    )
    assert "12 of 40 bugs have no label yet (1 wait for their split)" in check.explanation


def test_labels_that_are_verified_proposals_are_told(evaluation, decided):
    for proposal_count, told in ((0, False), (7, True)):
        labeling = LabelingFigures(region_count=40, bug_count=9, proposal_count=proposal_count)
        _, checks = decided(evaluation(labeling=labeling), only("unlabeled_regions", "{}"))
        said = "7 have the label that the search proposes"
        assert (said in checks["unlabeled_regions", "harm share"].explanation) == told


@pytest.mark.parametrize(("days", "verdict"), [(-0.1, "PASS"), (30, "PASS"), (30.1, "INCONCLUSIVE")])
def test_a_stale_audit_is_no_evidence(evaluation, decided, days, verdict):
    assert decided(evaluation(), only("audit_age", "{max_days: 30}"), days)[0] == verdict


def test_many_checks_are_held_to_more_than_one(evaluation, decided):
    # 465 of 500 clear 0.9 alone, and as the last of many; the first of forty needs more.
    alone, _ = decided(evaluation(regions=[region(0, 465)]), only("region_accuracy", "{}"))
    many, checks = decided(
        evaluation(regions=[region(n, 465) for n in range(40)]), only("region_accuracy", "{}")
    )
    last, _ = decided(
        evaluation(regions=[region(0, 465), *(region(n, 499) for n in range(1, 40))]),
        only("region_accuracy", "{}"),
    )
    assert (alone, many, last) == ("PASS", "INCONCLUSIVE", "PASS")
    assert "The 99.88 % interval" in checks["region_accuracy", REGION.format(0)].explanation
