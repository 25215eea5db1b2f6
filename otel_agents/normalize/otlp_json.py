"""OTLP requests as JSON objects, rewritten in place: what ``otel-agents convert`` works on.

Only attributes that a rule changed are encoded anew; everything else stays as it was written.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, Final

from otel_agents.normalize import engine
from otel_agents.normalize.record import Record

#: Signal → the key of its resources in OTLP JSON.
SIGNALS: Final = {"traces": "resourceSpans", "logs": "resourceLogs", "metrics": "resourceMetrics"}
_POINTS: Final = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")


def rewrite(request: Mapping[str, Any], mode: engine.Mode) -> int:
    """Rewrites spans, log records and data points of one request; how many it changed.

    Spans are rewritten by all tables, the attributes of the others by those of plain renames.
    """
    changed = 0
    for scope, span in _inside(request, "resourceSpans", "scopeSpans", "spans"):
        record = Record(
            scope=scope,
            name=_text(span.get("name")),
            attributes=decoded(span.get("attributes")),
            events=[
                (_text(event.get("name")), decoded(event.get("attributes")))
                for event in _dicts(span.get("events"))
            ],
            ids=(_text(span.get("spanId")), _text(span.get("parentSpanId"))),
        )
        changed += _rewritten(span, record, mode)
    for scope, log in _inside(request, "resourceLogs", "scopeLogs", "logRecords"):
        record = Record(scope, _text(log.get("eventName")), decoded(log.get("attributes")))
        changed += _rewritten(log, record, mode, renames=True)
    for scope, metric in _inside(request, "resourceMetrics", "scopeMetrics", "metrics"):
        for kind in _POINTS:
            data = metric.get(kind)
            for point in _dicts(data.get("dataPoints")) if isinstance(data, dict) else ():
                record = Record(scope, _text(metric.get("name")), decoded(point.get("attributes")))
                changed += _rewritten(point, record, mode, renames=True)
    return changed


def decoded(pairs: Any) -> dict[str, Any]:
    """The attributes of OTLP JSON as Python values; unreadable ones are left out."""
    found: dict[str, Any] = {}
    for pair in _dicts(pairs):
        key = pair.get("key")
        if isinstance(key, str):
            value = _value(pair.get("value"))
            if value is not None:
                found[key] = value
    return found


def encoded(value: Any) -> dict[str, Any]:
    """A Python value as OTLP JSON's AnyValue."""
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case str():
            return {"stringValue": value}
        case bytes():
            return {"bytesValue": base64.b64encode(value).decode()}
        case Mapping():
            return {"kvlistValue": {"values": [{"key": k, "value": encoded(v)} for k, v in value.items()]}}
        case list() | tuple():
            return {"arrayValue": {"values": [encoded(one) for one in value]}}
        case None:
            return {}
        case _:
            return {"stringValue": str(value)}


def _rewritten(holder: dict[str, Any], record: Record, mode: engine.Mode, renames: bool = False) -> bool:
    before = dict(record.attributes)
    if not (engine.rename(record, mode) if renames else engine.normalize(record, mode)):
        return False
    after = record.attributes
    pairs = _dicts(holder.get("attributes"))
    kept = [one for one in pairs if one.get("key") not in before or one.get("key") in after]
    places = {one.get("key"): one for one in kept}
    for key, value in after.items():
        if key not in places:
            kept.append({"key": key, "value": encoded(value)})
        elif key not in before or type(before[key]) is not type(value) or before[key] != value:
            places[key]["value"] = encoded(value)
    holder["attributes"] = kept
    return True


def _value(given: Any) -> Any:
    if not isinstance(given, dict) or not given:
        return None
    kind, value = next(iter(given.items()))
    try:
        match kind:
            case "stringValue" | "boolValue":
                return value
            case "intValue":
                return int(value)
            case "doubleValue":
                return float(value)
            case "bytesValue":
                return base64.b64decode(value)
            case "arrayValue":
                return [_value(one) for one in _dicts(value.get("values"))]
            case "kvlistValue":
                return decoded(value.get("values"))
    except (TypeError, ValueError, AttributeError):
        return None
    return None


def _inside(request: Mapping[str, Any], *keys: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything at the end of ``keys``, with the name of its scope."""
    resources, scopes, items = keys
    for resource in _dicts(request.get(resources)):
        for scoped in _dicts(resource.get(scopes)):
            scope = scoped.get("scope")
            name = _text(scope.get("name")) if isinstance(scope, dict) else ""
            for one in _dicts(scoped.get(items)):
                yield name, one


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
