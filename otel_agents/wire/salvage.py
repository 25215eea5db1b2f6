"""What can still be read of a JSON body that was too big to keep whole."""

from __future__ import annotations

import json
import re
from typing import Any, Final

_ID: Final = re.compile(rb'"id"\s*:\s*"([^"\\]{1,200})"')
_MODEL: Final = re.compile(rb'"model"\s*:\s*"([^"\\]{1,200})"')
_REASON: Final = re.compile(rb'"(?:finish_reason|stop_reason)"\s*:\s*"([^"\\]{1,100})"')
_USAGE: Final = re.compile(rb'"usage"\s*:\s*(?=\{)')


def essentials(head: bytes, tail: bytes) -> bytes:
    """A small JSON body with the id, model, usage and finish reason found at both ends of a big one.

    Quotes inside JSON strings are escaped, so text that a model wrote is not taken for a field.
    """
    found: dict[str, Any] = {}
    for name, expression in (("id", _ID), ("model", _MODEL)):
        match = expression.search(head[:65_536]) or expression.search(tail)
        if match:
            found[name] = match.group(1).decode("utf-8", "replace")
    usages = list(_USAGE.finditer(tail)) or list(_USAGE.finditer(head[:65_536]))
    if usages:
        text = usages[-1].string[usages[-1].end() :].decode("utf-8", "replace")
        try:
            found["usage"] = json.JSONDecoder().raw_decode(text)[0]
        except ValueError:
            pass
    reason = _REASON.search(head[:65_536]) or _REASON.search(tail)
    if reason:
        said = reason.group(1).decode("utf-8", "replace")
        found["stop_reason"] = said
        found["choices"] = [{"index": 0, "finish_reason": said}]
    return json.dumps(found).encode()
