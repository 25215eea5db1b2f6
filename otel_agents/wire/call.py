"""One model call, from the moment before it is sent until its answer has been read.

The HTTP client's hook calls, in this order: :func:`begin`; ``call.attach()`` and ``call.detach()``
around the send; ``call.responded(...)``; and :meth:`Call.finish` once, however it ends. Nothing
here may raise into the client; the hooks guard every call, and :meth:`Call.finish` guards itself.

A call either owns its span or completes one that somebody else made for the same call (see
``claims``). Retries: every attempt is a call of its own, with ``http.request.resend_count``. To
make attempts share one span, :func:`begin` is the place that would find the earlier attempt and
:meth:`Call.finish` the one that would keep it open.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from time import perf_counter
from typing import TYPE_CHECKING, Final

import opentelemetry.context as context_api
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind

from otel_agents import runtime as runtimes
from otel_agents import semconv
from otel_agents.contexts import detach, scope
from otel_agents.wire import claims, content, outcome, warm
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
_NO_HEADERS: Final[Mapping[str, str]] = {}
#: Sent by the SDKs of OpenAI, Anthropic and others that are made by the same generator.
_RETRY_COUNT: Final = "x-stainless-retry-count"


class Call:
    """See the module. ``span`` is the call's span, ``owned`` whether we made it and end it."""

    __slots__ = (
        "_open", "_token", "agent_name", "body", "capture", "capturing", "context", "headers", "host",
        "labels", "owned", "port", "recognised", "request_body", "runtime", "sending", "set_late", "span",
        "started", "status",
    )  # fmt: skip

    def __init__(
        self, runtime: Runtime, recognised: Recognised, host: str, port: int, request_body: bytes | None
    ) -> None:
        self.started = perf_counter()
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

    def place(self, current: Context, resend_count: int) -> None:
        """Finds or starts the call's span, as a child of what is current."""
        around = scope(current)
        agent = around.attributes.get(semconv.AGENT_NAME)
        self.agent_name = agent if isinstance(agent, str) else None
        self.labels = around.labels
        span = trace.get_current_span(current)
        self.owned = not (
            _is_inference(span, self.recognised.format.operation) and claims.claim_attempt(span)
        )
        if self.owned:
            facts = self.recognised.facts
            span = self.runtime.tracer().start_span(
                f"{self.recognised.format.operation} {facts.model}"
                if facts.model
                else self.recognised.format.operation,
                context=current,
                kind=SpanKind.CLIENT,
                attributes=self.start_attributes(around.attributes, resend_count),
                record_exception=False,
                set_status_on_exception=False,
            )
        self.span: Span = span
        if not self.owned and span.is_recording():
            self.set_late = outcome.Late(self, self.start_attributes(around.attributes, 0))
            # Now, while the span is certainly open: its owner may end and export it before we are done.
            slot = claims.offered(span)
            if slot is not None:
                slot.late = self.set_late
            elif span.get_span_context().trace_flags.sampled:
                self.runtime.defer(span, self.set_late)
        self.context: Context = trace.set_span_in_context(span, current) if self.owned else current
        entries: dict[str, object] = {**self.context, claims.SENDING: self}
        if not self.runtime.settings.http_spans:
            entries[_SUPPRESS_HTTP] = True
        self.sending = Context(entries)
        if around.run is not None and not resend_count:
            around.run.inference_calls += 1

    def start_attributes(
        self, inherited: Mapping[str, AttributeValue], resend_count: int
    ) -> dict[str, AttributeValue]:
        """What is known before the request is sent; samplers see it."""
        facts = self.recognised.facts
        attributes: dict[str, AttributeValue] = {
            **inherited,
            semconv.OPERATION_NAME: self.recognised.format.operation,
            semconv.PROVIDER_NAME: self.recognised.provider,
            semconv.SERVER_ADDRESS: self.host,
            semconv.SERVER_PORT: self.port,
            **facts.attributes,
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
        if hosts and (self.host in hosts or f"{self.host}:{self.port}" in hosts):
            from opentelemetry.propagate import inject

            inject(headers, self.context)

    def attach(self) -> None:
        """Makes the span current and keeps HTTP instrumentation quiet, for the send only."""
        self._token = context_api.attach(self.sending)

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
        try:
            self._open.pop()
        except IndexError:
            return
        try:
            outcome.settle(self, perf_counter() - self.started, error, complete)
        except Exception:
            logger.debug("otel-agents: a model call could not be recorded", exc_info=True)
        finally:
            if self.owned:
                try:
                    self.span.end()
                except Exception:
                    logger.debug("otel-agents: a span could not be ended", exc_info=True)

    @property
    def finished(self) -> bool:
        """Whether :meth:`finish` was called."""
        return not self._open


def begin(
    wire_format: WireFormat, host: str, port: int, body: bytes | None, headers: MutableMapping[str, str]
) -> Call | None:
    """Starts a call for a POST whose path is that of ``wire_format``; None when it is none of ours to watch.

    Args:
        body: the request's bytes, kept as they are until the messages are read; None when they
            cannot be seen.
        headers: the request's; changed only for hosts that are to get the trace's context.
    """
    runtime = runtimes.current()
    settings = runtime.settings
    if not settings.enabled:
        return None
    current = context_api.get_current()
    # A request inside the send of a call is that call: a transport built on another client.
    if current.get(claims.SENDING) is not None or current.get(_SUPPRESS_ALL):
        return None
    recognised = recognise(wire_format, host, port, body, settings.provider_hosts)
    if recognised is None:
        return None
    warm.warm_prices()
    content.redact_request(recognised.facts, runtime)
    call = Call(runtime, recognised, host, port, body)
    call.place(current, _resend_count(headers))
    call.propagate(headers)
    return call


def _is_inference(span: Span, operation: str) -> bool:
    """Whether ``span`` is one model call, made by somebody who did not see the wire."""
    if not span.is_recording():
        return claims.offered(span) is not None
    attributes = getattr(span, "attributes", None)
    if attributes is None:
        return claims.offered(span) is not None
    name = attributes.get(semconv.OPERATION_NAME)
    embeds = semconv.OP_EMBEDDINGS
    return name in semconv.INFERENCE_OPERATIONS and (name == embeds) == (operation == embeds)


def _resend_count(headers: MutableMapping[str, str]) -> int:
    count = headers.get(_RETRY_COUNT)
    return int(count) if count and count.isdigit() else 0
