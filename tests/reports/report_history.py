"""Thirty days of three agents' work, as the app's own spans, and what a person makes of them by hand.

April 2026, 700 tasks:

| agent   | tasks | type          | each     | succeed | seconds        | quality (scored)            |
|---------|-------|---------------|----------|---------|----------------|-----------------------------|
| claude  |    90 | security      | $0.0046  | 87      | 10 to 14       | .93 and .95 in turn (all)   |
| claude  |    60 | documentation | $0.0046  | 57      | 10 to 14       | .88 and .90 in turn (all)   |
| gemini  |   150 | documentation | $0       | 144     | 6, 7, 8        | .88 and .90 in turn (all)   |
| gemini  |   300 | tests         | $0       | 252     | 6, 7, 8        | .81 (every second one)      |
| copilot |   100 | tests         | $0.0033  | 92      | 4, 5, 6, 5     | .88 (all)                   |

claude and gemini work at an even pace, 5 and 15 tasks a day; copilot on the first ten days, 10 a day.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from otel_agents.langfuse.mapping import map_span

SINCE = datetime(2026, 4, 1, tzinfo=UTC)
UNTIL = datetime(2026, 5, 1, tzinfo=UTC)

#: model, input and output tokens, cost
AGENTS: Mapping[str, tuple[str, int, int, float]] = {
    "claude": ("claude-sonnet-4-5", 450, 1073, 0.0046),
    "gemini": ("gemini-2.5-flash", 400, 600, 0.0),
    "copilot": ("gpt-4o-mini", 200, 300, 0.0033),
}


def write(client: httpx.Client) -> None:
    """Sends the history to a backend, by OTLP and its score endpoint."""
    book = Book()
    for number in range(150):
        kind, rank = ("security", number) if number < 90 else ("documentation", number - 90)
        good = (0.93, 0.95) if kind == "security" else (0.88, 0.90)
        task = book.task(
            f"claude-{number}",
            "claude",
            SINCE + timedelta(days=number % 30, hours=1 + number // 30),
            10.0 + number % 5,
            task_type=kind,
            failed=rank < 3,
            quality=good[rank % 2],
            prompt=("guideline", 1 + rank % 2) if kind == "documentation" else None,
        )
        if 10 <= number < 20:  # gemini was left before it ran anything
            book.event(
                task,
                "agent_switch",
                {"from_agent": "gemini", "to_agent": "claude", "quality_before": 0.75, "quality_gained": 0.2},
            )
        if 20 <= number < 40:
            book.event(task, "token_reduction", {"original": 3800, "actual": 1000})
    for number in range(450):
        kind, rank = ("documentation", number) if number < 150 else ("tests", number - 150)
        book.task(
            f"gemini-{number}",
            "gemini",
            SINCE + timedelta(days=number % 30, hours=8, minutes=number // 30),
            6.0 + number % 3,
            task_type=kind,
            failed=rank < (6 if kind == "documentation" else 48),
            quality=(0.88, 0.90)[rank % 2] if kind == "documentation" else (0.81, None)[rank % 2],
        )
    for number in range(100):
        book.task(
            f"copilot-{number}",
            "copilot",
            SINCE + timedelta(days=number % 10, hours=16, minutes=number // 10),
            (4.0, 5.0, 6.0, 5.0)[number % 4],
            task_type="tests",
            failed=number < 8,
            quality=0.88,
            experiment=("latent_reasoning_v2", ("off", "on")[number % 2]) if number < 40 else None,
        )
    book.send(client)


class Book:
    """Collects tasks and sends them; ids are counted, so that every run writes the same."""

    def __init__(self) -> None:
        self._spans: list[dict[str, Any]] = []
        self._scores: list[dict[str, Any]] = []
        self._next = 0
        self._tasks = 0

    def id(self) -> int:
        """The next id, of a trace or a span."""
        self._next += 1
        return self._next

    def task(
        self,
        task_id: str | None,
        agent: str,
        start: datetime,
        seconds: float,
        *,
        task_type: str | None = None,
        failed: bool = False,
        quality: float | None = None,
        prompt: tuple[str, int] | None = None,
        experiment: tuple[str, str] | None = None,
        trace: int | None = None,
        parent: int | None = None,
        cost: float | None = None,
        on_trace: bool = False,
        **metadata: str,
    ) -> tuple[int, int, datetime]:
        """An agent's run with one model call under it; returns trace, span and start."""
        model, given, produced, price = AGENTS[agent]
        trace = trace or self.id()
        number, self._tasks = self._tasks, self._tasks + 1
        said = {
            "task_id": task_id,
            "task_type": task_type,
            "project_id": f"project-{number % 2}",
            "status": "error" if failed else "success",
            **metadata,
        }
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": agent,
            "user.id": f"user-{number % 4}",
            **{f"otel_agents.metadata.{key}": value for key, value in said.items() if value is not None},
        }
        if experiment is not None:
            attributes["otel_agents.experiment"], attributes["otel_agents.variant"] = experiment
        top = self.span(
            trace, f"invoke_agent {agent}", start, seconds, attributes, parent=parent, failed=failed
        )
        call: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": model,
            "gen_ai.usage.input_tokens": given,
            "gen_ai.usage.output_tokens": produced,
            "gen_ai.usage.cost": price if cost is None else cost,
        }
        if prompt is not None:
            call["gen_ai.prompt.name"], call["gen_ai.prompt.version"] = prompt
        self.span(trace, f"chat {model}", start, seconds / 2, call, parent=top)
        if quality is not None:
            subject = {"traceId": f"{trace:032x}"}
            if not on_trace:
                subject["observationId"] = f"{top:016x}"
            self.score(quality, start + timedelta(seconds=seconds), subject)
        return trace, top, start

    def event(self, task: tuple[int, int, datetime], name: str, body: Mapping[str, Any]) -> None:
        """Something that happened in a task."""
        trace, top, start = task
        attributes = {"otel_agents.event": name, "otel_agents.event.body": json.dumps(body)}
        self.span(trace, name, start + timedelta(seconds=1), 0.0, attributes, parent=top)

    def score(self, value: float, at: datetime, subject: Mapping[str, str], name: str = "quality") -> None:
        """A numeric score."""
        self._scores.append(
            {
                "id": f"score-{len(self._scores)}",
                "name": name,
                "value": value,
                "dataType": "NUMERIC",
                "timestamp": at.isoformat(),
                **subject,
            }
        )

    def span(
        self,
        trace: int,
        name: str,
        start: datetime,
        seconds: float,
        attributes: Mapping[str, Any],
        *,
        parent: int | None = None,
        failed: bool = False,
        message: str = "it failed",
    ) -> int:
        """A span as the edge sends it to Langfuse; returns its id."""
        span_id, begin = self.id(), round(start.timestamp() * 1000) * 10**6
        mapped = map_span(
            attributes,
            resource={},
            start_time_unix_nano=begin,
            status_error=failed,
            status_description=message if failed else None,
        )
        assert mapped is not None
        self._spans.append(
            {
                "trace_id": trace.to_bytes(16, "big"),
                "span_id": span_id.to_bytes(8, "big"),
                "parent_span_id": b"" if parent is None else parent.to_bytes(8, "big"),
                "name": name,
                "start_time_unix_nano": begin,
                "end_time_unix_nano": begin + round(seconds * 10**9),
                "attributes": [KeyValue(key=key, value=_any(one)) for key, one in mapped.attributes.items()],
            }
        )
        return span_id

    def send(self, client: httpx.Client) -> None:
        """Sends everything."""
        request = ExportTraceServiceRequest()
        spans = request.resource_spans.add().scope_spans.add().spans
        for one in self._spans:
            spans.add(**one)
        answer = client.post(
            "/api/public/otel/v1/traces",
            content=request.SerializeToString(),
            headers={"content-type": "application/x-protobuf"},
        )
        assert answer.status_code == 200, answer.text
        for batch in _batches(self._scores, 200):
            answer = client.post("/api/public/scores", json=batch)
            assert answer.status_code == 202, answer.text


def _batches(items: Sequence[dict[str, Any]], size: int) -> Iterator[Sequence[dict[str, Any]]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]


def _any(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, (list, tuple)):
        return AnyValue(array_value=ArrayValue(values=[_any(one) for one in value]))
    return AnyValue(string_value=str(value))
