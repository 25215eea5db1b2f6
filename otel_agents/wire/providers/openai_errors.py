"""Errors as OpenAI's APIs and the servers that speak them word them."""

from __future__ import annotations

import msgspec

from otel_agents.wire import tolerant
from otel_agents.wire.formats import ResponseFacts


def take_error(facts: ResponseFacts, raw: msgspec.Raw) -> None:
    """Notes ``{"message", "type", "code"}``, or just a text; null and an absent field are no error."""
    if tolerant.opens(raw) not in (b"{", b'"'):
        return
    try:
        error = tolerant.decode_any(raw)
    except ValueError:
        return
    if isinstance(error, dict):
        facts.error_message = tolerant.text(error.get("message")) or facts.error_message
        kind = tolerant.text(error.get("type")) or tolerant.text(error.get("code"))
        facts.error_type = kind or facts.error_type or "_OTHER"
    elif isinstance(error, str) and error:
        facts.error_message, facts.error_type = error, facts.error_type or "_OTHER"
