"""The checks as JUnit XML, which every CI shows. INCONCLUSIVE is an error there, so it lets nothing pass."""

import re
from collections.abc import Mapping
from typing import Any

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from defuse_server.evidence.statement import qualified_name

_NOT_IN_XML = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def junit_xml(verdict: Mapping[str, Any]) -> bytes:
    """Return a test suite with a case for each check, and every digest among its properties."""
    suite = TestSuite(f"defuse {_text(verdict['evaluation']['name'])}")
    for name, value in _properties(verdict).items():
        suite.add_property(name, _text(value))
    for check in verdict["checks"]:
        suite.add_testcase(_case(check))
    if verdict["verdict"] not in ("PASS", "FAIL") and not suite.errors:
        # A verdict that no check explains must not let the candidate pass, either.
        case = TestCase("verdict", classname="defuse")
        case.result = [Error(f"the verdict is {verdict['verdict']}", verdict["verdict"])]
        suite.add_testcase(case)
    xml = JUnitXml("defuse")
    xml.add_testsuite(suite)
    xml.update_statistics()
    return xml.tostring()


def _case(check: Mapping[str, Any]) -> TestCase:
    case = TestCase(_text(qualified_name(check)), classname="defuse")
    said = "\n".join(_text(text) for text in (check["explanation"], check["remedy"]) if text)
    if check["verdict"] == "PASS":
        case.system_out = said
    else:
        kind = Failure if check["verdict"] == "FAIL" else Error
        result = kind(_text(check["explanation"]), check["verdict"])
        result.text = said
        case.result = [result]
    return case


def _properties(verdict: Mapping[str, Any]) -> dict[str, str]:
    return {
        "verdict": verdict["verdict"],
        "evaluation": verdict["evaluation"]["name"],
        "input_digest": verdict["evaluation"]["input_digest"],
        "code_version": verdict["evaluation"]["code_version"],
        "policy.sha256": verdict["policy"]["sha256"],
        "baseline.sha256": verdict["baseline"]["sha256"],
        "candidate.sha256": verdict["candidate"]["sha256"],
        "dataset.sha256": verdict["dataset"]["sha256"],
        "encoder.sha256": verdict["vae"]["encoder_sha256"],
        "decoder.sha256": verdict["vae"]["decoder_sha256"],
        "audit.regions_sha256": verdict["audit"]["regions_sha256"],
        "label_set_digest": verdict["labels"]["label_set_digest"],
    }


def _text(text: str) -> str:
    """Replace characters that XML can't hold, not even escaped."""
    return _NOT_IN_XML.sub("\ufffd", text)
