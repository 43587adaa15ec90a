import time

import pytest
from defuse_server import names
from defuse_server.errors import InvalidRequest


def test_ids_sort_by_the_time_they_were_made() -> None:
    made: list[str] = []
    for _ in range(5):
        made.append(names.new_id())
        time.sleep(0.002)
    assert made == sorted(made)
    assert len({names.new_id() for _ in range(10_000)}) == 10_000


@pytest.mark.parametrize("collection", names.COLLECTIONS)
def test_a_made_name_is_one_that_is_read(collection: str) -> None:
    name = names.new_name(collection)
    assert names.collection_of(name) == collection
    assert f"{collection}/{names.resource_id(collection, name)}" == name


def test_a_regions_name_says_its_audit_and_number() -> None:
    audit = names.new_name("audits")
    assert names.parse_region_name(names.region_name(audit, 12)) == (audit, 12)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "audits",
        "audits/",
        "audits/x",
        "audits/../../etc",
        "audits/0000000000000000\n0",
        "AUDITS/" + "0" * 18,
    ],
)
def test_other_names_are_refused_with_the_field_and_what_was_expected(wrong: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        names.audit_id(wrong, "audit")
    ((field, description),) = refused.value.fields
    assert field == "audit"
    assert "audits/{id}" in description


@pytest.mark.parametrize("number", ["-1", "01", "1.5", "", "1" * 10, "1\u0661"])
def test_a_regions_number_is_a_plain_decimal(number: str) -> None:
    with pytest.raises(InvalidRequest):
        names.parse_region_name(f"audits/{'0' * 18}/regions/{number}")


def test_a_long_wrong_name_is_shown_in_part() -> None:
    with pytest.raises(InvalidRequest) as refused:
        names.artifact_sha256("x" * 100_000)
    assert len(refused.value.message) < 300


def test_a_name_with_an_impossible_id_is_said_not_to_be_there() -> None:
    with pytest.raises(InvalidRequest, match="there is no 'audits/nope'"):
        names.audit_id("audits/nope")
