"""The reports: what they say, what they must not let names do, and how long they may get."""

import json
import re
from html.parser import HTMLParser

import pytest
from defuse.v1.models_pb2 import Interval
from defuse.v1.promotion_service_pb2 import VERDICT_PASS
from defuse_server.evidence.report.html import html_report
from defuse_server.evidence.report.markdown import BYTES_MAX, code, markdown_report, text
from defuse_server.evidence.verdict_file import verdict_json

HOSTILE = (
    "<script>alert(1)</script>\"'`|@team #7 [x](http://e.example) ${700*70} {{ 700*70 }} *b*\x1b[31m\n## no"
)


def html(materials, key_id="k1"):
    return html_report(materials, json.loads(verdict_json(materials)), key_id).decode()


def markdown(materials):
    return markdown_report(materials).decode()


class Tags(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("write", [html, markdown])
@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("PASS", "may be promoted in place of"),
        ("FAIL", "1 check fails"),
        ("INCONCLUSIVE", "1 check is inconclusive"),
    ],
)
def test_a_report_says_the_verdict_what_failed_and_what_would_pass(materials, write, verdict, said):
    report = write(materials(verdict))
    assert verdict in report
    assert said in report
    assert ("To pass:" in report) == (verdict != "PASS")
    assert "region 0 (shows cat, read as dog)" in report
    assert ("misses by 0.48" in report) == (verdict == "FAIL")


@pytest.mark.parametrize("write", [html, markdown])
def test_a_report_has_classes_regions_bugs_curve_and_digests(materials, sha, write):
    made = materials("FAIL")
    report = write(made)
    for digest in sha.values():
        assert digest in report
    assert "chosen" in report
    for figure in ("95.0\N{NARROW NO-BREAK SPACE}%", "96.0\N{NARROW NO-BREAK SPACE}%", "+1.0 points"):
        assert figure in report
    assert "no seeds were left" in report
    assert "defuse verify-evidence" in report
    assert write(made) == report


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        ("Independent readers still read 64%; 22% please the classifier alone.", "22% please the classifier"),
        ("", "The baseline reads 64\N{NARROW NO-BREAK SPACE}% of the VAE"),
    ],
)
def test_the_html_says_who_reads_the_reconstructions(materials, summary, said):
    """A record of an older server has the figure alone."""
    made = materials("FAIL")
    made.audit.preflight.readability = 0.64
    made.audit.preflight.readability_summary = summary
    assert said in html(made)


@pytest.mark.parametrize("write", [html, markdown])
def test_a_report_says_which_labels_it_stands_on_and_what_they_leave_out(materials, write):
    made = materials("PASS")
    figures = made.evaluation.labeling
    figures.bug_count, figures.unlabeled_count, figures.splitting_count = 57, 15, 3
    report = write(made)
    assert "stands on the labels of 2 regions" in report
    assert "3 bugs wait for their split and 12 for an answer" in report


@pytest.mark.parametrize("write", [html, markdown])
def test_a_region_has_its_share_of_all_misread_inputs_and_no_exponent(materials, write):
    made = materials("PASS")
    made.regions[2].harm.CopyFrom(Interval(value=1.7e-25, lower=1e-29, upper=1e-20))
    made.evaluation.checks[0].value = 1.7e-25
    report = write(made)
    for figure in ("66.7", "33.3", "< 0.1", "< 0.0001"):
        assert figure.replace("<", "&lt;" if write is html else r"\<") in report
    assert not re.search(r"\de[-\N{MINUS SIGN}]\d\d", report)


def test_the_html_needs_no_other_file_and_runs_nothing(materials):
    tags = Tags(html(materials("FAIL"))).found
    names = {tag for tag, _ in tags}
    assert not names & {"script", "iframe", "object", "form"}
    addresses = [
        value for tag, attributes in tags for key, value in attributes.items() if key in ("src", "href")
    ]
    assert addresses
    assert all(address.startswith("data:") for address in addresses)
    assert not [attributes for _, attributes in tags if "style" in attributes]
    assert not [key for _, attributes in tags for key in attributes if key.startswith("on")]
    (policy,) = [attributes["content"] for tag, attributes in tags if "http-equiv" in attributes]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")


def test_pictures_are_inside_and_the_rest_are_rows(materials):
    report = html(materials("FAIL", regions=60))
    assert report.count('src="data:image/png;base64,') == 3
    assert "57 regions without a picture here" in report
    assert "None" not in report


def test_of_many_checks_that_do_not_pass_the_worst_stand_first(materials):
    made = materials("FAIL", regions=100)
    for number, check in enumerate(made.evaluation.checks):
        check.verdict, check.value = 2, 0.8 - number / 1000
    page = html(made)
    assert page.index("misses by 0.199") < page.index("misses by 0.15")
    assert "80 more checks that do not pass" in page


def test_without_labels_correction_or_regions_there_is_a_report_all_the_same(materials):
    made = materials("INCONCLUSIVE", regions=0, correction=None, pictures=False)
    del made.evaluation.checks[:]
    made.evaluation.ClearField("second_search")
    for report in (html(made, ""), markdown(made)):
        assert "INCONCLUSIVE" in report
        assert "The correction that made" not in report
    assert "not signed" in html(made, "")


@pytest.mark.parametrize("verdict", ["PASS", "FAIL"])
def test_hostile_names_stay_text(materials, verdict):
    made = materials(verdict, class_names=(HOSTILE, "dog", HOSTILE * 10))
    made.evaluation.display_name = HOSTILE
    made.candidate.display_name = HOSTILE
    made.evaluation.checks[1].explanation = HOSTILE
    page, plain = html(made), Tags(html(materials(verdict)))
    assert sorted(tag for tag, _ in Tags(page).found) == sorted(tag for tag, _ in plain.found)
    assert "49000" not in page
    report = markdown(made)
    assert "49000" not in report
    outside_code = re.sub(r"`[^`\n]*`", "", report)
    assert not re.search(r"(?<!\\)<script|@team|#7|(?<!\\)\]\(http|^## no", outside_code, re.M)
    assert "\x1b" not in report
    rows = [line for line in report.splitlines() if line.startswith("| `")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) in (6, 7) for row in rows), rows


def test_markdown_escapes_whatever_is_put_in():
    assert text("a|b_c*d") == r"a\|b\_c\*d"
    assert text("<b>") == r"\<b\>"
    assert "@team" not in text("ask @team")
    assert "://" not in text("http://e.example")
    assert code("a`b|c") == "`a'b¦c`"
    assert code("") == ""


@pytest.mark.parametrize("name", ["c", "an unusually long class name " * 20, "\N{PILE OF POO}" * 200])
def test_the_markdown_of_many_regions_fits_into_a_comment(materials, name):
    made = materials("FAIL", regions=600, class_names=tuple(f"{name}{number}" for number in range(300)))
    for check in made.evaluation.checks:
        check.verdict = 2
        check.explanation = name * 50
        check.remedy = name * 50
    report = markdown_report(made)
    assert len(report) <= BYTES_MAX
    assert "more" in report.decode()


def test_passing_checks_of_one_kind_are_folded(materials):
    made = materials("FAIL", regions=100)
    report = markdown(made)
    assert "98 that pass" in report
    assert report.count("PASS") == 2
    page = html(made)
    assert "Every check that passes (99)" in page
    assert sum(check.verdict == VERDICT_PASS for check in made.evaluation.checks) == 99
