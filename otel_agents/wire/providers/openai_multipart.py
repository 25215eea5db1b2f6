"""Forms with files (``multipart/form-data``), read without copying the files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

#: A field longer than this (bytes) is no parameter and is not decoded.
_MAX_FIELD: Final = 65_536
_MAX_HEADERS: Final = 4096
_MAX_PARTS: Final = 1000

_NAME: Final = re.compile(rb'(?i)content-disposition:[^\r\n]*?[; ]name="((?:[^"\\]|\\.)*)"')
_FILENAME: Final = re.compile(rb"(?i)content-disposition:[^\r\n]*?; filename\*?=")
_TYPE: Final = re.compile(rb"(?i)(?:^|\r\n)content-type:[ \t]*([^;\r\n]+)")
_LENGTH: Final = re.compile(rb"(?i)(?:^|\r\n)content-length:[ \t]*(\d{1,18})")


@dataclass(slots=True)
class File:
    """A file of a form: what is said of it, not its bytes. ``size`` is in bytes."""

    name: str
    mime_type: str | None
    size: int


@dataclass(slots=True)
class Form:
    """Text fields by name (the last of a repeated one) and files in their order."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[File] = field(default_factory=list)


def is_form(body: bytes) -> bool:
    """Whether ``body`` looks like a form. JSON does not begin with two dashes."""
    return body.startswith(b"--")


def read(body: bytes) -> Form:
    """Fields and files of a form, also of one that was cut short.

    Raises:
        ValueError: not a form.
    """
    end = body.find(b"\r\n", 0, 80)
    if not is_form(body) or end < 0:
        raise ValueError("not a form")
    form = Form()
    for headers, start, stop in _parts(body, b"\r\n" + body[:end]):
        named = _NAME.search(headers)
        if named is None:
            continue
        name = named.group(1).decode("utf-8", "replace")
        if _FILENAME.search(headers):
            said, length = _TYPE.search(headers), _LENGTH.search(headers)
            mime_type = said.group(1).decode("ascii", "replace").strip() if said else None
            form.files.append(File(name, mime_type, int(length.group(1)) if length else stop - start))
        elif stop - start <= _MAX_FIELD:
            form.fields[name] = body[start:stop].decode("utf-8", "replace")
    return form


def _parts(body: bytes, delimiter: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Headers of each part, and where its content starts and ends."""
    position = len(delimiter)
    for _ in range(_MAX_PARTS):
        blank = body.find(b"\r\n\r\n", position - 2, position + _MAX_HEADERS)
        if blank < 0:
            return
        start = blank + 4
        stop = body.find(delimiter, start - 2)
        yield body[position:blank], start, max(start, len(body) if stop < 0 else stop)
        if stop < 0:
            return
        position = stop + len(delimiter) + 2


def head(stream: Any) -> bytes | None:
    """The form that ``stream`` will send, without the content of its files; None for another stream.

    For the bodies of httpx and httpx2, which are only made while they are sent: their fields are
    looked at, no file is read. Files are replaced by their size (``Content-Length``).
    """
    boundary, fields = getattr(stream, "boundary", None), getattr(stream, "fields", None)
    if not isinstance(boundary, bytes) or not isinstance(fields, list):
        return None
    made: list[bytes] = []
    for part in fields:
        headers: bytes = part.render_headers()
        made += (b"--", boundary, b"\r\n")
        if not hasattr(part, "filename"):
            made += (headers, part.render_data(), b"\r\n")
            continue
        length = part.get_length()
        if length is not None:
            made += (b"Content-Length: %d\r\n" % (length - len(headers)),)
        made += (headers, b"\r\n")
    made += (b"--", boundary, b"--\r\n")
    return b"".join(made)
