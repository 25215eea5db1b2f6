"""OTLP log requests with evaluation results, as protobuf and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "00f067aa0ba902b7"
WHEN = 1_763_900_000_123_456_789
EVENT = "gen_ai.evaluation.result"


def evaluation(name: str, value: object = 0.9, **rest: object) -> dict[str, Any]:
    """One log record: attributes, and the record's own fields as they are named in JSON."""
    attributes: dict[str, object] = {"gen_ai.evaluation.name": name}
    if isinstance(value, str):
        attributes["gen_ai.evaluation.score.label"] = value
    elif value is not None:
        attributes["gen_ai.evaluation.score.value"] = value
    attributes.update({key.replace("__", "."): one for key, one in rest.items()})
    return {
        "eventName": EVENT,
        "traceId": TRACE,
        "spanId": SPAN,
        "timeUnixNano": str(WHEN),
        "attributes": [{"key": key, "value": json_value(one)} for key, one in attributes.items()],
    }


def as_json(*records: Mapping[str, Any], environment: str | None = None) -> dict[str, Any]:
    resource = {"deployment.environment.name": environment} if environment else {"service.name": "app"}
    return {
        "resourceLogs": [
            {
                "resource": {
                    "attributes": [{"key": key, "value": json_value(one)} for key, one in resource.items()]
                },
                "scopeLogs": [{"scope": {"name": "otel_agents"}, "logRecords": list(records)}],
            }
        ]
    }


def as_protobuf(*records: Mapping[str, Any], environment: str | None = None) -> bytes:
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    if environment:
        resource.resource.attributes.append(
            KeyValue(key="deployment.environment.name", value=AnyValue(string_value=environment))
        )
    scope = resource.scope_logs.add()
    for record in records:
        made = scope.log_records.add(
            event_name=record.get("eventName", ""),
            trace_id=bytes.fromhex(record.get("traceId", "")),
            span_id=bytes.fromhex(record.get("spanId", "")),
            time_unix_nano=int(record.get("timeUnixNano", 0)),
        )
        for one in record["attributes"]:
            [(kind, value)] = one["value"].items()
            name = {
                "stringValue": "string_value",
                "boolValue": "bool_value",
                "intValue": "int_value",
                "doubleValue": "double_value",
            }[kind]
            value = int(value) if kind == "intValue" else value
            made.attributes.append(KeyValue(key=one["key"], value=AnyValue(**{name: value})))
    return request.SerializeToString()


def json_value(value: object) -> dict[str, object]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case _:
            return {"stringValue": str(value)}
