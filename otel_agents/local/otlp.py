"""Decodes an OTLP trace export as Langfuse's endpoint does, and refuses what it refuses.

One unusable span rejects the whole batch; nothing is ever partly accepted. JSON ids are taken as they
are written, protobuf ids become lower-case hexadecimal.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from otel_agents.local.otlp_check import Problems, Rejected, as_dict, as_text, dicts, json_attributes
from otel_agents.local.rows import SpanEvent
from otel_agents.local.values import any_value_of_protobuf

#: Largest `x-langfuse-ingestion-version` that is accepted.
INGESTION_VERSION: Final = 4

_IDS: Final = ("traceId", "spanId", "parentSpanId")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class Scope:
    """Resource and instrumentation scope that several spans share."""

    resource: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    version: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class ReceivedSpan:
    """One span as it was received. Times are nanoseconds, None when absent or 0.

    Attribute values are plain Python values; maps, and lists that hold maps or lists, are `Structured`.
    ``status_code`` is the number of protobuf, or whatever JSON held.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    scope: Scope
    kind: int = 0
    start_ns: int | None = None
    end_ns: int | None = None
    status_code: Any = 0
    status_message: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    events: list[SpanEvent] = field(default_factory=list)


def decompress(body: bytes, limit: int) -> bytes:
    """Gunzips ``body`` (several members too).

    Raises:
        Rejected: it is not gzip, is cut off, or becomes larger than ``limit`` bytes.
    """
    parts: list[bytes] = []
    size = 0
    rest = body
    try:
        while rest:
            member = zlib.decompressobj(wbits=31)
            parts.append(member.decompress(rest, limit - size + 1))
            size += len(parts[-1])
            if size > limit or not member.eof:
                raise Rejected(400, {"error": "Failed to decompress request body"})
            rest = member.unused_data
    except zlib.error as error:
        raise Rejected(400, {"error": "Failed to decompress request body"}) from error
    if not parts:
        raise Rejected(400, {"error": "Failed to decompress request body"})
    return b"".join(parts)


def decode(body: bytes, headers: Mapping[str, str], limit: int) -> list[ReceivedSpan]:
    """The spans of one request.

    Args:
        body: as it came over the wire.
        headers: with lower-case names.
        limit: bytes it may decompress to.

    Raises:
        Rejected: with the answer Langfuse gives.
    """
    content_type = headers.get("content-type", "").lower()
    is_protobuf = "application/x-protobuf" in content_type
    if "gzip" in headers.get("content-encoding", "").lower():
        body = decompress(body, limit)
    if not is_protobuf and "application/json" not in content_type:
        raise Rejected(400, {"error": "Invalid content type"})
    try:
        spans = _decode_protobuf(body) if is_protobuf else _decode_json(body)
    except RecursionError as error:
        kind = "Protobuf" if is_protobuf else "JSON"
        raise Rejected(400, {"error": f"Failed to parse OTel {kind} Trace"}) from error
    _check_version(headers)
    return spans


def _check_version(headers: Mapping[str, str]) -> None:
    # Either spelling of the header; checked after the body, as the server does.
    given = headers.get("x-langfuse-ingestion-version") or headers.get("x_langfuse_ingestion_version")
    if not given:
        return
    try:
        fits = float(given) <= INGESTION_VERSION
    except ValueError:
        fits = False
    if not fits:
        raise Rejected(
            400,
            {
                "error": f'Unsupported x-langfuse-ingestion-version: "{given}".'
                f' Maximum supported: "{INGESTION_VERSION}".'
            },
        )


def load_json(text: bytes) -> Any:
    """JSON as JavaScript's parser takes it: lone surrogates become U+FFFD.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _without_surrogates(json.loads(text.decode(errors="replace"), parse_constant=_no_constant))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


# --- protobuf ------------------------------------------------------------------------------------


def _decode_protobuf(body: bytes) -> list[ReceivedSpan]:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        request = ExportTraceServiceRequest.FromString(body)
    except Exception as error:  # protobuf's own error, of which each of its implementations has another
        raise Rejected(400, {"error": "Failed to parse OTel Protobuf Trace"}) from error
    problems = Problems()
    spans: list[ReceivedSpan] = []
    for resource_spans in request.resource_spans:
        resource = _attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            scope = Scope(
                resource,
                scope_spans.scope.name,
                scope_spans.scope.version,
                _attributes(scope_spans.scope.attributes),
            )
            problems.scope(scope.name)
            for span in scope_spans.spans:
                absent = [
                    f"{name}:absent"
                    for name, value in (("traceId", span.trace_id), ("spanId", span.span_id))
                    if not value
                ]
                problems.span(absent)
                spans.append(
                    ReceivedSpan(
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        span.name,
                        scope,
                        span.kind,
                        span.start_time_unix_nano or None,
                        span.end_time_unix_nano or None,
                        span.status.code,
                        span.status.message,
                        _attributes(span.attributes),
                        [
                            SpanEvent(event.name, event.time_unix_nano, _attributes(event.attributes))
                            for event in span.events
                        ],
                    )
                )
    problems.check()
    return spans


def _attributes(pairs: Any) -> dict[str, Any]:
    found = {}
    for pair in pairs:
        value = any_value_of_protobuf(pair.value)
        if value is not None:
            found[pair.key] = value
    return found


# --- JSON ----------------------------------------------------------------------------------------


def _decode_json(body: bytes) -> list[ReceivedSpan]:
    try:
        request = load_json(body)
    except ValueError as error:
        raise Rejected(400, {"error": "Failed to parse OTel JSON Trace"}) from error
    resources = request.get("resourceSpans") if isinstance(request, dict) else None
    if not isinstance(resources, list):
        return []
    problems = Problems()
    spans: list[ReceivedSpan] = []
    for resource_spans in dicts(resources):
        resource = problems.attributes(as_dict(resource_spans.get("resource")), "resource.attributes")
        for scope_spans in dicts(problems.array(resource_spans, "scopeSpans")):
            given = as_dict(scope_spans.get("scope"))
            attributes = problems.attributes(given, "scope.attributes")
            scope = Scope(resource, as_text(given.get("name")), as_text(given.get("version")), attributes)
            problems.scope(scope.name)
            for span in dicts(problems.array(scope_spans, "spans")):
                spans.append(_json_span(span, scope, problems))
    problems.check()
    return spans


def _json_span(span: dict[str, Any], scope: Scope, problems: Problems) -> ReceivedSpan:
    reasons: list[str] = []
    for name in _IDS:
        value = span.get(name)
        if value is None or value == "":
            if name != "parentSpanId":
                reasons.append(f"{name}:absent")
        elif not isinstance(value, str):
            reasons.append(f"{name}:not_an_id")
    attributes = json_attributes(span, "attributes", reasons)
    events = span.get("events")
    if events is not None and not isinstance(events, list):
        reasons.append("events:not_an_array")
        events = []
    found = [
        SpanEvent(
            as_text(event.get("name")),
            _nanos(event.get("timeUnixNano")) or 0,
            json_attributes(event, "event.attributes", reasons),
        )
        for event in dicts(events or [])
    ]
    problems.span(reasons)
    status = as_dict(span.get("status"))
    return ReceivedSpan(
        as_text(span.get("traceId")),
        as_text(span.get("spanId")),
        as_text(span.get("parentSpanId")),
        as_text(span.get("name")),
        scope,
        span["kind"] if isinstance(span.get("kind"), int) else 0,
        _nanos(span.get("startTimeUnixNano")),
        _nanos(span.get("endTimeUnixNano")),
        status.get("code", 0),
        as_text(status.get("message")),
        attributes,
        found,
    )


def _nanos(value: object) -> int | None:
    try:
        number = int(value)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 < number < 2**64 else None


__all__ = ["ReceivedSpan", "Rejected", "Scope", "decode", "decompress", "load_json"]
