"""JUnit XML: what a CI that reads nothing else makes of a verdict."""

import json

import pytest
from defuse_server.evidence.junit import junit_xml
from defuse_server.evidence.verdict_file import verdict_json
from junitparser import Error, Failure, JUnitXml


def parsed(materials):
    (suite,) = JUnitXml.fromstring(junit_xml(json.loads(verdict_json(materials))))
    return suite


@pytest.mark.parametrize(
    ("said", "failures", "errors"), [("PASS", 0, 0), ("FAIL", 1, 0), ("INCONCLUSIVE", 0, 1)]
)
def test_a_check_is_a_case_and_only_pass_passes(materials, said, failures, errors):
    suite = parsed(materials(said))
    assert (suite.tests, suite.failures, suite.errors) == (3, failures, errors)
    results = [result for case in suite for result in case.result]
    for result in results:
        assert isinstance(result, Failure if said == "FAIL" else Error)
        assert "of 500 samples" in result.message
        assert "label more regions" in result.text


def test_an_inconclusive_verdict_without_a_check_is_an_error(materials):
    made = materials("INCONCLUSIVE")
    del made.evaluation.checks[:]
    assert parsed(made).errors == 1


def test_digests_are_properties(materials, sha):
    properties = {one.name: one.value for one in parsed(materials()).properties()}
    assert set(sha.values()) <= set(properties.values())
    assert properties["verdict"] == "FAIL"


def test_names_can_not_break_the_xml(materials):
    made = materials("FAIL")
    made.evaluation.checks[1].subject = "class <b>&\"'\x1b[31m\x00 \uffff"
    made.evaluation.checks[1].explanation = "]]> <!-- \x08"
    (case,) = [case for case in parsed(made) if "class" in case.name]
    assert case.name.startswith("region_accuracy[class <b>&\"'\ufffd[31m\ufffd")
    assert case.result[0].message.startswith("]]> <!--")


def test_the_same_evaluation_gives_the_same_bytes(materials):
    document = json.loads(verdict_json(materials()))
    assert junit_xml(document) == junit_xml(document)
