"""Spans for the tests of the local backend: received ones for the mapping, OTLP bodies for the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from otel_agents.local.mapping.observation import read
from otel_agents.local.otlp import ReceivedSpan, Scope
from otel_agents.local.rows import Observation, SpanEvent
from otel_agents.local.server import Running

TRACE = "0123456789abcdef0123456789abcdef"
SPAN = "0123456789abcdef"
#: 2026-01-02T03:04:05.678901234Z
START = 1_767_323_045_678_901_234
RECEIVED = START + 5 * 10**9


def received(
    attributes: Mapping[str, Any] | None = None,
    *,
    name: str = "span",
    parent: str = "",
    scope: str = "my.scope",
    scope_version: str = "1.0",
    resource: Mapping[str, Any] | None = None,
    events: Sequence[SpanEvent] = (),
    status: Any = 0,
    message: str = "",
    start: int | None = START,
    end: int | None = START + 10**9,
) -> ReceivedSpan:
    """A span as the decoder hands it over."""
    return ReceivedSpan(
        TRACE,
        SPAN,
        parent,
        name,
        Scope(dict(resource or {}), scope, scope_version, {}),
        1,
        start,
        end,
        status,
        message,
        dict(attributes or {}),
        list(events),
    )


def mapped(
    attributes: Mapping[str, Any] | None = None, *, strict: bool = True, **rest: Any
) -> tuple[Observation, list[str]]:
    """The observation of a span and the kinds of its findings."""
    row, findings = read(received(attributes, **rest), RECEIVED, strict)
    return row, [found.kind for found in findings]


def any_value(value: Any) -> AnyValue:
    """A protobuf value, maps and bytes too."""
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    if isinstance(value, dict):
        return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))
    return AnyValue(array_value=ArrayValue(values=[any_value(item) for item in value]))


def key_values(attributes: Mapping[str, Any]) -> list[KeyValue]:
    """Protobuf attributes."""
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def span(
    span_id: str = SPAN,
    *,
    trace: str = TRACE,
    parent: str = "",
    name: str = "span",
    start: int = START,
    end: int | None = None,
    attributes: Mapping[str, Any] | None = None,
    status: int = 0,
    message: str = "",
    events: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """One span for `export_request`."""
    return {
        "trace_id": bytes.fromhex(trace),
        "span_id": bytes.fromhex(span_id),
        "parent_span_id": bytes.fromhex(parent),
        "name": name,
        "start_time_unix_nano": start,
        "end_time_unix_nano": start + 10**9 if end is None else end,
        "attributes": key_values(attributes or {}),
        "status": {"code": status, "message": message},
        "events": [
            {"name": event, "time_unix_nano": start, "attributes": key_values(given)}
            for event, given in (events or {}).items()
        ],
    }


def export_request(
    *spans: dict[str, Any], resource: Mapping[str, Any] | None = None, scope: str = "my.scope"
) -> bytes:
    """A protobuf export of spans of one scope."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values(resource or {}))
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = scope
    scope_spans.scope.version = "1.0"
    for one in spans:
        given = dict(one)
        status, events = given.pop("status"), given.pop("events")
        added = scope_spans.spans.add(**given)
        added.status.code, added.status.message = status["code"], status["message"]
        for event in events:
            added.events.add(**event)
    return request.SerializeToString()


def client_of(backend: Running, **settings: Any) -> httpx.Client:
    """A client with the backend's keys."""
    settings.setdefault("auth", (backend.public_key, backend.secret_key))
    return httpx.Client(base_url=backend.url, timeout=30, **settings)
