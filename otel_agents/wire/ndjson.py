"""Newline-delimited JSON: one object a line, read from bytes that may have been cut or have a gap."""

from __future__ import annotations

from collections.abc import Iterator


def lines(body: bytes) -> Iterator[bytes]:
    """Every line that begins an object, in order; whether it is whole is for its reader to find out.

    A body that is one object over several lines, as proxies print it, comes back in one piece.
    """
    start = body.removeprefix(b"\xef\xbb\xbf").lstrip()
    first, _, _ = start.partition(b"\n")
    if first.rstrip() == b"{":
        yield start
        return
    for line in start.split(b"\n"):
        stripped = line.strip()
        if stripped.startswith(b"{"):
            yield stripped


def last_line(body: bytes, wanted: bytes) -> bytes | None:
    """The last line that contains ``wanted`` and begins an object.

    JSON escapes quotes inside strings, so a ``wanted`` with its quotes is not found in texts.
    """
    end = len(body)
    while (found := body.rfind(wanted, 0, end)) >= 0:
        start = body.rfind(b"\n", 0, found) + 1
        stop = body.find(b"\n", found)
        line = body[start : stop if stop >= 0 else len(body)].strip()
        if line.startswith(b"{"):
            return line
        end = found
    return None
