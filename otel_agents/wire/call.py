"""One model call, from the moment before it is sent until its answer has been read.

The HTTP client's hook calls, in this order: :func:`begin`; ``call.attach()`` and ``call.detach()``
around the send; ``call.responded(...)``; and :meth:`Call.finish` once, however it ends. Nothing
here may raise into the client; the hooks guard every call, and :meth:`Call.finish` guards itself.

A call either owns its span or completes one that somebody else made for the same call (see
``claims``). Every attempt at a call that is sent again has a :class:`Call` of its own; the next one
takes over the span of the one before (see ``retries``).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Final

import opentelemetry.context as context_api
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span

from otel_agents import runtime as runtimes
from otel_agents import semconv
from otel_agents.budgets import gate
from otel_agents.tracing import quick
from otel_agents.tracing.contexts import detach, scope
from otel_agents.wire import claims, content, others, outcome, retries, warm
from otel_agents.wire.capture import Body, Capture
from otel_agents.wire.recognise import recognise

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.util.types import AttributeValue

    from otel_agents.runtime import Runtime
    from otel_agents.wire.formats import WireFormat
    from otel_agents.wire.recognise import Recognised

logger = logging.getLogger(__name__)

# Private names of the API; they are what every instrumentation of an HTTP client asks for.
_SUPPRESS_ALL: Final = getattr(context_api, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
_SUPPRESS_HTTP: Final = getattr(
    context_api, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "suppress_http_instrumentation"
)
#: Where the API keeps the current span, found out by its own means.
_SPAN: Final = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))
_NO_HEADERS: Final[Mapping[str, str]] = {}


class Call:
    """See the module.

    Attributes:
        span: the call's span; ``owned`` whether we made it and end it.
        parent: the span that was current before; the same one when it is not owned.
        context: what is current during the send: the span, and that HTTP instrumentation is to be quiet.
        first: when the first attempt was sent, on the clock of ``perf_counter``.
        attempts: those before this one; ``delay`` is the time since the last of them, in seconds.
        count: how often the SDK says it has sent this request before; None when it does not say.
    """

    __slots__ = (
        "_open", "_token", "agent_name", "attempts", "body", "capture", "capturing", "client", "context",
        "count", "delay", "first", "headers", "host", "labels", "owned", "parent", "port", "recognised",
        "request_body", "runtime", "set_late", "span", "status", "url",
    )  # fmt: skip

    agent_name: str | None
    context: Context
    labels: Mapping[str, str]
    owned: bool
    parent: Span
    span: Span

    def __init__(
        self,
        runtime: Runtime,
        recognised: Recognised,
        host: str,
        port: int,
        request_body: bytes | None,
        client: object,
        url: object,
        count: int | None,
    ) -> None:
        self.first = perf_counter()
        self.attempts: tuple[retries.Attempt, ...] = ()
        self.delay = 0.0
        self.client = client
        self.url = url
        self.count = count
        self.runtime = runtime
        self.recognised = recognised
        self.host = host
        self.port = port
        self.request_body = request_body
        self.capture = Capture()
        self.capturing = runtime.settings.capture in ("all", "messages")
        self.status: int | None = None
        self.headers: Mapping[str, str] = _NO_HEADERS
        self.body: Body | None = None
        self.set_late: outcome.Late | None = None
        self._open = [True]
        self._token: Token[Context] | None = None

    def place(self, current: Context) -> None:
        """Finds or starts the call's span, as a child of what is current."""
        around = scope(current)
        agent = around.attributes.get(semconv.AGENT_NAME)
        self.agent_name = agent if isinstance(agent, str) else None
        self.labels = around.labels
        self.parent = parent = trace.get_current_span(current)
        self.owned = True
        earlier = retries.take(self) if retries.held else None
        if earlier is not None:
            self._go_on(earlier)
            self.span = earlier.span
        elif (found := others.find(self, parent)) is not None:
            self.owned = False
            self.span = found
            earlier = retries.take_within(found) if retries.held else None
            if earlier is not None:
                self._go_on(earlier)
            self._offer_late(around.attributes)
        else:
            self.span = self._start(current, around.attributes)
        # Made once, for the send and for exemplars. It does not refer to the call, which refers to it:
        # what goes in circles is left to the garbage collector.
        entries: dict[str, object] = {**current, _SPAN: self.span, claims.SENDING: True}
        if not self.runtime.settings.http_spans:
            entries[_SUPPRESS_HTTP] = True
        self.context = Context(entries)
        if around.run is not None and earlier is None and not self.count:
            around.run.inference_calls += 1

    def _start(self, current: Context, inherited: Mapping[str, AttributeValue]) -> Span:
        format, facts = self.recognised.format, self.recognised.facts
        name = f"{format.operation} {facts.model}" if facts.model else format.operation
        attributes = self.start_attributes(inherited, self.count)
        return quick.start_client_span(self.runtime.tracer(), name, current, self.parent, attributes)

    def _offer_late(self, inherited: Mapping[str, AttributeValue]) -> None:
        """Has a span that is not ours completed later."""
        span = self.span
        if not span.is_recording():
            return
        known = {**self.start_attributes(inherited, None), **self.recognised.facts.attributes}
        self.set_late = outcome.Late(self, known)
        # Now, while the span is certainly open: its owner may end and export it before we are done.
        slot = claims.offered(span)
        if slot is not None:
            slot.late = self.set_late
        elif span.get_span_context().trace_flags.sampled:
            self.runtime.defer(span, self.set_late)

    def _go_on(self, earlier: Call) -> None:
        self.first = earlier.first
        self.attempts = earlier.attempts
        self.delay = max((time_ns() - self.attempts[-1].ended) / 1e9, 0.0)

    def start_attributes(
        self, inherited: Mapping[str, AttributeValue], resend_count: int | None
    ) -> dict[str, AttributeValue]:
        """What tells calls apart, for samplers; the request's parameters follow with the response's."""
        facts = self.recognised.facts
        attributes: dict[str, AttributeValue] = {
            **inherited,
            semconv.OPERATION_NAME: self.recognised.format.operation,
            semconv.PROVIDER_NAME: self.recognised.provider,
            semconv.SERVER_ADDRESS: self.host,
            semconv.SERVER_PORT: self.port,
        }
        if facts.model:
            attributes[semconv.REQUEST_MODEL] = facts.model
        if facts.stream:
            attributes[semconv.REQUEST_STREAM] = True
        if resend_count:
            attributes[semconv.HTTP_RESEND_COUNT] = resend_count
        return attributes

    def propagate(self, headers: MutableMapping[str, str]) -> None:
        """Puts the trace's context into the request, for hosts that the settings list and no others."""
        hosts = self.runtime.settings.propagate_hosts
        if self.host in hosts or f"{self.host}:{self.port}" in hosts:
            from opentelemetry.propagate import inject

            inject(headers, self.context)

    def attach(self) -> None:
        """Makes the span current and keeps HTTP instrumentation quiet, for the send only."""
        self._token = context_api.attach(self.context)

    def detach(self) -> None:
        """Undoes :meth:`attach`, unless the coroutine is being closed in another context by now."""
        token, self._token = self._token, None
        if token is not None:
            detach(token)

    def responded(self, status: int, headers: Mapping[str, str]) -> None:
        """Notes the response's head. Names in ``headers`` are looked up in lower case."""
        self.status = status
        self.headers = headers

    def finish(self, error: BaseException | None = None, complete: bool = False) -> None:
        """Reads what was captured, accounts for it and ends the span. Only the first call has an effect.

        Args:
            error: what the send or the reading of the body raised.
            complete: the body was read to its end; else it was closed or dropped before.
        """
        if not self._open:
            return
        try:
            self._open.pop()
        except IndexError:  # another thread was quicker
            return
        done = True
        try:
            done = outcome.settle(self, perf_counter(), error, complete)
        except Exception:
            logger.debug("otel-agents: a model call could not be recorded", exc_info=True)
        finally:
            if done and self.owned:
                try:
                    self.span.end()
                except Exception:
                    logger.debug("otel-agents: a span could not be ended", exc_info=True)

    @property
    def finished(self) -> bool:
        """Whether :meth:`finish` was called."""
        return not self._open


def begin(
    wire_format: WireFormat,
    host: str,
    port: int,
    body: bytes | None,
    headers: MutableMapping[str, str],
    *,
    client: object = None,
    url: object = None,
) -> Call | None:
    """Starts a call for a POST whose path is that of ``wire_format``; None when it is none of ours to watch.

    Args:
        body: the request's bytes, kept as they are until the messages are read; None when they
            cannot be seen.
        headers: the request's; changed only for hosts that are to get the trace's context.
        client: whose request it is; another client's is another call.
        url: the whole address, compared with that of the attempt before. Both tell attempts at one
            call from other calls more surely and may be left out.
    """
    runtime = runtimes.current()
    settings = runtime.settings
    if not settings.enabled:
        return None
    current = context_api.get_current()
    # A request inside the send of a call is that call: a transport built on another client.
    if current.get(claims.SENDING) is not None:
        return None
    recognised = recognise(wire_format, host, port, body, settings.provider_hosts)
    if recognised is None:
        return None
    # Logfire asks all others to be quiet below its span of the call; the call still counts.
    if current.get(_SUPPRESS_ALL) and not others.is_inference(
        trace.get_current_span(current), wire_format.operation
    ):
        return None
    if gate.armed:
        gate.before_call(current, body, retries.sent_count(headers))
    warm.warm_prices()
    content.redact_request(recognised.facts, runtime)
    call = Call(runtime, recognised, host, port, body, client, url, retries.sent_count(headers))
    call.place(current)
    if settings.propagate_hosts:
        call.propagate(headers)
    return call
