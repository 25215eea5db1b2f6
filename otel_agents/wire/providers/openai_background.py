"""Responses that are accepted now, made later, and fetched with ``GET .../responses/{id}``.

What is counted, and where:

- The call that is accepted has a ``chat`` span with ``gen_ai.response.status`` ``queued`` and no
  usage: the model has not run, and nobody knows yet what it will use.
- A fetch has a ``fetch_response`` span. By the conventions it carries no usage: it runs no model and
  may be repeated at will, by anybody.
- The first fetch in this process that sees a response which this process asked for at its end
  accounts for the run: one record, and one ``chat`` span over the time that the provider says it
  took, below the span that asked for it. Later fetches, and fetches of other processes' responses,
  account for nothing. So usage is counted once or, when nobody who asked comes back for it, not at
  all; it is never counted twice.
- The same holds for a stream that broke off before its usage came, and is fetched.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from time import time_ns
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qs, unquote

import opentelemetry.context as context_api
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode

from otel_agents import accounting, semconv
from otel_agents import runtime as runtimes
from otel_agents.accounting import CallRecord
from otel_agents.tracing import spans
from otel_agents.tracing.contexts import detach, scope
from otel_agents.wire import claims, content, reading
from otel_agents.wire.capture import Body, Capture
from otel_agents.wire.formats import RequestFacts, ResponseFacts
from otel_agents.wire.hosts import provider_of
from otel_agents.wire.providers.openai_responses import RESPONSE_STATUS, OpenAIResponses
from otel_agents.wire.providers.openai_responses_end import End, read_end

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.util.types import AttributeValue

    from otel_agents.runtime import Runtime

logger = logging.getLogger(__name__)

FETCH: Final = "fetch_response"
STREAM_CURSOR: Final = "gen_ai.request.stream_cursor"

#: Responses that are waited for; beyond it the oldest is given up.
_LIMIT: Final = 1000
_OTHERS: Final = ("compact", "input_tokens")
_SUPPRESS_ALL: Final = getattr(context_api, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
_SUPPRESS_HTTP: Final = getattr(
    context_api, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "suppress_http_instrumentation"
)


class Expected(NamedTuple):
    """A response that is not there yet: what was asked, where, and when (nanoseconds)."""

    request: RequestFacts
    context: Context
    accepted: int


_expected: OrderedDict[str, Expected] = OrderedDict()
_lock = threading.Lock()


def expect(response_id: str, request: RequestFacts) -> None:
    """Notes that the usage of a response will have to be looked for when it is fetched."""
    found = Expected(request, context_api.get_current(), time_ns())
    with _lock:
        _expected[response_id] = found
        if len(_expected) > _LIMIT:
            _expected.popitem(last=False)


def forget() -> None:
    """Gives up all responses that are waited for."""
    with _lock:
        _expected.clear()


def begin(host: str, port: int, path: str, query: str = "") -> Fetch | None:
    """Starts a fetch for a GET; None when it is none. The hook treats it as it treats a call."""
    before, slash, response_id = path.rpartition("/")
    if not slash or not before.endswith("/responses") or not response_id or response_id in _OTHERS:
        return None
    runtime = runtimes.current()
    if not runtime.settings.enabled:
        return None
    current = context_api.get_current()
    if current.get(claims.SENDING) is not None or current.get(_SUPPRESS_ALL):
        return None
    response_id = unquote(response_id)
    provider = provider_of(host, port, runtime.settings.provider_hosts, "openai")
    if provider is None and response_id not in _expected and not response_id.startswith("resp_"):
        return None
    return Fetch(runtime, response_id, provider or "openai", (host, port), parse_qs(query))


class Fetch:
    """One fetch, from before it is sent until it has been read. See ``wire.call`` for the methods."""

    __slots__ = (
        "_context", "_open", "_provider", "_runtime", "_server", "_span", "_token", "body", "capture",
        "headers", "response_id", "status",
    )  # fmt: skip

    def __init__(
        self,
        runtime: Runtime,
        response_id: str,
        provider: str,
        server: tuple[str, int],
        query: Mapping[str, list[str]],
    ) -> None:
        self.response_id = response_id
        self.capture = Capture()
        self.body: Body | None = None
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self._runtime = runtime
        self._provider = provider
        self._server = server
        self._token: Token[Context] | None = None
        self._open = [True]
        current = context_api.get_current()
        attributes: dict[str, AttributeValue] = {
            **scope(current).attributes,
            semconv.OPERATION_NAME: FETCH,
            semconv.PROVIDER_NAME: provider,
            semconv.RESPONSE_ID: response_id,
            semconv.SERVER_ADDRESS: server[0],
            semconv.SERVER_PORT: server[1],
        }
        if query.get("stream") == ["true"]:
            attributes[semconv.REQUEST_STREAM] = True
            if "starting_after" in query:
                attributes[STREAM_CURSOR] = query["starting_after"][0]
        self._span: Span = runtime.tracer().start_span(
            FETCH, context=current, kind=SpanKind.CLIENT, attributes=attributes, record_exception=False,
            set_status_on_exception=False,
        )  # fmt: skip
        self._context = trace.set_span_in_context(self._span, current)

    @property
    def finished(self) -> bool:
        """Whether :meth:`finish` was called."""
        return not self._open

    def attach(self) -> None:
        """Makes the span current for the send, and keeps HTTP instrumentation quiet."""
        entries: dict[str, object] = {**self._context, claims.SENDING: self}
        if not self._runtime.settings.http_spans:
            entries[_SUPPRESS_HTTP] = True
        self._token = context_api.attach(Context(entries))

    def detach(self) -> None:
        """Undoes :meth:`attach`."""
        token, self._token = self._token, None
        if token is not None:
            detach(token)

    def responded(self, status: int, headers: Mapping[str, str]) -> None:
        """Notes the response's head."""
        self.status, self.headers = status, headers

    def finish(self, error: BaseException | None = None, complete: bool = False) -> None:
        """Reads what was captured, accounts for the run if it is over, and ends the span. Works once."""
        try:
            self._open.pop()
        except IndexError:
            return
        try:
            self._settle(error, complete)
        except Exception:
            logger.debug("otel-agents: a fetched response could not be read", exc_info=True)
        finally:
            self._span.end()

    def _settle(self, error: BaseException | None, complete: bool) -> None:
        body = self.body or self.capture.body(self.headers)
        wire_format = OpenAIResponses(self._provider)
        asked = RequestFacts()
        facts, readable, streamed = reading.read(wire_format, asked, body, self.headers, complete)
        if self.status is None or self.status >= 400:
            _fail(self._span, facts, str(self.status) if self.status else None, error, self._runtime)
            return
        end = read_end(readable, streamed)
        if facts.model is not None:
            self._span.set_attribute(semconv.RESPONSE_MODEL, facts.model)
        if end.status is not None:
            self._span.set_attribute(RESPONSE_STATUS, end.status)
        if end.over:
            self._span.set_attribute(semconv.RESPONSE_FINISH_REASONS, facts.finish_reasons)
        if error is not None:
            _fail(self._span, facts, None, error, self._runtime)
        if end.over:
            with _lock:
                expected = _expected.pop(facts.id or "", None)
            if expected is not None:
                self._account(expected, facts, end, readable, streamed)
                return
        self._show(self._span, readable, streamed)

    def _show(self, span: Span, readable: bytes, streamed: bool) -> None:
        """Puts the messages on a span, where they are captured."""
        runtime = self._runtime
        if runtime.settings.capture not in ("all", "messages") or not span.is_recording():
            return
        wire_format, limit = OpenAIResponses(self._provider), runtime.settings.max_value_chars

        def attributes() -> dict[str, AttributeValue]:
            return content.attributes(content.read(wire_format, None, readable, streamed, limit), runtime)

        if runtime.settings.eager_content:
            span.set_attributes(attributes())
        else:
            runtime.defer(span, attributes)

    def _account(
        self, expected: Expected, facts: ResponseFacts, end: End, readable: bytes, streamed: bool
    ) -> None:
        """One record and one span for the run, as if it had been waited for."""
        around = scope(expected.context)
        agent = around.attributes.get(semconv.AGENT_NAME)
        started, ended = end.times(expected.accepted)
        request = expected.request
        record = CallRecord(
            operation=semconv.OP_CHAT,
            provider=self._provider,
            request_model=request.model,
            response_model=facts.model,
            usage=facts.usage,
            error_type=facts.error_type,
            duration=(ended - started) / 1e9,
            server_address=self._server[0],
            server_port=self._server[1],
            service_tier=facts.service_tier or request.service_tier,
            agent_name=agent if isinstance(agent, str) else None,
            labels=around.labels,
        )
        accounting.price(record)
        attributes: dict[str, AttributeValue] = {
            **around.attributes,
            semconv.OPERATION_NAME: semconv.OP_CHAT,
            semconv.PROVIDER_NAME: self._provider,
            semconv.SERVER_ADDRESS: self._server[0],
            semconv.SERVER_PORT: self._server[1],
            **request.attributes,
            **facts.attributes,
            semconv.RESPONSE_ID: self.response_id,
            semconv.RESPONSE_FINISH_REASONS: facts.finish_reasons,
            **accounting.span_attributes(record),
        }
        for name, value in ((semconv.REQUEST_MODEL, request.model), (semconv.RESPONSE_MODEL, facts.model)):
            if value:
                attributes[name] = value
        span = self._runtime.tracer().start_span(
            f"{semconv.OP_CHAT} {request.model}" if request.model else semconv.OP_CHAT,
            context=expected.context, kind=SpanKind.CLIENT, attributes=attributes, start_time=started,
            links=[Link(self._span.get_span_context())],
        )  # fmt: skip
        record.context = trace.set_span_in_context(span, expected.context)
        if facts.error_type is not None:
            _fail(span, facts, facts.error_type, None, self._runtime)
        self._show(span, readable, streamed)
        span.end(ended)
        self._runtime.accountant.submit(record)


def _fail(
    span: Span, facts: ResponseFacts, kind: str | None, error: BaseException | None, runtime: Runtime
) -> None:
    if error is not None:
        if spans.is_failure(error):
            spans.record_error(span, error)
        return
    if kind is not None:
        span.set_attribute(semconv.ERROR_TYPE, kind)
        description = content.text(facts.error_message or "", runtime) or kind
        span.set_status(Status(StatusCode.ERROR, description))
