"""Named values at both ends of a JSON body that was too big to keep whole.

Image models answer with megabytes of base64, embedders with megabytes of numbers; what was used is
said before or after these. See ``salvage`` for the same in OpenAI's and Anthropic's vocabulary.
"""

from __future__ import annotations

import json
import re
from typing import Any

#: How far into the head it is looked: what comes first is what matters there.
_HEAD = 65_536


def remains(head: bytes, tail: bytes, *names: str) -> dict[str, Any]:
    """The last whole value of each name in ``tail``, else the last one at the start of ``head``.

    Quotes inside JSON strings are escaped, so text that a model wrote is not taken for a field.
    """
    found: dict[str, Any] = {}
    for name in names:
        for part in (tail, head[:_HEAD]):
            value = _last(part, name)
            if value is not None:
                found[name] = value
                break
    return found


def _last(part: bytes, name: str) -> Any:
    for match in reversed(list(re.finditer(rb'"%b"\s*:\s*(?=[^\s])' % re.escape(name.encode()), part))):
        text = part[match.end() :].decode("utf-8", "replace")
        try:
            value = json.JSONDecoder().raw_decode(text)[0]
        except (ValueError, RecursionError):
            continue
        if value is not None:
            return value
    return None
