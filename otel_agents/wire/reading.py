"""From captured bytes to facts, whatever the bytes are: never raises, says what could not be read."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from otel_agents.wire import errors, salvage
from otel_agents.wire.capture import is_stream
from otel_agents.wire.formats import NOT_FINISHED, ResponseFacts

if TYPE_CHECKING:
    from otel_agents.wire.capture import Body
    from otel_agents.wire.formats import RequestFacts, WireFormat

logger = logging.getLogger(__name__)


def read(
    wire_format: WireFormat, request: RequestFacts, body: Body, headers: Mapping[str, str], complete: bool
) -> tuple[ResponseFacts, bytes, bool]:
    """Facts, the bytes that messages can be read from later, and whether those are an event stream.

    ``complete``: the caller read the body to its end, so that an empty one is worth a word.
    """
    framed = getattr(wire_format, "is_stream", None)
    streamed = is_stream(body.head, headers) or (framed is not None and framed(body.head, headers))
    data = body.head
    if body.tail is not None:
        # A gap between the two; the line that it cuts is not valid JSON and is skipped.
        rest = getattr(wire_format, "salvage", salvage.essentials)
        data = b"%b\n\n%b" % (body.head, body.tail) if streamed else rest(body.head, body.tail)
    if not data:
        nothing = body.problem or ("empty" if complete else None)
        return (
            ResponseFacts(finish_reasons=[NOT_FINISHED] * request.choices, unreadable=nothing),
            b"",
            streamed,
        )
    try:
        facts = wire_format.read_response(data, streamed, request)
        facts.unreadable = facts.unreadable or body.problem
        # Formats whose API says something in the response's headers have this method.
        read_headers = getattr(wire_format, "read_headers", None)
        if read_headers is not None:
            read_headers(facts, headers)
    except ValueError:
        facts = _nothing(request, body.problem or _name(data))
    except Exception:
        logger.debug("otel-agents: a response could not be read", exc_info=True)
        facts = _nothing(request, "internal_error")
    if facts.error_message is None and facts.usage is None and not streamed:
        facts.error_message = errors.message(data)
    readable = data if streamed or body.tail is None else b""
    return facts, readable, streamed


def _nothing(request: RequestFacts, unreadable: str | None) -> ResponseFacts:
    return ResponseFacts(finish_reasons=[NOT_FINISHED] * request.choices, unreadable=unreadable)


def _name(data: bytes) -> str:
    start = data[:256].removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"<"):
        return "html"
    return "malformed_json" if start.startswith((b"{", b"[")) else "not_json"
