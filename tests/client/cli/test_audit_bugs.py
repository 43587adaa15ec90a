"""`defuse audit bugs`."""

import pytest
from defuse.messages import Bug, Interval, RegionState
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


@pytest.fixture(autouse=True)
def found(server):
    server.on("AuditService/ListBugs", ListBugsResponse(bugs=[BUG]))
    server.on("AuditService/StreamBugs", [StreamBugsResponse(bugs=[BUG], cursor="c")])


@pytest.mark.parametrize(
    "text",
    ["audits/a/bugs/0", "LABELED", "620 per million", "12.4%", "yes", "1: at least 50.0% bear the label"],
)
def test_a_row_says_what_the_bug_is_and_how_much_it_matters(command, text):
    assert text in command("audit", "bugs", "audits/a").out


def test_as_one_json_document(command):
    (document,) = command("audit", "bugs", "audits/a", "--json").json
    assert [bug["name"] for bug in document["bugs"]] == [BUG.name]


def test_as_they_are_found(command):
    (line,) = command("audit", "bugs", "audits/a", "--follow", "--json").json
    assert line["seed_count"] == 5


def test_only_confirmed_ones(command, server):
    command("audit", "bugs", "audits/a", "--confirmed-only")
    (request,) = server.asked("AuditService/ListBugs")
    assert request.confirmed_only


def test_following_shows_no_labels_so_it_cannot_show_confirmed_ones_alone(command):
    assert command("audit", "bugs", "audits/a", "--follow", "--confirmed-only").code == 64
