"""Reads OTLP log requests, protobuf and JSON, down to the events that the bridge does something with."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from otel_agents import semconv

#: Events with a whole call's messages: the conventions' name, and the one it had before.
DETAILS_EVENTS: Final = frozenset({semconv.EVENT_INFERENCE_DETAILS, "gen_ai.client.operation.details"})
#: Events with one message each, as conventions before 1.37 have them; and whose message it is.
MESSAGE_EVENTS: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
    "gen_ai.choice": "assistant",
}
_WANTED: Final = frozenset({semconv.EVENT_EVALUATION_RESULT}) | DETAILS_EVENTS | MESSAGE_EVENTS.keys()


class Malformed(Exception):
    """A body that is no OTLP log request; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Event:
    """A log record that is an event of interest.

    Attributes:
        name: of the event.
        attributes: of the record; bytes became base64 text.
        body: of the record, likewise.
        service: the resource's ``service.name``, or empty.
        environment: of the resource, if it names one.
        trace_id: 32 hex digits, or None.
        span_id: 16 hex digits, or None.
        timestamp_ns: when it happened, else when it was observed, else 0.
    """

    name: str
    attributes: Mapping[str, Any]
    body: Any
    service: str
    environment: str | None
    trace_id: str | None
    span_id: str | None
    timestamp_ns: int


def events_of_protobuf(body: bytes) -> tuple[list[Event], int]:
    """The events in a protobuf request, and the number of all its records.

    Raises:
        Malformed: it cannot be decoded.
    """
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    try:
        request = ExportLogsServiceRequest.FromString(body)
    except DecodeError as error:
        raise Malformed(f"the body is no OTLP protobuf: {error}") from None
    events: list[Event] = []
    records = 0
    for resource in request.resource_logs:
        named = _attributes(resource.resource.attributes)
        for scope in resource.scope_logs:
            for record in scope.log_records:
                records += 1
                attributes = _attributes(record.attributes)
                if name := _event_name(record.event_name, attributes):
                    events.append(
                        Event(
                            name,
                            attributes,
                            _value(record.body),
                            _service(named),
                            _environment(named),
                            record.trace_id.hex() or None,
                            record.span_id.hex() or None,
                            record.time_unix_nano or record.observed_time_unix_nano,
                        )
                    )
    return events, records


def events_of_json(body: bytes) -> tuple[list[Event], int]:
    """The events in a JSON request, and the number of all its records.

    Raises:
        Malformed: it cannot be decoded.
    """
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the body is no JSON: {error}") from None
    events: list[Event] = []
    records = 0
    try:
        for resource in _objects(request, "resourceLogs"):
            named = _json_attributes(_object(resource, "resource"))
            for scope in _objects(resource, "scopeLogs"):
                for record in _objects(scope, "logRecords"):
                    records += 1
                    attributes = _json_attributes(record)
                    if name := _event_name(record.get("eventName"), attributes):
                        events.append(_json_event(name, record, attributes, named))
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise Malformed(f"the body is no OTLP JSON: {error}") from None
    return events, records


def _json_event(
    name: str, record: Mapping[str, Any], attributes: Mapping[str, Any], resource: Mapping[str, Any]
) -> Event:
    return Event(
        name,
        attributes,
        _json_value(record.get("body")),
        _service(resource),
        _environment(resource),
        record.get("traceId") or None,
        record.get("spanId") or None,
        int(record.get("timeUnixNano") or 0) or int(record.get("observedTimeUnixNano") or 0),
    )


def _event_name(event_name: object, attributes: Mapping[str, Any]) -> str | None:
    """The name of an event of interest; older SDKs name an event by an attribute."""
    for name in (event_name, attributes.get("event.name")):
        if isinstance(name, str) and name in _WANTED:
            return name
    return None


def _service(resource: Mapping[str, Any]) -> str:
    found = resource.get("service.name")
    return found if isinstance(found, str) else ""


def _environment(resource: Mapping[str, Any]) -> str | None:
    found = resource.get(semconv.DEPLOYMENT_ENVIRONMENT) or resource.get("deployment.environment")
    return found if isinstance(found, str) and found else None


def _attributes(given: Iterable[Any]) -> dict[str, Any]:
    return {one.key: _value(one.value) for one in given}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    found = getattr(value, kind)
    if kind == "array_value":
        return [_value(one) for one in found.values]
    if kind == "kvlist_value":
        return {one.key: _value(one.value) for one in found.values}
    return base64.b64encode(found).decode() if kind == "bytes_value" else found


def _object(holder: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = holder.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise TypeError(f"{key} is no object")
    return found


def _objects(holder: Any, key: str) -> Iterator[dict[str, Any]]:
    if not isinstance(holder, dict):
        raise TypeError(f"an object with {key} is expected")
    found = holder.get(key)
    if found is None:
        return
    if not isinstance(found, list):
        raise TypeError(f"{key} is no list")
    for one in found:
        if not isinstance(one, dict):
            raise TypeError(f"{key} holds something that is no object")
        yield one


def _json_attributes(holder: Mapping[str, Any]) -> dict[str, Any]:
    return {str(one.get("key")): _json_value(one.get("value")) for one in _objects(holder, "attributes")}


def _json_value(value: Any) -> Any:
    """An OTLP ``AnyValue``. JSON carries 64-bit integers, and numbers that are not finite, as text."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise TypeError("an attribute's value is no object")
    for kind, found in value.items():
        if kind == "intValue":
            return int(found)
        if kind == "doubleValue":
            return float(found)
        if kind == "arrayValue":
            return [_json_value(one) for one in _objects(found, "values")]
        if kind == "kvlistValue":
            return {str(one.get("key")): _json_value(one.get("value")) for one in _objects(found, "values")}
        if kind == "bytesValue":
            try:
                base64.b64decode(found, validate=True)
            except binascii.Error:
                raise ValueError("a bytesValue is no base64") from None
            return found
        if kind in ("stringValue", "boolValue"):
            return found
    return None
