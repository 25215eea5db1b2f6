"""Spans of the past in a local backend: with our attributes, through direct mode's own mapping."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import httpx
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode

from otel_agents.langfuse.edge import to_langfuse
from otel_agents.local.server import Running


def messages(role: str, text: str) -> str:
    """One message as the GenAI conventions write it."""
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])


class Recorder:
    """Makes spans at chosen times; ``ago`` and ``seconds`` are in seconds."""

    def __init__(self, backend: Running) -> None:
        self._backend = backend
        self._tracer = TracerProvider().get_tracer("otel_agents")
        self._spans: list[ReadableSpan] = []
        self.now = time.time_ns()

    def span(
        self,
        name: str,
        attributes: Mapping[str, Any],
        *,
        parent: Span | None = None,
        ago: float = 60.0,
        seconds: float = 1.0,
        error: str | None = None,
    ) -> Span:
        """An ended span, kept for :meth:`send`."""
        context = trace.set_span_in_context(parent) if parent is not None else trace.context_api.Context()
        start = self.now - int(ago * 1e9)
        made: Any = self._tracer.start_span(
            name, context, SpanKind.INTERNAL, dict(attributes), start_time=start
        )
        if error is not None:
            made.set_status(Status(StatusCode.ERROR, error))
        made.end(start + int(seconds * 1e9))
        self._spans.append(made)
        return made  # type: ignore[no-any-return]

    def agent(self, name: str, task: str | None = None, **rest: Any) -> Span:
        """An agent's run; ``task`` is its input, ``output`` its answer, ``metadata`` the user's."""
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": name,
            **_metadata(rest.pop("metadata", {})),
            **rest.pop("attributes", {}),
        }
        if task is not None:
            attributes["gen_ai.input.messages"] = messages("user", task)
        if (output := rest.pop("output", None)) is not None:
            attributes["gen_ai.output.messages"] = messages("assistant", output)
        return self.span(f"invoke_agent {name}", attributes, **rest)

    def chat(self, model: str, prompt: str | None = None, answer: str | None = None, **rest: Any) -> Span:
        """A model call with ``cost`` (USD), ``tokens`` (input, output) and ``provider``."""
        given, produced = rest.pop("tokens", (100, 20))
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": rest.pop("provider", "openai"),
            "gen_ai.request.model": model,
            "gen_ai.usage.input_tokens": given,
            "gen_ai.usage.output_tokens": produced,
            **_metadata(rest.pop("metadata", {})),
            **rest.pop("attributes", {}),
        }
        if (cost := rest.pop("cost", None)) is not None:
            attributes["gen_ai.usage.cost"] = cost
        if prompt is not None:
            attributes["gen_ai.input.messages"] = messages("user", prompt)
        if answer is not None:
            attributes["gen_ai.output.messages"] = messages("assistant", answer)
        return self.span(f"chat {model}", attributes, **rest)

    def event(self, name: str, body: Mapping[str, Any], **rest: Any) -> Span:
        """Something that happened."""
        attributes = {"otel_agents.event": name, "otel_agents.event.body": json.dumps(body)}
        return self.span(name, attributes, seconds=0.0, **rest)

    def score(self, span: Span, value: float, name: str = "quality") -> None:
        """A score on the span's observation."""
        answer = httpx.post(
            f"{self._backend.url}/api/public/scores",
            json={
                "id": f"{ids(span)[1]}-{name}",
                "name": name,
                "value": value,
                "traceId": ids(span)[0],
                "observationId": ids(span)[1],
            },
            auth=(self._backend.public_key, self._backend.secret_key),
        )
        assert answer.status_code == 200, answer.text

    def send(self) -> None:
        """Exports what was made since the last time."""
        pair = f"{self._backend.public_key}:{self._backend.secret_key}"
        exporter = OTLPSpanExporter(
            f"{self._backend.url}/api/public/otel/v1/traces",
            headers={"Authorization": f"Basic {b64encode(pair.encode()).decode()}"},
        )
        found = [mapped for one in self._spans if (mapped := to_langfuse(one)) is not None]
        assert exporter.export(found) is SpanExportResult.SUCCESS
        exporter.shutdown()
        self._spans.clear()


def ids(span: Span) -> tuple[str, str]:
    """Trace id and span id in hexadecimal digits."""
    context = span.get_span_context()
    return format(context.trace_id, "032x"), format(context.span_id, "016x")


def _metadata(given: Mapping[str, Any]) -> dict[str, Any]:
    return {f"otel_agents.metadata.{key}": value for key, value in given.items()}
