"""JSON coloured on the server, so that the page needs no library for it."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from otel_agents.local.ui.clean import visible

#: Colouring costs one element a token; longer text is shown plain.
LIMIT = 60_000

_TOKEN = re.compile(
    r'(?P<key>"(?:[^"\\\n]|\\.)*+")(?=\s*:)'
    r'|(?P<str>"(?:[^"\\\n]|\\.)*+"?)'
    r"|(?P<num>-?\b\d[\d.eE+-]*)"
    r"|(?P<lit>\b(?:true|false|null|NaN|Infinity)\b)"
)


def json_markup(text: str) -> Markup:
    """``text`` (printed JSON, possibly cut) escaped, with spans of class ``k``, ``s``, ``n`` and ``l``."""
    text = visible(text)
    if len(text) > LIMIT:
        return escape(text)
    pieces: list[str] = []
    end = 0
    for match in _TOKEN.finditer(text):
        pieces.append(escape(text[end : match.start()]))
        kind = (match.lastgroup or "s")[0]
        pieces.append(f'<span class="{kind}">{escape(match.group())}</span>')
        end = match.end()
    pieces.append(escape(text[end:]))
    return Markup("".join(pieces))
