"""`defuse audit bugs`."""

import re

import pytest
from defuse.messages import Audit, Bug, Dataset, Interval, RegionState
from defuse.v1.audit_service_pb2 import ListBugsResponse, StreamBugsResponse

BUG = Bug(
    name="audits/a/bugs/0",
    state=RegionState.REGION_STATE_LABELED,
    cells=["audits/a/regions/0", "audits/a/regions/4"],
    shown_cells=["audits/a/regions/4"],
    purity_bound=0.5,
    seed_label=2,
    predicted_class=7,
    seed_count=5,
    harm=Interval(value=0.000623, lower=0.00036, upper=0.00105, samples=985),
    harm_share=0.124,
    label=2,
    confirmed=True,
)


LESS = Bug(
    name="audits/a/bugs/1",
    state=RegionState.REGION_STATE_UNLABELED,
    harm=Interval(value=1.7e-25, lower=1e-29, upper=1e-20, samples=985),
    harm_share=2.7e-22,
)
SPLIT = Bug(
    name="audits/a/bugs/2",
    state=RegionState.REGION_STATE_MIXED,
    harm=Interval(value=0.9),
    parts=["audits/a/bugs/0", "audits/a/bugs/1"],
)


@pytest.fixture(autouse=True)
def found(server):
    server.on("AuditService/GetAudit", Audit(name="audits/a", dataset="datasets/d"))
    server.on("RegistryService/GetDataset", Dataset(class_names=["a cat", "a dog", "a horse"]))
    server.on("AuditService/ListBugs", ListBugsResponse(bugs=[SPLIT, LESS, BUG]))
    server.on("AuditService/StreamBugs", [StreamBugsResponse(bugs=[BUG], cursor="c")])


@pytest.mark.parametrize(
    "text",
    [
        "audits/a/bugs/0",
        "LABELED",
        "2 a horse ",
        "620 per million",
        "12.4%",
        "yes",
        "1: at least 50.0% bear the label",
    ],
)
def test_a_row_says_what_the_bug_is_and_how_much_it_matters(command, text):
    assert text in command("audit", "bugs", "audits/a").out


def test_as_one_json_document(command):
    (document,) = command("audit", "bugs", "audits/a", "--json").json
    assert [bug["name"] for bug in document["bugs"]] == [SPLIT.name, LESS.name, BUG.name]


def test_as_they_are_found(command):
    (line,) = command("audit", "bugs", "audits/a", "--follow", "--json").json
    assert line["seed_count"] == 5


def test_bugs_have_ranks_and_what_was_split_has_none(command):
    _, *rows = command("audit", "bugs", "audits/a").out.splitlines()
    assert [row.split()[:2] for row in rows] == [
        [SPLIT.name, "MIXED"],
        [BUG.name, "1"],
        [LESS.name, "2"],
    ]


def test_harm_is_never_a_number_with_an_exponent(command):
    (row,) = [row for row in command("audit", "bugs", "audits/a").out.splitlines() if LESS.name in row]
    assert "< 0.1 per million" in row
    assert "< 0.1%" in row
    assert not re.search(r"\de-\d", row)


def test_only_confirmed_ones_keep_their_rank_among_all(command, server):
    confirmed = Bug(confirmed=True)
    confirmed.MergeFrom(LESS)
    server.on("AuditService/ListBugs", ListBugsResponse(bugs=[Bug(name="b", harm=BUG.harm), confirmed]))
    _, row = command("audit", "bugs", "audits/a", "--confirmed-only").out.splitlines()
    assert row.split()[:2] == [LESS.name, "2"]


def test_following_shows_no_labels_so_it_cannot_show_confirmed_ones_alone(command):
    assert command("audit", "bugs", "audits/a", "--follow", "--confirmed-only").code == 64
