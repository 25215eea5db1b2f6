"""How a call came out: one record for accounting, the same figures on the span, messages for later."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from time import time_ns
from typing import TYPE_CHECKING, Final, cast

import msgspec
from opentelemetry.trace import Status, StatusCode

from otel_agents import accounting, semconv
from otel_agents.accounting import CallRecord
from otel_agents.tracing import quick, spans
from otel_agents.wire import claims, content, reading, retries, unseen
from otel_agents.wire.capture import Gaps

if TYPE_CHECKING:
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    from otel_agents.wire.call import Call
    from otel_agents.wire.formats import Content, ResponseFacts

logger = logging.getLogger(__name__)

#: The answer is another address; the model has not been called.
_REDIRECTS: Final = range(300, 400)


class Pending:
    """A failed attempt whose call may go on: what is left to do once it is clear that it does not.

    ``ended`` is in nanoseconds since the epoch. The exception itself is not kept, since that would
    keep the frames of the app alive.
    """

    __slots__ = ("body", "call", "ended", "facts", "found", "messages", "record", "said")

    body: tuple[int, int]

    def __init__(
        self,
        call: Call,
        facts: ResponseFacts,
        record: CallRecord,
        found: dict[str, AttributeValue],
        messages: Messages,
        error: BaseException | None,
    ) -> None:
        self.call = call
        self.facts = facts
        self.record = record
        self.found = found
        self.messages = messages
        self.ended = time_ns()
        self.said: _Said | None = None
        if error is not None and spans.is_failure(error) and call.owned and call.span.is_recording():
            self.said = _Said(self.ended)
            spans.record_error(cast("Span", self.said), error)
        self.body = retries.identity(call.request_body)
        if not (call.capturing or call.runtime.settings.capture_events):
            call.request_body = None


class _Said:
    """Takes down what would be said on a span, to be said later."""

    def __init__(self, at: int) -> None:
        self._at = at
        self._statuses: list[Status] = []
        self._attributes: dict[str, AttributeValue] = {}
        self._events: list[tuple[str, Mapping[str, AttributeValue]]] = []

    def is_recording(self) -> bool:
        return True

    def set_status(self, status: Status) -> None:
        self._statuses.append(status)

    def set_attribute(self, name: str, value: AttributeValue) -> None:
        self._attributes[name] = value

    def add_event(self, name: str, attributes: Mapping[str, AttributeValue]) -> None:
        self._events.append((name, attributes))

    def say(self, span: Span) -> None:
        for status in self._statuses:
            span.set_status(status)
        span.set_attributes(self._attributes)
        for name, attributes in self._events:
            span.add_event(name, attributes, self._at)


def settle(call: Call, now: float, error: BaseException | None, complete: bool) -> bool:
    """Accounts for ``call``, which ended at ``now``, and puts on its span what is known.

    Returns:
        False when the call may go on with another attempt: nothing is accounted for then, and the
        span is to stay open.
    """
    headers = call.headers
    body = call.body
    truncated = False
    if body is None:
        truncated = call.capture.truncated
        body = call.capture.body(headers)
    request = call.recognised
    facts, readable, streamed = reading.read(request.format, request.facts, body, headers, complete)
    content.redact_response(facts, call.runtime)
    record = _record(call, facts, now - call.first, error)
    accounting.price(record)
    done = True
    try:
        found = _attributes(call, facts, record)
        if truncated or body.truncated:
            found[semconv.CAPTURE_TRUNCATED] = True
        messages = Messages(call, readable, streamed)
        if record.error_type is not None and record.usage is None and retries.may_follow(call, error):
            pending = Pending(call, facts, record, found, messages, error)
            if not call.owned:
                _release(call, found)
            retries.hold(pending, close)
            done = False
        elif call.owned:
            _complete_own(call, facts, record, found, messages, error)
        else:
            _complete_foreign(call, record, found, messages)
        if done:
            _finish_messages(call, found, messages)
    finally:
        if done and call.status not in _REDIRECTS:
            unseen.note(record, call.span.get_span_context().span_id)
            call.runtime.accountant.submit(record)
    return done


def close(pending: Pending) -> None:
    """Ends a call that :func:`settle` left open: no other attempt came."""
    call = pending.call
    try:
        if call.owned:
            _complete_own(
                call, pending.facts, pending.record, pending.found, pending.messages, None, pending.said,
                pending.ended,
            )  # fmt: skip
        else:
            _complete_foreign(call, pending.record, pending.found, pending.messages)
        _finish_messages(call, pending.found, pending.messages)
    except Exception:
        logger.debug("otel-agents: a model call could not be recorded", exc_info=True)
    finally:
        call.runtime.accountant.submit(pending.record)
        if call.owned:
            spans.end_span(call.span, pending.ended)


def _finish_messages(call: Call, found: dict[str, AttributeValue], messages: Messages) -> None:
    if call.runtime.settings.capture_events:
        call.runtime.worker.submit(_emit, call, found, messages)
    elif not call.capturing:
        call.request_body = None


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
        time_to_first_chunk=times[0] - call.first if streamed and times else None,
        chunk_gaps=Gaps(times) if streamed else (),
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
    found: dict[str, AttributeValue] = {
        **call.recognised.facts.attributes,
        **facts.attributes,
        **accounting.span_attributes(record),
    }
    if facts.id is not None:
        found[semconv.RESPONSE_ID] = facts.id
    if facts.model is not None:
        found[semconv.RESPONSE_MODEL] = facts.model
    if record.time_to_first_chunk is not None:
        found[semconv.RESPONSE_TIME_TO_FIRST_CHUNK] = record.time_to_first_chunk
    if call.status is not None and call.status < 300 and facts.finish_reasons:
        found[semconv.RESPONSE_FINISH_REASONS] = tuple(facts.finish_reasons)
    if call.status is not None and call.status >= 300:
        found[semconv.HTTP_STATUS_CODE] = call.status
    if record.error_type is not None:
        found[semconv.ERROR_TYPE] = record.error_type
    if call.attempts:
        found[semconv.HTTP_RESEND_COUNT] = max(len(call.attempts), call.count or 0)
    if facts.unreadable is not None and call.status not in _REDIRECTS:
        found[semconv.CAPTURE_UNREADABLE] = facts.unreadable
    return found


def _complete_own(
    call: Call,
    facts: ResponseFacts,
    record: CallRecord,
    found: dict[str, AttributeValue],
    messages: Messages,
    error: BaseException | None,
    said: _Said | None = None,
    ended: int | None = None,
) -> None:
    span = call.span
    if not span.is_recording():
        return
    if call.capturing:
        if call.runtime.settings.eager_content:
            found.update(messages.attributes())
        elif span.get_span_context().trace_flags.sampled:
            call.runtime.defer(span, messages.attributes)
    quick.set_attributes(span, found)
    if call.attempts:
        _tell_attempts(call, record, ended)
    if record.error_type is None:
        return
    if said is not None:
        said.say(span)
        span.set_attribute(semconv.ERROR_TYPE, record.error_type)
        return
    if error is not None and spans.is_failure(error):
        spans.record_error(span, error)
        span.set_attribute(semconv.ERROR_TYPE, record.error_type)
        return
    description = content.text(facts.error_message or "", call.runtime) or record.error_type
    span.set_status(Status(StatusCode.ERROR, description))


def _tell_attempts(call: Call, record: CallRecord, ended: int | None) -> None:
    """One event for each attempt, at its end; also as an attribute, since Langfuse drops events."""
    story: list[dict[str, AttributeValue]] = []
    last = retries.Attempt(ended or time_ns(), call.status, record.error_type, call.delay)
    for number, attempt in enumerate((*call.attempts, last), 1):
        told: dict[str, AttributeValue] = {
            semconv.ATTEMPT_NUMBER: number,
            semconv.ATTEMPT_DELAY: round(attempt.delay, 6),
        }
        if attempt.status is not None:
            told[semconv.HTTP_STATUS_CODE] = attempt.status
        if attempt.error_type is not None:
            told[semconv.ERROR_TYPE] = attempt.error_type
        call.span.add_event(semconv.EVENT_ATTEMPT, told, attempt.ended)
        story.append({name.removeprefix(f"{semconv.EVENT_ATTEMPT}."): value for name, value in told.items()})
    call.span.set_attribute(semconv.EVENT_ATTEMPT, msgspec.json.encode(story).decode())


def _complete_foreign(
    call: Call, record: CallRecord, found: dict[str, AttributeValue], messages: Messages
) -> None:
    late = call.set_late
    if late is None:
        return
    if record.error_type is not None and record.usage is None:
        _release(call, found)
        return
    late.found = found
    if call.capturing:
        late.messages = messages
    if call.span.is_recording():
        if call.capturing and call.runtime.settings.eager_content:
            late.found = {**messages.attributes(), **found}
        now = late.missing()
        now.pop(semconv.ERROR_TYPE, None)  # the owner's to say; the exported copy has ours where it does not
        call.span.set_attributes(now)
        if call.attempts:
            _tell_attempts(call, record, None)


def _release(call: Call, found: dict[str, AttributeValue]) -> None:
    """Nothing was billed; the owner may try again within the same span, and says itself how that ended."""
    late = call.set_late
    if late is not None and not late.released:
        late.found = found
        late.released = True
        claims.release(call.span)


def _emit(call: Call, found: dict[str, AttributeValue], messages: Messages) -> None:
    span_attributes = {**(getattr(call.span, "attributes", None) or {}), **found}
    content.emit_event(messages.read(), span_attributes, call.runtime, call.context)
    if not call.capturing:
        call.request_body = None
