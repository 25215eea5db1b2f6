"""JSON documents out of what a program prints: one object, one on each line, a list of them, or what is
left of them.

A run that was killed leaves half a line; warnings of a runtime stand between the lines or in front of an
object on the same line; some programs print one object over many lines. What cannot be read is counted
under a name, never raised.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

#: Lines of an object that is printed over several of them.
_PRETTY: Final = re.compile(r"\s*(?:[\[\]{}\"]|-?\d|true\b|false\b|null\b)")
_START: Final = re.compile(r"[{](?=\s*(?:[\"}]|$))")
#: The start of a list of objects; of an element, or of the list's end.
_LIST: Final = re.compile(r"\[\s*[{](?=\s*[\"}])")
_ELEMENT: Final = re.compile(r"[\s,]*[^\s,]")
#: Characters that are looked through for what is complete in a cut object.
_MAX_CLOSED: Final = 2_000_000
#: Brackets inside each other that are followed in it; each of them costs as much as there are around it.
_MAX_DEPTH: Final = 100
_decoder: Final = json.JSONDecoder(strict=False)

NOT_JSON: Final = "text_between_events"
CUT: Final = "cut_json"
TOO_LONG: Final = "too_long_line"
NO_OBJECT: Final = "no_json_object"
NOT_UTF8: Final = "not_utf8"


class Documents:
    """Takes lines, gives the JSON objects in them as soon as they are complete.

    Args:
        limit: characters of an object over several lines.

    Attributes:
        skipped: what could not be read, and how often.
        text: lines that are no JSON, for programs that print plain text; at most ``limit`` characters.
    """

    __slots__ = ("_limit", "_pending", "_size", "_text_size", "_tried", "skipped", "text")

    def __init__(self, limit: int = 16 << 20) -> None:
        self._limit = limit
        self._pending: list[str] = []
        self._size = 0
        self._tried = 0
        self._text_size = 0
        self.skipped: Counter[str] = Counter()
        self.text: list[str] = []

    def feed(self, line: str) -> Iterator[Mapping[str, Any]]:
        """The objects that this line completes."""
        stripped = line.strip()
        if not stripped:
            return
        if self._pending:
            if self._pending[0][:1] == "[" or _alone(stripped) is None:
                yield from self._add(line)
                return
            # A whole event on one line inside what seemed to be a longer object: that one was cut.
            yield from self.finish()
        if stripped == "[" or (stripped[0] == "{" and (_alone(stripped) is None) and _open(stripped)):
            yield from self._add(line)
            return
        yield from self._on_one_line(stripped)

    def finish(self) -> Iterator[Mapping[str, Any]]:
        """What can be made of a begun object when nothing more comes."""
        lines, self._pending, self._size, self._tried = self._pending, [], 0, 0
        if not lines:
            return
        if lines[0][:1] == "[":
            yield from self._elements("".join(lines))
            return
        found = _decoded("".join(lines))
        if found is None:
            kept = [line for line in lines if _PRETTY.match(line)]
            found = _decoded("".join(kept)) if len(kept) < len(lines) else None
            if found is not None:
                self.skipped[NOT_JSON] += len(lines) - len(kept)
        if found is not None:
            yield found
            return
        if len(lines) > 1 and not all(_PRETTY.match(line) for line in lines):
            # Events with a cut one in front: each line has to be looked at by itself.
            self.skipped[CUT] += 1
            first, rest = lines[0], lines[1:]
            if (closed := _closed(first)) is not None:
                yield closed
            for line in rest:
                yield from self._on_one_line(line.strip())
            return
        self.skipped[CUT] += 1
        if (closed := _closed("".join(lines))) is not None:
            yield closed

    def too_long(self) -> None:
        """A line was longer than anybody keeps."""
        self.skipped[TOO_LONG] += 1

    def _add(self, line: str) -> Iterator[Mapping[str, Any]]:
        if self._size + len(line) > self._limit:
            self.too_long()
            return
        self._pending.append(line if line.endswith("\n") else f"{line}\n")
        self._size += len(line)
        if line[:1] == "}" and line.rstrip()[-1:] == "}" and self._size >= 1.5 * self._tried:
            self._tried = self._size  # an end that was none is not looked at again and again
            found = _decoded("".join(self._pending))
            if found is not None:
                self._pending, self._size, self._tried = [], 0, 0
                yield found
        elif line.rstrip() == "]" and self._pending[0][:1] == "[":
            yield from self.finish()

    def _elements(self, text: str) -> Iterator[Mapping[str, Any]]:
        """The objects in a list, the last of which may be cut."""
        position = 1
        while (start := _ELEMENT.match(text, position)) and text[start.end() - 1] != "]":
            begin = start.end() - 1
            try:
                value, position = _decoder.raw_decode(text, begin)
            except (ValueError, RecursionError):
                self.skipped[CUT] += 1
                if (closed := _closed(text[begin:])) is not None:
                    yield closed
                return
            if isinstance(value, dict):
                yield value
        if start is None:
            self.skipped[CUT] += 1

    def _on_one_line(self, text: str) -> Iterator[Mapping[str, Any]]:
        if _LIST.match(text):
            yield from self._elements(text)
            return
        position, seen = 0, False
        while position < len(text):
            start = _START.search(text, position)
            if start is None:
                break
            try:
                value, end = _decoder.raw_decode(text, start.start())
            except (ValueError, RecursionError):
                closed = _closed(text[start.start() :]) if not seen else None
                self.skipped[CUT] += 1
                if closed is not None:
                    yield closed
                return
            if text[position : start.start()].strip():
                self.skipped[NOT_JSON] += 1
            seen, position = True, end
            if isinstance(value, dict):
                yield value
        rest = text[position:].strip()
        if not rest:
            return
        if not seen and _decoded_any(rest):
            self.skipped[NO_OBJECT] += 1
            return
        self.skipped[NOT_JSON] += 1
        if not seen and self._text_size + len(rest) <= self._limit:
            self.text.append(rest)
            self._text_size += len(rest)


def complete_part(text: str) -> Mapping[str, Any] | None:
    """The complete members of an object whose end is missing; None when ``text`` is the start of none."""
    return _closed(text.lstrip()) if text.lstrip()[:1] == "{" else None


def _alone(text: str) -> Mapping[str, Any] | None:
    return _decoded(text) if text[0] == "{" and text[-1] == "}" and len(text) > 2 else None


def _open(text: str) -> bool:
    """Whether a line only begins an object that goes on on the next lines."""
    return text == "{" or (text[-1] in ",{[" and _closed(text) is not None)


def _decoded(text: str) -> Mapping[str, Any] | None:
    try:
        found = _decoder.decode(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _decoded_any(text: str) -> bool:
    try:
        _decoder.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _closed(text: str) -> Mapping[str, Any] | None:
    """The complete members of an object whose end is missing."""
    text = text[:_MAX_CLOSED]
    closers: list[str] = []
    in_string = escaped = False
    ends: list[tuple[int, str]] = []  # where a member is complete, and what would close the rest there
    for index, char in enumerate(text):
        if in_string:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                in_string = False
        elif char == '"':
            in_string = True
        elif char in "{[":
            if len(closers) == _MAX_DEPTH:
                break
            closers.append("}" if char == "{" else "]")
            ends.append((index + 1, "".join(reversed(closers))))
        elif char in "}]":
            if not closers or closers.pop() != char:
                break
            ends.append((index + 1, "".join(reversed(closers))))
        elif char == ",":
            ends.append((index, "".join(reversed(closers))))
        if len(ends) > 8:
            del ends[:-4]
    for end, rest in reversed(ends):
        found = _decoded(text[:end] + rest)
        if found:
            return found
    return None
