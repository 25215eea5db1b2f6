"""Recorded text made safe to look at.

Spans hold whatever a model, a tool or an attacker wrote. HTML escaping is the template engine's work;
what is left after it still deceives or breaks a page: lone surrogates cannot be encoded, control
characters vanish, and bidirectional overrides reorder what the reader sees (CVE-2021-42574).
"""

from __future__ import annotations

import re

_CONTROL_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"}
_CONTROL_PICTURES[0x7F] = "\u2421"

# C1 controls, bidi embeddings, overrides and isolates, invisible separators, the byte order mark.
_INVISIBLE = re.compile(
    "[\x80-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufff9-\ufffb]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_SUSPECT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\ud800-\udfff]"
)


def _named(match: re.Match[str]) -> str:
    return f"\u27e8U+{ord(match.group()):04X}\u27e9"


def visible(text: str) -> str:
    """``text`` with line ends unified and every character that hides, reorders or cannot be encoded shown.

    Control characters become their pictures (``\\x00`` is ``\u2400``), invisible and reordering ones
    their code point in angle brackets.
    """
    if not _SUSPECT.search(text):
        return text
    text = text.replace("\r\n", "\n")
    text = _SURROGATE.sub("\ufffd", text)
    text = _INVISIBLE.sub(_named, text)
    return text.translate(_CONTROL_PICTURES)


def clip(text: str, limit: int) -> tuple[str, int]:
    """The first ``limit`` characters of ``text`` and how many were left out."""
    if len(text) <= limit:
        return text, 0
    return text[:limit], len(text) - limit


def one_line(text: str, limit: int) -> str:
    """``text`` as one bounded line for a table cell; only the part that can show is looked at."""
    head = " ".join(text[: limit * 4].split())
    if len(head) > limit or len(text) > limit * 4:
        return head[:limit].rstrip() + "\u2026"
    return head
