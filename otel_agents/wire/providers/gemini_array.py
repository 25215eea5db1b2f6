"""The JSON array that Google's streaming methods answer with when no event stream was asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

import msgspec

_list: Final = msgspec.json.Decoder(list[msgspec.Raw])
#: Where an item starts: the server puts each at the beginning of a line, after ``[`` or ``,``.
_START: Final = re.compile(r"(?m)^[\[,\s]*\{")


def is_array(body: bytes) -> bool:
    """Whether ``body`` is such an array."""
    return body[:64].removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def documents(body: bytes) -> Iterator[bytes]:
    """The items, undecoded. Of an array that was cut, or has a gap, those that are whole."""
    try:
        whole = _list.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        yield from _whole(body.decode("utf-8", "replace"))
        return
    for item in whole:
        yield bytes(item)


def _whole(text: str) -> Iterator[bytes]:
    decoder = json.JSONDecoder()
    position = 0
    while (found := _START.search(text, position)) is not None:
        start = found.end() - 1
        try:
            _, position = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            position = found.end()
            continue
        yield text[start:position].encode("utf-8", "replace")
        # Items that follow on the same line (proxies compact them) start where this one ended.
        rest = text[position:].lstrip()
        while rest.startswith(","):
            start = text.find("{", position)
            if start < 0:
                return
            try:
                _, end = decoder.raw_decode(text, start)
            except (ValueError, RecursionError):
                break
            yield text[start:end].encode("utf-8", "replace")
            position = end
            rest = text[position : position + 64].lstrip()
