"""How our spans start, fail and get content; every step guarded, because the app never pays for it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode

from otel_agents import runtime, semconv, values
from otel_agents.privacy import captures
from otel_agents.tracing.contexts import MAX_NAME
from otel_agents.tracing.contexts import attributes as inherited
from otel_agents.values.attributes import attributes_of
from otel_agents.values.objects import type_name

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.util.types import AttributeValue

logger = logging.getLogger(__name__)

_MAX_MESSAGE: Final = 4096
_MAX_STACKTRACE: Final = 32_768
_noted: set[str] = set()


def note(what: str) -> None:
    """Logs the exception that is being handled: once for each ``what``, at debug level."""
    if what in _noted:
        return
    try:
        _noted.add(what)
        logger.debug("otel-agents: could not %s", what, exc_info=True)
    except Exception:  # no stack left, or a logging handler of the app's that raises
        pass


def start_span(
    name: str,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, AttributeValue],
    context: Context | None = None,
    start_time: int | None = None,
    links: Sequence[Link] = (),
) -> Span:
    """Starts a span (without making it current) with the attributes that its context asks for.

    Args:
        attributes: what samplers should see; they win over the context's. Redacted already.
        context: where the parent is; None is the current context.
        start_time: nanoseconds since the epoch; None is now.
    """
    parent = otel_context.get_current() if context is None else context
    try:
        return (
            runtime.current()
            .tracer()
            .start_span(
                name,
                parent,
                kind,
                {**inherited(parent), **attributes},
                links=links,
                start_time=start_time,
                record_exception=False,
                set_status_on_exception=False,
            )
        )
    except Exception:  # an id generator, sampler or processor of the app's
        note("start a span")
        # What starts inside stays connected with what is outside, as the API's own no-op tracer does it.
        return trace.NonRecordingSpan(trace.get_current_span(parent).get_span_context())


def end_span(span: Span, end_time: int | None = None) -> None:
    """Ends a span, whatever the processors behind it do."""
    try:
        span.end(end_time)
    except Exception:
        note("end a span")


def is_failure(error: BaseException) -> bool:
    """Whether an operation that ended with this exception failed.

    A closed generator and an orderly ``sys.exit()`` did not fail; a cancelled task did, since whoever
    waited for its result gets none.
    """
    if isinstance(error, GeneratorExit):
        return False
    return not (isinstance(error, SystemExit) and error.code in (None, 0))


def error_type(error: BaseException) -> str:
    """``module.Class`` of an exception, without the module for builtins: the value of ``error.type``."""
    return type_name(error)


def record_error(span: Span, error: BaseException) -> str:
    """Marks a span as failed: status with the redacted message, ``error.type``, an exception event.

    Returns:
        The error type.
    """
    kind = error_type(error)
    try:
        if span.is_recording():
            redact = runtime.current().redactor.text
            message = redact(_message(error))
            span.set_status(Status(StatusCode.ERROR, message or kind))
            span.set_attribute(semconv.ERROR_TYPE, kind)
            span.add_event(
                "exception",
                {
                    "exception.type": kind,
                    "exception.message": message,
                    "exception.stacktrace": redact(_stacktrace(error)),
                },
            )
    except Exception:
        note("record an error")
    return kind


def told_of(error: BaseException) -> tuple[str, str]:
    """Message and stack trace of an exception, bounded, not redacted."""
    return _message(error), _stacktrace(error)


def set_error(span: Span, error: BaseException | str, kind: str | None) -> str:
    """Marks a span as failed on the user's word.

    Args:
        kind: the error type; by default that of the exception, or ``_OTHER``.

    Returns:
        The error type.
    """
    if isinstance(error, BaseException):
        found = record_error(span, error)
    else:
        found = "_OTHER"
        message = runtime.current().redactor.text(values.to_text(error, _MAX_MESSAGE))
        if span.is_recording():
            span.set_status(Status(StatusCode.ERROR, message))
    if kind:
        found = runtime.current().redactor.text(values.to_text(kind, MAX_NAME))
    if span.is_recording():
        span.set_attribute(semconv.ERROR_TYPE, found)
    return found


def set_attributes(span: Span, attributes: Mapping[str, AttributeValue]) -> None:
    """Sets attributes, redacted."""
    if attributes and span.is_recording():
        span.set_attributes(runtime.current().redactor.attributes(attributes))


def set_content(span: Span, name: str, text: str, truncated: bool) -> None:
    """Puts a content attribute on a span, redacted.

    Redacting can take milliseconds (256 KB: some 10), so it is left to our export thread where there is
    one. Exporters of the app's own see content with ``OTEL_AGENTS_EAGER_CONTENT=true``.
    """
    if not span.is_recording():
        return
    current = runtime.current()
    redactor = current.redactor
    if truncated:
        span.set_attribute(semconv.CAPTURE_TRUNCATED, True)
    if current.pipeline is None or current.settings.eager_content:
        span.set_attribute(name, redactor.attribute(name, text))
    elif span.get_span_context().trace_flags.sampled:
        current.defer(span, lambda: {name: redactor.attribute(name, text)})


def captures_explicit() -> bool:
    """Whether values that the user hands over are exported."""
    return captures(runtime.current().settings, "explicit")


def captures_arguments(wanted: bool | None) -> bool:
    """Whether arguments or results of a decorated function are exported.

    Args:
        wanted: what the decorator says. True counts as handing them over; None leaves it to the settings.
    """
    if wanted is False:
        return False
    return captures(runtime.current().settings, "explicit" if wanted else "arguments")


def content_limit() -> int:
    """Characters of one content attribute, with room left for markers and for the message around it."""
    limit = runtime.current().settings.max_value_chars
    return max(limit - 2 * values.MARKER_ROOM, limit // 2)


def metadata(given: Mapping[str, object] | None) -> dict[str, AttributeValue]:
    """A user's metadata as attributes."""
    limit = content_limit()
    return {semconv.METADATA_PREFIX + key: value for key, value in attributes_of(given, limit).items()}


def _message(error: BaseException) -> str:
    try:
        return values.to_text(str(error), _MAX_MESSAGE)
    except Exception:
        return ""


def _stacktrace(error: BaseException) -> str:
    try:
        lines = traceback.format_exception(error)
    except Exception:
        return ""
    text = "".join(lines)
    if len(text) > _MAX_STACKTRACE:  # a deep recursion: its start and its end say what happened
        text = f"{text[: _MAX_STACKTRACE // 4]}\n...\n{text[-_MAX_STACKTRACE * 3 // 4 :]}"
    return values.clean(text)
