"""Label Studio's files: the labeling configuration, the tasks, and the export as JSON."""

import codecs
import json
from collections.abc import Iterator
from typing import Any, cast
from xml.sax.saxutils import quoteattr

from defuse_server.errors import ImportUnreadable
from defuse_server.label_files.answer_words import Choices
from defuse_server.label_files.file_answers import Answers, FileAnswer
from defuse_server.label_files.fingerprint import fingerprint
from defuse_server.label_files.json_list import JsonList
from defuse_server.labels.task_contents import Shown

_LABEL, _NOTE, _IMAGE = "label", "note", "image"
_VERDICT_KEYS = {"mixed": "m", "invalid": "i", "cannot_tell": "c"}


def labeling_config(choices: Choices) -> str:
    """Return the labeling configuration of a project. Digits are the keys of the first ten classes."""
    lines = [_choice(word, choices.vote(word) or "") for word in choices.words]
    return "\n".join(
        [
            "<View>",
            '  <Header value="What do all of these show?"/>',
            f'  <Image name="{_IMAGE}" value="${_IMAGE}" zoom="true" zoomControl="true"/>',
            f'  <Choices name="{_LABEL}" toName="{_IMAGE}" choice="single" required="true">',
            *lines,
            "  </Choices>",
            f'  <TextArea name="{_NOTE}" toName="{_IMAGE}" placeholder="A note" maxSubmissions="1"/>',
            "</View>",
            "",
        ]
    )


def _choice(word: str, vote: str) -> str:
    key = _VERDICT_KEYS.get(vote, vote if len(vote) == 1 else "")
    return f"    <Choice value={quoteattr(word)}" + (f' hotkey="{key}"/>' if key else "/>")


def task(shown: Shown, image: str) -> str:
    """Return a task as JSON. `image` is a URL or a data URI."""
    data = {
        _IMAGE: image,
        "region": shown.name,
        "fingerprint": fingerprint(shown),
        "samples": shown.sheet.count,
    }
    return json.dumps({"data": data})


class LabelStudioReader:
    """Reads the export as JSON: a list of tasks, each with the annotations of all annotators."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._list = JsonList()
        self._answers = Answers()
        self._row = 0

    def feed(self, data: bytes) -> None:
        """Read the next bytes. Raises `ImportUnreadable`, `TooLarge`."""
        for task in self._list.feed(self._decoded(data)):
            self._read(task)

    def finish(self) -> Answers:
        """Return the answers. Raises `ImportUnreadable`, `TooLarge`."""
        text = self._decoded(b"", final=True)
        for task in [*self._list.feed(text), *self._list.finish()]:
            self._read(task)
        return self._answers

    def _decoded(self, data: bytes, *, final: bool = False) -> str:
        try:
            return self._decoder.decode(data, final)
        except UnicodeDecodeError:
            raise ImportUnreadable("expected JSON in UTF-8, got other bytes") from None

    def _read(self, task: dict[str, Any]) -> None:
        self._row += 1
        data, annotations = task.get("data"), task.get("annotations")
        if not isinstance(data, dict) or not isinstance(annotations, list):
            self._answers.malformed(
                self._row, "expected a task with `data` and `annotations`: export as JSON, not as JSON-MIN"
            )
            return
        given = [one for one in cast("list[Any]", annotations) if not _is_cancelled(one)]
        if not given:
            self._answers.pass_over()
        for annotation in given:
            self._read_annotation(cast("dict[str, Any]", data), task, annotation)

    def _read_annotation(self, data: dict[str, Any], task: dict[str, Any], annotation: Any) -> None:
        region, mark = data.get("region"), data.get("fingerprint")
        if not isinstance(region, str) or not isinstance(mark, str):
            self._answers.malformed(self._row, "expected the region and fingerprint that the export wrote")
            return
        results: Any = annotation.get("result") if isinstance(annotation, dict) else None
        identity = _identity(task, annotation) if isinstance(results, list) else ""
        if not identity:
            self._answers.malformed(
                self._row, "expected an annotation with its id and a list `result`", region
            )
            return
        words = list(_texts(results, _LABEL, "choices"))
        annotator = _annotator(annotation.get("completed_by"))
        if not words:
            self._answers.pass_over()
        elif len(words) > 1:
            message = f"expected one choice, got {len(words)}"
            self._answers.malformed(self._row, message, region, annotator)
        else:
            note = "\n".join(_texts(results, _NOTE, "text"))
            self._answers.add(FileAnswer(self._row, identity, region, mark, annotator, words[0], note))


def _is_cancelled(annotation: Any) -> bool:
    """Tell whether the annotator skipped the task."""
    return isinstance(annotation, dict) and bool(cast("dict[str, Any]", annotation).get("was_cancelled"))


def _identity(task: dict[str, Any], annotation: dict[str, Any]) -> str:
    """Return an id that is the same in every export: the annotation's UUID, or its number in the project."""
    if isinstance(unique := annotation.get("unique_id"), str) and unique:
        return f"label-studio/{unique}"
    number = annotation.get("id")
    return f"label-studio/{task.get('project')}/{number}" if isinstance(number, int) else ""


def _annotator(completed_by: Any) -> str:
    """Return the user's e-mail address, or a name with the user's number."""
    number = completed_by
    if isinstance(completed_by, dict):
        user = cast("dict[str, Any]", completed_by)
        if isinstance(email := user.get("email"), str) and email:
            return email
        number = user.get("id")
    return f"label-studio-user-{number}" if isinstance(number, int) else ""


def _texts(results: list[Any], control: str, kind: str) -> Iterator[str]:
    """Yield the annotator's inputs in the control of this name."""
    for result in results:
        if isinstance(result, dict) and result.get("from_name") == control:
            value: Any = result.get("value")
            texts: Any = value.get(kind) if isinstance(value, dict) else None
            for text in texts if isinstance(texts, list) else [texts]:
                if isinstance(text, str):
                    yield text
