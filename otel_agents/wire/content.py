"""Messages of a call as span attributes or as an event, redacted and bounded. Runs off the caller's path."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from otel_agents import semconv
from otel_agents.wire import fit

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

    from otel_agents.runtime import Runtime
    from otel_agents.wire.formats import Content, RequestFacts, ResponseFacts, WireFormat

logger = logging.getLogger(__name__)


def read(
    wire_format: WireFormat, request: bytes | None, response: bytes, streamed: bool, limit: int
) -> Content:
    """What both sides said, in the conventions' schema; a side that cannot be read is left out."""
    found: Content = {}
    if request:
        try:
            found.update(wire_format.input_content(request, limit))
        except Exception:
            logger.debug("otel-agents: the messages of a request could not be read", exc_info=True)
    if response:
        try:
            found.update(wire_format.output_content(response, streamed, limit))
        except Exception:
            logger.debug("otel-agents: the messages of a response could not be read", exc_info=True)
    return found


def attributes(found: Content, runtime: Runtime) -> dict[str, AttributeValue]:
    """``found`` as JSON strings within the limit of one attribute."""
    made: dict[str, AttributeValue] = {}
    for name, items in redacted(found, runtime).items():
        made[name], cut = fit.to_json(items, runtime.settings.max_value_chars)
        if cut:
            made[semconv.CAPTURE_TRUNCATED] = True
    return made


def redacted(found: Content, runtime: Runtime) -> Content:
    """``found`` after the privacy policy; nothing when that fails: better no content than a secret."""
    try:
        redactor = runtime.redactor
        return {name: redactor.value(items, name) for name, items in found.items()}
    except Exception:
        logger.warning("otel-agents: content left out, because it could not be redacted", exc_info=True)
        return {}


#: Texts of a request's attributes that the app wrote; all others are words of the API.
_WRITTEN: Final = (semconv.REQUEST_STOP_SEQUENCES, semconv.REQUEST_REASONING_LEVEL)


def redact_request(facts: RequestFacts, runtime: Runtime) -> None:
    """Takes secrets out of what the app wrote into a request: what is set on a span is redacted first."""
    redactor = runtime.redactor
    if facts.model:
        facts.model = redactor.text(facts.model, semconv.REQUEST_MODEL)
    for name in _WRITTEN:
        if name in facts.attributes:
            facts.attributes[name] = redactor.attribute(name, facts.attributes[name])


def redact_response(facts: ResponseFacts, runtime: Runtime) -> None:
    """The same for a response: servers repeat the model's name, and what they choke on."""
    redactor = runtime.redactor
    if facts.model:
        facts.model = redactor.text(facts.model, semconv.RESPONSE_MODEL)
    if facts.error_type:
        facts.error_type = redactor.text(facts.error_type, semconv.ERROR_TYPE)


def text(said: str, runtime: Runtime, limit: int = 1000) -> str:
    """An error's text after the privacy policy, cut to a length that a status description should have."""
    try:
        return runtime.redactor.text(said[: limit * 2])[:limit]
    except Exception:
        logger.debug(
            "otel-agents: an error text was left out, because it could not be redacted", exc_info=True
        )
        return ""


def emit_event(
    found: Content, span_attributes: Mapping[str, AttributeValue], runtime: Runtime, context: Any
) -> None:
    """The conventions' event with all attributes of the span; messages stay structured there."""
    merged: dict[str, Any] = {**span_attributes, **redacted(found, runtime)}
    runtime.emit_event(semconv.EVENT_INFERENCE_DETAILS, merged, context)
