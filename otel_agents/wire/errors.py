"""What an error body says whose shape is not that of the API that was called.

Gateways, proxies and web frameworks answer in their own words before a request gets to the model:
``{"message"}``, ``{"detail"}``, ``{"errors": []}``, or the provider's own error inside a list.
"""

from __future__ import annotations

from typing import Any, Final

from otel_agents.wire import tolerant

#: Beyond this many bytes a body is no error.
_LIMIT: Final = 65_536
#: Names under which a message is found, the most telling first.
_NAMES: Final = (
    "error",
    "message",
    "detail",
    "error_message",
    "errors",
    "Message",
    "msg",
    "error_description",
)


def message(body: bytes) -> str | None:
    """The text of the error in ``body``; None for what is no JSON, or says nothing of one."""
    if len(body) > _LIMIT or body.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        return _text(tolerant.decode_any(body), 4)
    except ValueError:
        return None


def _text(value: Any, depth: int) -> str | None:
    if depth == 0:
        return None
    if isinstance(value, str):
        return value[:2000] or None
    if isinstance(value, list):
        return _text(value[0], depth - 1) if value else None
    if isinstance(value, dict):
        for name in _NAMES:
            found = _text(value[name], depth - 1) if name in value else None
            if found is not None:
                return found
    return None
