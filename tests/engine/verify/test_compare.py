"""What a candidate gained and lost: test split, classes, regions, and a second search."""

import pytest


@pytest.fixture(scope="module")
def gained(shared_jobs, graphs):
    """The evaluation of a candidate without the bug."""
    config = {"audit": {"max_seeds": 900}, "audit_seed": 1}
    candidate = graphs.classifier(boundary=0.0)
    return shared_jobs.do(shared_jobs.follow_up("evaluate", config, candidate=candidate))


def test_a_candidate_without_the_bug_is_right_on_the_whole_test_split(gained):
    assert gained["test_size"] == 400
    assert gained["test_accuracy_before"] < gained["test_accuracy_after"] == 1.0


def test_classes_tell_what_each_of_them_gained_and_lost(gained):
    left, right = gained["per_class"]
    assert left["size"] + right["size"] == 400
    assert left["accuracy_before"] == left["accuracy_after"] == 1.0
    assert right["accuracy_before"] < right["accuracy_after"]
    assert left["lost_count"] == left["gained_count"] == right["lost_count"] == 0
    assert right["gained_count"] == round((1 - right["accuracy_before"]) * right["size"]) > 0


def test_confirmed_regions_are_repaired(gained):
    for region in gained["regions"]:
        assert region["confirmed"]
        assert region["accuracy_before"] < 0.5 < 0.9 < region["accuracy_after"]
        assert region["samples"] == 200


def test_the_second_search_finds_fewer_mistakes_with_comparable_effort(gained):
    search = gained["second_search"]
    # Of each seed a random step, and three codes of an ascent at least; one that finds enough ends early.
    for candidates in (search["candidates_before"], search["candidates_after"]):
        assert 4 * search["seeds"] < candidates < 12 * search["seeds"]
    assert search["misclassifications_before"] > 10 * search["misclassifications_after"]


def test_the_same_classifier_evaluated_against_itself_changed_nothing(follow_up, do_job, graphs):
    config = {"audit": {"max_seeds": 300}, "audit_seed": 1}
    result = do_job(follow_up("evaluate", config, candidate=graphs.classifier()))
    search = result["second_search"]
    assert search["misclassifications_before"] == search["misclassifications_after"] > 0
    assert result["test_accuracy_before"] == result["test_accuracy_after"]
    assert all(region["accuracy_before"] == region["accuracy_after"] for region in result["regions"])
