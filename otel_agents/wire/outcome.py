"""How a call came out: one record for accounting, the same figures on the span, messages for later."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from opentelemetry.trace import Status, StatusCode

from otel_agents import accounting, semconv, spans
from otel_agents.accounting import CallRecord
from otel_agents.wire import claims, content, reading
from otel_agents.wire.capture import gaps

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

    from otel_agents.wire.call import Call
    from otel_agents.wire.formats import Content, ResponseFacts

logger = logging.getLogger(__name__)

#: The answer is another address; the model has not been called.
_REDIRECTS: Final = range(300, 400)


def settle(call: Call, duration: float, error: BaseException | None, complete: bool) -> None:
    """Accounts for ``call``, which took ``duration`` seconds, and puts on its span what is known."""
    truncated = call.capture.truncated
    headers = call.headers
    body = call.capture.body(headers.get("content-encoding")) if call.body is None else call.body
    request = call.recognised
    facts, readable, streamed = reading.read(request.format, request.facts, body, headers, complete)
    content.redact_response(facts, call.runtime)
    record = _record(call, facts, duration, error)
    accounting.price(record)
    try:
        found = _attributes(call, facts, record)
        if truncated or body.truncated:
            found[semconv.CAPTURE_TRUNCATED] = True
        messages = Messages(call, readable, streamed)
        if call.owned:
            _complete_own(call, facts, record, found, error, messages)
        else:
            _complete_foreign(call, record, found, messages)
        if call.runtime.settings.capture_events:
            call.runtime.worker.submit(_emit, call, found, messages)
        elif not call.capturing:
            call.request_body = None
    finally:
        if call.status not in _REDIRECTS:
            call.runtime.accountant.submit(record)


class Messages:
    """What was said, read when it is asked for."""

    __slots__ = ("_call", "_response", "_streamed")

    def __init__(self, call: Call, response: bytes, streamed: bool) -> None:
        self._call = call
        self._response = response
        self._streamed = streamed

    def read(self) -> Content:
        call = self._call
        limit = call.runtime.settings.max_value_chars
        return content.read(call.recognised.format, call.request_body, self._response, self._streamed, limit)

    def attributes(self) -> dict[str, AttributeValue]:
        return content.attributes(self.read(), self._call.runtime)


class Late:
    """Attributes for the exported copy of a span that is not ours: what it lacks, and the true usage.

    The owner of the span may have ended it before the body was read, or may count by other rules
    (without the cache); its own exporters see what it has set, ours the figures that were accounted.
    """

    __slots__ = ("_call", "_start", "found", "messages", "released")

    def __init__(self, call: Call, start: dict[str, AttributeValue]) -> None:
        self._call = call
        self._start = start
        self.found: dict[str, AttributeValue] = {}
        self.messages: Messages | None = None
        self.released = False

    def missing(self) -> dict[str, AttributeValue]:
        """What is known and not on the span yet."""
        existing: Mapping[str, object] = getattr(self._call.span, "attributes", None) or {}
        known = {**self._start, **self.found}
        return {name: value for name, value in known.items() if name not in existing}

    def handed_over(self) -> dict[str, AttributeValue]:
        """Content that the span has already: what the app or another instrumentation chose to show stays."""
        existing: Mapping[str, AttributeValue] = getattr(self._call.span, "attributes", None) or {}
        return {name: existing[name] for name in _CONTENT if name in existing}

    def __call__(self) -> dict[str, AttributeValue]:
        if not self._call.finished or (self.released and not claims.is_free(self._call.span)):
            return {}  # a later attempt in the same span says how it ended
        made = self.missing()
        made.update((name, self.found[name]) for name in _AUTHORITATIVE if name in self.found)
        if self.messages is not None:
            made = {**self.messages.attributes(), **self.handed_over(), **made}
        return made


_CONTENT: Final = (
    semconv.INPUT_MESSAGES,
    semconv.OUTPUT_MESSAGES,
    semconv.SYSTEM_INSTRUCTIONS,
    semconv.TOOL_DEFINITIONS,
)
#: Where the wire knows better than whoever made the span.
_AUTHORITATIVE: Final = (
    semconv.USAGE_INPUT_TOKENS,
    semconv.USAGE_OUTPUT_TOKENS,
    semconv.USAGE_CACHE_READ,
    semconv.USAGE_CACHE_WRITE,
    semconv.USAGE_REASONING,
    semconv.USAGE_COST,
)


def _record(call: Call, facts: ResponseFacts, duration: float, error: BaseException | None) -> CallRecord:
    request = call.recognised.facts
    times = call.capture.times
    streamed = request.stream
    return CallRecord(
        operation=call.recognised.format.operation,
        provider=call.recognised.provider,
        request_model=request.model,
        response_model=facts.model,
        usage=facts.usage,
        error_type=_error_type(call, facts, error),
        duration=duration,
        time_to_first_chunk=times[0] - call.started if streamed and times else None,
        chunk_gaps=gaps(times) if streamed else (),
        stream=streamed,
        server_address=call.host,
        server_port=call.port,
        service_tier=facts.service_tier or request.service_tier,
        agent_name=call.agent_name,
        labels=call.labels,
        context=call.context,
    )


def _error_type(call: Call, facts: ResponseFacts, error: BaseException | None) -> str | None:
    if call.status is not None and call.status >= 400:
        return str(call.status)
    if error is not None:
        return spans.error_type(error) if spans.is_failure(error) else None
    return facts.error_type


def _attributes(call: Call, facts: ResponseFacts, record: CallRecord) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {**facts.attributes, **accounting.span_attributes(record)}
    if facts.id is not None:
        found[semconv.RESPONSE_ID] = facts.id
    if facts.model is not None:
        found[semconv.RESPONSE_MODEL] = facts.model
    if record.time_to_first_chunk is not None:
        found[semconv.RESPONSE_TIME_TO_FIRST_CHUNK] = record.time_to_first_chunk
    if call.status is not None and call.status < 300 and facts.finish_reasons:
        found[semconv.RESPONSE_FINISH_REASONS] = facts.finish_reasons
    if call.status is not None and call.status >= 300:
        found[semconv.HTTP_STATUS_CODE] = call.status
    if record.error_type is not None:
        found[semconv.ERROR_TYPE] = record.error_type
    if facts.unreadable is not None and call.status not in _REDIRECTS:
        found[semconv.CAPTURE_UNREADABLE] = facts.unreadable
    return found


def _complete_own(
    call: Call,
    facts: ResponseFacts,
    record: CallRecord,
    found: dict[str, AttributeValue],
    error: BaseException | None,
    messages: Messages,
) -> None:
    span = call.span
    if not span.is_recording():
        return
    if call.capturing:
        if call.runtime.settings.eager_content:
            found.update(messages.attributes())
        elif span.get_span_context().trace_flags.sampled:
            call.runtime.defer(span, messages.attributes)
    span.set_attributes(found)
    if record.error_type is None:
        return
    if error is not None and spans.is_failure(error):
        spans.record_error(span, error)
        span.set_attribute(semconv.ERROR_TYPE, record.error_type)
        return
    description = content.text(facts.error_message or "", call.runtime) or record.error_type
    span.set_status(Status(StatusCode.ERROR, description))


def _complete_foreign(
    call: Call, record: CallRecord, found: dict[str, AttributeValue], messages: Messages
) -> None:
    late = call.set_late
    if late is None:
        return
    late.found = found
    if record.error_type is not None and record.usage is None:
        # Nothing was billed; the owner may try again within the same span, and says itself how that ended.
        late.released = True
        claims.release(call.span)
        return
    if call.capturing:
        late.messages = messages
    if call.span.is_recording():
        found.pop(semconv.ERROR_TYPE, None)  # the owner's to say: it may recover
        if call.capturing and call.runtime.settings.eager_content:
            late.found = {**messages.attributes(), **found}
        call.span.set_attributes(late.missing())


def _emit(call: Call, found: dict[str, AttributeValue], messages: Messages) -> None:
    span_attributes = {**(getattr(call.span, "attributes", None) or {}), **found}
    content.emit_event(messages.read(), span_attributes, call.runtime, call.context)
    if not call.capturing:
        call.request_body = None
