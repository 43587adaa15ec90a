"""Imports the answers of a file: counts them by the rules of the label queue."""

from collections.abc import Iterable
from typing import Final

from defuse.v1.label_service_pb2 import ImportLabelsResponse, ImportProblem, ImportProblemReason

from defuse_server.backend import Backend
from defuse_server.errors import InvalidRequest
from defuse_server.label_files.answer_words import Choices, choices_of, listed
from defuse_server.label_files.file_answers import Answers, FileAnswer
from defuse_server.label_files.fingerprint import fingerprint
from defuse_server.names import parse_region_name, region_number

PROBLEMS_SHOWN: Final = 1000
_READ_BATCH = 200

# The problems of votes that the queue does not count.
_REFUSALS: dict[str, tuple[ImportProblemReason, str]] = {
    "missing": (
        ImportProblemReason.IMPORT_PROBLEM_REASON_REGION_UNKNOWN,
        "the region has no task yet: import again once its audit has opened it",
    ),
    "answered": (
        ImportProblemReason.IMPORT_PROBLEM_REASON_ALREADY_ANSWERED,
        "this annotator has already answered the region",
    ),
    "closed": (
        ImportProblemReason.IMPORT_PROBLEM_REASON_REGION_CLOSED,
        "the region has all the answers that it needs",
    ),
    "full": (
        ImportProblemReason.IMPORT_PROBLEM_REASON_REGION_LEASED,
        "other annotators have leased the region, and no place is free: import again later",
    ),
    "changed": (
        ImportProblemReason.IMPORT_PROBLEM_REASON_ANNOTATION_CHANGED,
        "an earlier import counted another answer of this annotation: undo that one to count this one",
    ),
}


async def import_answers(backend: Backend, audit: str, answers: Answers) -> ImportLabelsResponse:
    """Count each answer that fits, and report the others. Raises `NotFound` (the audit)."""
    choices = await choices_of(backend, audit)
    marks = await _fingerprints(backend, audit, (answer.region for answer in answers.found))
    response = ImportLabelsResponse(unanswered_count=answers.unanswered)
    problems = list(answers.problems)
    for answer in answers.found:
        problem = _mismatch(answer, audit, marks, choices)
        outcome = "" if problem else await _counted(backend, audit, answer, choices)
        response.imported_count += outcome == "counted"
        response.known_count += outcome == "known"
        if outcome in _REFUSALS:
            problem = answer.problem(*_REFUSALS[outcome])
        if problem:
            problems.append(problem)
    problems.sort(key=lambda problem: problem.row)
    response.problem_count = len(problems)
    response.problems.extend(problems[:PROBLEMS_SHOWN])
    return response


async def _counted(backend: Backend, audit: str, answer: FileAnswer, choices: Choices) -> str:
    number = region_number(answer.region)
    vote = choices.vote(answer.word) or ""
    return await backend.labels.count_imported(
        audit, number, answer.annotation, answer.annotator, vote, answer.note
    )


def _mismatch(
    answer: FileAnswer, audit: str, marks: dict[int, str], choices: Choices
) -> ImportProblem | None:
    """Return the problem if the answer fits no present region or names no choice."""
    try:
        its_audit, number = parse_region_name(answer.region)
    except InvalidRequest as error:
        return answer.problem(ImportProblemReason.IMPORT_PROBLEM_REASON_MALFORMED, error.message)
    if its_audit != audit:
        message = f"expected a region of {audit}, got one of {its_audit}"
        return answer.problem(ImportProblemReason.IMPORT_PROBLEM_REASON_OTHER_AUDIT, message)
    if number not in marks:
        message = f"{audit} has no region {number}"
        return answer.problem(ImportProblemReason.IMPORT_PROBLEM_REASON_REGION_UNKNOWN, message)
    if answer.fingerprint != marks[number]:
        message = "the region has changed since the export: export it again, and answer again"
        return answer.problem(ImportProblemReason.IMPORT_PROBLEM_REASON_REGION_CHANGED, message)
    if choices.vote(answer.word) is None:
        message = f"expected one of {listed(choices.words)}, or a class's number, got {answer.word[:100]!r}"
        return answer.problem(ImportProblemReason.IMPORT_PROBLEM_REASON_LABEL_UNKNOWN, message)
    return None


async def _fingerprints(backend: Backend, audit: str, names: Iterable[str]) -> dict[int, str]:
    """Return the fingerprints of the named regions of the audit, by number."""
    numbers: set[int] = set()
    for name in names:
        its_audit, _, number = name.partition("/regions/")
        if its_audit == audit and number.isdecimal() and len(number) < 10:
            numbers.add(int(number))
    marks: dict[int, str] = {}
    for first in sorted({number - number % _READ_BATCH for number in numbers}):
        for region in await backend.regions.range(audit, first, _READ_BATCH):
            marks[region_number(region.name)] = fingerprint(region)
    return marks
