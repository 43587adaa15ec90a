"""Reads a list of JSON objects in pieces, and holds at most one object in memory."""

import json
from typing import Any, Final

from defuse_server.errors import ImportUnreadable, TooLarge

OBJECT_CHARACTERS: Final = 32 * 1024 * 1024
"""Most characters in one object."""
_SPACE = " \t\r\n"


class JsonList:
    """Returns the list's objects as they become complete."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size = 0
        self._needed = 0
        self._lines = 1
        self._count = 0
        self._expected = "["
        self._fault = ""

    def feed(self, text: str) -> list[dict[str, Any]]:
        """Return the objects that end within `text`. Raises `ImportUnreadable`, `TooLarge`."""
        self._parts.append(text)
        self._size += len(text)
        # An incomplete object is tried again at twice its size, so each character is read at most twice.
        return self._take() if self._size >= self._needed else []

    def finish(self) -> list[dict[str, Any]]:
        """Return the remaining objects. Raises `ImportUnreadable` if the list has no end."""
        objects = self._take()
        if self._expected != "":
            fault = self._fault or "the file ends within it"
            raise ImportUnreadable(f"task {self._count + 1}, from line {self._lines}: {fault}")
        return objects

    def _take(self) -> list[dict[str, Any]]:
        text, objects = "".join(self._parts), list[dict[str, Any]]()
        position = self._after_space(text, 0)
        while position < len(text):
            position, value = self._step(text, position)
            if value is not None:
                objects.append(value)
            elif self._fault:
                break
            position = self._after_space(text, position)
        self._lines += text.count("\n", 0, position)
        self._parts, self._size = [text[position:]], len(text) - position
        self._needed = 2 * self._size
        if self._size > OBJECT_CHARACTERS:
            raise TooLarge(
                f"task {self._count + 1}: expected at most {OBJECT_CHARACTERS} characters in a task"
            )
        return objects

    def _step(self, text: str, position: int) -> tuple[int, dict[str, Any] | None]:
        """Read one mark, or one complete object."""
        character = text[position]
        if character == "{" and "{" in self._expected:
            return self._object(text, position)
        if not self._expected or character not in self._expected.replace("{", ""):
            wanted = " or ".join(self._expected) or "the end"
            raise ImportUnreadable(
                f"expected a list of tasks, with {wanted} after task {self._count}, got {character!r}"
            )
        self._expected = {"[": "{]", ",": "{", "]": ""}[character]
        return position + 1, None

    def _object(self, text: str, position: int) -> tuple[int, dict[str, Any] | None]:
        try:
            value, end = json.JSONDecoder().raw_decode(text, position)
        except RecursionError:
            raise ImportUnreadable(f"task {self._count + 1} is nested too deeply") from None
        except ValueError as error:
            # The object is wrong or incomplete; which of the two shows at the end.
            self._fault = str(error)
            return position, None
        self._count += 1
        self._fault, self._expected = "", ",]"
        return end, value

    @staticmethod
    def _after_space(text: str, position: int) -> int:
        while position < len(text) and text[position] in _SPACE:
            position += 1
        return position
