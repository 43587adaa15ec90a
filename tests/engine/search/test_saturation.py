"""A search ends when it finds nothing new or has spent its budget, says why, and resumes to the same end."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from defuse_engine.configs import LEAST_CODES
from defuse_engine.search import saturation
from defuse_engine.search.saturation import Saturation, SaturationPoint
from defuse_engine.types import Chunk, Misclassifications

SPREAD = np.array([1.0, 2.0, 1.0], np.float32)
SHARDS = {"max_seeds": 2000, "shard_seeds": 100, "max_components": 5}


def chunk(codes, label=1, predicted=0, candidates=100) -> Chunk:
    """What a shard found: these codes, all showing the same mistake."""
    codes = np.asarray(codes, np.float32).reshape(-1, 3)
    count = len(codes)
    return Chunk(
        Misclassifications(
            codes=codes,
            seed_index=np.arange(count),
            seed_split=np.zeros(count, np.uint8),
            seed_label=np.full(count, label, np.int32),
            predicted_class=np.full(count, predicted, np.int32),
            confidence=np.ones(count, np.float32),
            delta_norm=np.ones(count, np.float32),
            agreement=np.ones(count, np.float32),
            bug_probability=np.ones(count, np.float32),
            method=np.full(count, 2, np.uint8),
        ),
        candidates,
        seeds=10,
    )


def around(place, count=LEAST_CODES) -> np.ndarray:
    """Codes within a tenth of a standard deviation of a place."""
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, (count, 3)) * SPREAD
    return np.asarray(place) + noise


def regions(*chunks: Chunk, spread=SPREAD) -> list[int]:
    groups = Saturation(spread)
    for one in chunks:
        groups.add(one)
    return [point.regions for point in groups.curve]


def test_the_curve_counts_from_the_start():
    groups = Saturation(SPREAD)
    groups.add(chunk(around([0, 0, 0], 4), candidates=70))
    groups.add(chunk(around([0, 0, 0], 6), candidates=30))
    assert groups.curve == [SaturationPoint(70, 4, 0), SaturationPoint(100, 10, 1)]


def test_a_group_comes_into_sight_with_its_tenth_code_and_once():
    assert regions(chunk(around([0, 0, 0], 9)), chunk(around([0, 0, 0], 1))) == [0, 1]
    assert regions(chunk(around([0, 0, 0], 500))) == [1]


def test_a_group_is_one_mistake_in_one_place():
    here, there = around([0, 0, 0]), around([2, 0, 0])
    assert regions(chunk(here), chunk(there)) == [1, 2]
    assert regions(chunk(here), chunk(here, label=2)) == [1, 2]
    assert regions(chunk(here), chunk(here, predicted=3)) == [1, 2]
    assert regions(chunk(np.concatenate([here[:5], there[:5]]))) == [0]
    # A distance is measured in the standard deviation of each coordinate.
    assert regions(chunk(here), chunk(around([0.7, 0, 0]))) == [1, 1]
    assert regions(chunk(here), chunk(around([0, 1.4, 0]))) == [1, 1]
    assert regions(chunk(here), chunk(around([0, 2.8, 0]))) == [1, 2]


def test_a_coordinate_that_never_varies_does_not_matter():
    codes = around([0.0, 0.0, 5.0])
    codes[:, 2] = 5.0
    assert regions(chunk(codes), chunk(codes), spread=np.array([1.0, 2.0, 0.0], np.float32)) == [1, 1]


def test_identical_codes_are_one_group():
    assert regions(chunk(np.ones((30, 3))), spread=np.zeros(3, np.float32)) == [1]


def test_however_many_groups_there_are_a_code_is_compared_with_few(monkeypatch):
    monkeypatch.setattr(saturation, "_MOST_GROUPS", 3)
    places = [around([9 * number, 0, 0]) for number in range(5)]
    # The fourth and the fifth go to the third, which lies nearest.
    assert regions(*map(chunk, places)) == [1, 2, 3, 3, 3]
    # Other labels have groups of their own.
    assert regions(*map(chunk, places), chunk(places[4], label=2)) == [1, 2, 3, 3, 3, 4]


def test_a_search_is_over_after_so_many_shards_without_anything_new():
    groups = Saturation(SPREAD)
    new, old = chunk(around([0, 0, 0])), chunk(around([0, 0, 0], 3))
    for found, over in ((old, False), (new, False), (old, False), (old, True)):
        groups.add(found)
        assert groups.over(2) is over
    assert not groups.over(3)
    assert not groups.over(-1)
    # Something new: it is not over any more.
    groups.add(chunk(around([9, 0, 0])))
    assert not groups.over(1)


def test_a_shard_that_finds_nothing_counts_too():
    groups = Saturation(SPREAD)
    for _ in range(3):
        groups.add(chunk(np.zeros((0, 3))))
    assert groups.over(3)
    assert groups.curve[-1] == SaturationPoint(300, 0, 0)


ENDS = {
    "seeds_exhausted": {"patience_shards": -1},
    "saturated": {"patience_shards": 3},
    "candidate_budget": {"max_candidates": 5000},
    "time_budget": {"budget_s": 1e-6},
}


@pytest.fixture(scope="module")
def ended(shared_jobs):
    """The results of audits that end for each reason."""
    return {
        reason: shared_jobs.do(shared_jobs.make(name=reason, config={**SHARDS, **config}))
        for reason, config in ENDS.items()
    }


@pytest.mark.parametrize("reason", ENDS)
def test_an_audit_says_why_its_search_ended(ended, reason):
    assert ended[reason]["stop_reason"] == reason


@pytest.mark.parametrize("reason", ENDS)
def test_the_curve_ends_with_the_totals(ended, reason):
    result = ended[reason]
    curve = result["saturation"]
    assert len(curve) == result["shards"]
    assert curve[-1]["candidates"] == result["candidates"]
    assert curve[-1]["misclassifications"] == result["misclassifications"]


def test_only_a_search_that_exhausts_its_seeds_does_all_shards(ended):
    assert [reason for reason in ENDS if ended[reason]["shards"] == 20] == ["seeds_exhausted"]


def test_a_saturated_search_saw_nothing_new_in_its_last_shards(ended):
    last = [point["regions"] for point in ended["saturated"]["saturation"][-4:]]
    assert len(set(last)) == 1


def test_a_budget_ends_the_search_after_the_first_shard_that_reaches_it(ended):
    curve = ended["candidate_budget"]["saturation"]
    assert curve[-2]["candidates"] < 5000 <= curve[-1]["candidates"]
    assert ended["time_budget"]["shards"] == 1


def test_seeds_that_end_with_the_budget_are_exhausted(make_job, do_job):
    result = do_job(make_job(config={**SHARDS, "max_seeds": 100, "max_candidates": 1}))
    assert (result["stop_reason"], result["shards"]) == ("seeds_exhausted", 1)


def test_a_budget_of_time_asked_for_as_candidates_gives_the_same_result(make_job, do_job):
    timed = do_job(make_job(name="timed", config={**SHARDS, "budget_s": 1e-6}))
    counted = do_job(make_job(name="counted", config={**SHARDS, "max_candidates": timed["candidates"]}))
    assert counted["regions"] == timed["regions"]
    assert counted["saturation"] == timed["saturation"]


@pytest.mark.parametrize(
    "config", [{"patience_shards": 3}, {"max_candidates": 5000}], ids=["saturated", "candidates"]
)
@pytest.mark.parametrize("chunks_left", [1, None], ids=["in the search", "after it"])
def test_a_search_that_stops_early_resumes_to_the_same_bytes(make_job, do_job, config, chunks_left):
    whole, resumed = (make_job(name=name, config={**SHARDS, **config}) for name in ("whole", "resumed"))
    do_job(whole)
    chunks = sorted((whole / "output/chunks").iterdir())
    (resumed / "output/chunks").mkdir(parents=True)
    for path in chunks[:chunks_left]:
        shutil.copy(path, resumed / "output/chunks")
    do_job(resumed)
    assert outputs(resumed) == outputs(whole)
    assert len(chunks) < 20


def outputs(folder: Path) -> dict[str, bytes]:
    output = folder / "output"
    return {str(path.relative_to(output)): path.read_bytes() for path in output.rglob("*") if path.is_file()}
