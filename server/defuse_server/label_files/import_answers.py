"""Imports the answers of a file: counts them by the rules of the label queue."""

import contextlib
from collections.abc import Iterable
from typing import Final

from defuse.v1.label_service_pb2 import ImportLabelsResponse, ImportProblem, ImportProblemReason

from defuse_server.backend import Backend
from defuse_server.errors import InvalidRequest
from defuse_server.label_files.answer_words import Choices, choices_of, listed
from defuse_server.label_files.file_answers import Answers, FileAnswer
from defuse_server.label_files.fingerprint import fingerprint
from defuse_server.names import parse_task_name

PROBLEMS_SHOWN: Final = 1000
_READ_BATCH = 200

# The problems of votes that the queue does not count.
_REFUSALS: dict[str, tuple[ImportProblemReason, str]] = {
    "missing": (
        ImportProblemReason.IMPORT_PROBLEM_REASON_REGION_UNKNOWN,
        "it has no task yet: import again once its audit has opened it",
    ),
    "answered": (
        ImportProblemReason.IMPORT_PROBLEM_REASON_ALREADY_ANSWERED,
        "this annotator has already answered this task",
    ),
    "closed": (
        ImportProblemReason.IMPORT_PROBLEM_REASON_REGION_CLOSED,
        "it has all the answers that it needs",
    ),
    "full": (
        ImportProblemReason.IMPORT_PROBLEM_REASON_REGION_LEASED,
        "other annotators have leased it, and no place is free: import again later",
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
    if response.imported_count:
        await backend.labeling.reorder(audit)
    problems.sort(key=lambda problem: problem.row)
    response.problem_count = len(problems)
    response.problems.extend(problems[:PROBLEMS_SHOWN])
    return response


async def _counted(backend: Backend, audit: str, answer: FileAnswer, choices: Choices) -> str:
    _, number = parse_task_name(answer.region)
    vote = choices.vote(answer.word) or ""
    return await backend.labels.count_imported(
        audit, number, answer.annotation, answer.annotator, vote, answer.note
    )


def _mismatch(
    answer: FileAnswer, audit: str, marks: dict[int, str], choices: Choices
) -> ImportProblem | None:
    """Return the problem if the answer fits no present region or names no choice."""
    try:
        its_audit, number = parse_task_name(answer.region)
    except InvalidRequest as error:
        return answer.problem(ImportProblemReason.IMPORT_PROBLEM_REASON_MALFORMED, error.message)
    if its_audit != audit:
        message = f"expected a bug or region of {audit}, got one of {its_audit}"
        return answer.problem(ImportProblemReason.IMPORT_PROBLEM_REASON_OTHER_AUDIT, message)
    if number not in marks:
        message = f"{audit} has no task for {answer.region}"
        return answer.problem(ImportProblemReason.IMPORT_PROBLEM_REASON_REGION_UNKNOWN, message)
    if answer.fingerprint != marks[number]:
        message = "it has changed since the export: export it again, and answer again"
        return answer.problem(ImportProblemReason.IMPORT_PROBLEM_REASON_REGION_CHANGED, message)
    if choices.vote(answer.word) is None:
        message = f"expected one of {listed(choices.words)}, or a class's number, got {answer.word[:100]!r}"
        return answer.problem(ImportProblemReason.IMPORT_PROBLEM_REASON_LABEL_UNKNOWN, message)
    return None


async def _fingerprints(backend: Backend, audit: str, names: Iterable[str]) -> dict[int, str]:
    """Return the fingerprints of the named bugs and regions of the audit, by the number of their task."""
    numbers: set[int] = set()
    for name in names:
        with contextlib.suppress(InvalidRequest):
            its_audit, number = parse_task_name(name)
            numbers |= {number} if its_audit == audit else set()
    published = sorted(numbers & (await backend.labeling.task_states(audit)).keys())
    marks: dict[int, str] = {}
    for first in range(0, len(published), _READ_BATCH):
        batch = published[first : first + _READ_BATCH]
        found = await backend.labeling.shown(audit, batch)
        marks.update({number: fingerprint(shown) for number, shown in zip(batch, found, strict=True)})
    return marks
