"""GET /api/public/v2/observations: rows by field groups, filters and a cursor, newest first."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from otel_agents.local import codec, filters, queries, times
from otel_agents.local.api.http import invalid_data, invalid_request, reply
from otel_agents.local.backend import Backend
from otel_agents.local.mapping.kinds import text
from otel_agents.local.otlp import load_json
from otel_agents.local.rows import Observation

_GROUPS: Final = frozenset(
    {"core", "basic", "time", "io", "metadata", "model", "usage", "prompt", "metrics", "trace_context"}
)
_COLUMNS: Final = filters.observation_columns()
_EQUAL: Final = {
    "name": "name",
    "userId": "user_id",
    "sessionId": "session_id",
    "type": "type",
    "traceId": "trace_id",
    "level": "level",
    "version": "version",
    "parentObservationId": "parent_id",
}
_MOST: Final = 1000
_CUT: Final = 200


async def list_v2(request: Request, backend: Backend) -> Response:
    """Lists observations; a ``filter`` replaces the plain parameters."""
    given = request.query_params
    groups = {name for name in given.get("fields", "").split(",") if name in _GROUPS}
    groups = groups | {"core"} if given.get("fields") else {"core", "basic"}
    if given.get("parseIoAsJson") == "true":
        raise invalid_data(("parseIoAsJson", "parseIoAsJson is deprecated, input and output are raw strings"))
    limit = _limit(given.get("limit"))
    if given.get("filter"):
        where, values = _filter_conditions(given["filter"])
    else:
        where, values = _plain_conditions(request)
    if cursor := given.get("cursor"):
        where.append("(o.start_ns, o.trace_id, o.id) < (?, ?, ?)")
        values += _decode_cursor(cursor)
    payload = bool(groups & {"io", "metadata"})
    rows = await backend.run(_read, backend, where, values, limit, payload)
    meta: dict[str, Any] = {}
    if limit and len(rows) > limit:
        meta["cursor"] = _encode_cursor(rows[limit - 1])
    expanded = {name for name in given.get("expandMetadata", "").split(",") if name}
    project = backend.options.project_id
    return reply({"data": [row_of(row, project, groups, expanded) for row in rows[:limit]], "meta": meta})


def _read(
    backend: Backend, where: list[str], values: list[Any], limit: int, payload: bool
) -> list[Observation]:
    # A condition on input or output needs the payload's table, whether it is returned or not.
    joined = payload or any("p.input" in part or "p.output" in part for part in where)
    condition = " AND ".join(where) if where else "1"
    sql = f"{condition} ORDER BY o.start_ns DESC, o.trace_id DESC, o.id DESC LIMIT ?"
    return queries.get_observations(backend.store.reader(), sql, [*values, limit + 1], joined)


def _limit(text_given: str | None) -> int:
    if not text_given:
        return 50
    if not text_given.isdigit() or int(text_given) > _MOST:
        raise invalid_data(("limit", f"Expected a number from 0 to {_MOST}"))
    return int(text_given)


def _plain_conditions(request: Request) -> tuple[list[str], list[Any]]:
    given = request.query_params
    where: list[str] = []
    values: list[Any] = []
    for name, column in _EQUAL.items():
        # An empty parentObservationId asks for those without a parent; any other empty one for nothing.
        if (value := given.get(name)) or (value == "" and name == "parentObservationId"):
            where.append(f"o.{column} = ?")
            values.append(value)
            if column == "level" and value != "DEFAULT":
                where.append("o.level <> 'DEFAULT'")  # lets the partial index be used
    environments = [value for value in given.getlist("environment") if value]
    if environments:
        where.append(f"o.environment IN ({', '.join('?' * len(environments))})")
        values += environments
    if given.get("isRootObservation") in ("true", "false"):
        where.append("o.is_root = 1" if given["isRootObservation"] == "true" else "o.is_root = 0")
    for name, operator in (("fromStartTime", ">="), ("toStartTime", "<")):
        if given.get(name):
            moment = times.parse(given[name])
            if moment is None:
                raise invalid_data((name, "Invalid datetime"))
            where.append(f"o.start_ns {operator} ?")
            values.append(moment)
    return where, values


def _filter_conditions(given: str) -> tuple[list[str], list[Any]]:
    try:
        found = load_json(given.encode())
    except ValueError as error:
        raise invalid_request("Invalid JSON in filter parameter") from error
    if not isinstance(found, list):
        raise invalid_request("filter has to be a JSON array")
    where: list[str] = []
    values: list[Any] = []
    try:
        for item in found:
            sql, parameters = filters.condition(item, _COLUMNS)
            where.append(f"({sql})")
            values += parameters
    except filters.BadFilter as error:
        raise invalid_request(str(error)) from error
    content = [item for item in found if item["column"] in ("input", "output")]
    if content and not any(item["operator"] in ("=", "matches") for item in content):
        raise invalid_request("A filter on input or output needs at least one = or matches filter")
    return where, values


def _encode_cursor(row: Observation) -> str:
    # Nanoseconds, because that is what the rows are sorted by here.
    seconds, rest = divmod(row.start_ns, 10**9)
    start = times.iso(seconds * 10**9)[:-5] + f".{rest:09d}Z"
    values = {"lastStartTimeTo": start, "lastTraceId": row.trace_id, "lastId": row.id}
    return base64.b64encode(msgspec.json.encode(values)).decode()


def _decode_cursor(cursor: str) -> list[Any]:
    try:
        found = msgspec.json.decode(base64.b64decode(cursor.replace(" ", "+")))
        start = found["lastStartTimeTo"]
        whole = times.parse(start[:19] + "Z")
        fraction = start[19:].strip(".Z")
        if whole is None:
            raise ValueError(start)
        return [
            codec.fitting(whole + int(fraction.ljust(9, "0")[:9] or 0)),
            str(found["lastTraceId"]),
            str(found["lastId"]),
        ]
    except (binascii.Error, msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        raise invalid_request("Invalid cursor") from error


def row_of(row: Observation, project: str, groups: set[str], expanded: set[str]) -> dict[str, Any]:
    """One observation with the asked groups of fields."""
    found: dict[str, Any] = {
        "id": row.id,
        "traceId": row.trace_id,
        "startTime": times.iso(row.start_ns),
        "endTime": times.iso(row.end_ns),
        "projectId": project,
        "parentObservationId": row.parent_id or None,
        "type": row.type,
    }
    if "basic" in groups:
        found |= {
            "name": row.name,
            "level": row.level,
            "statusMessage": row.status_message,
            "version": row.version,
            "environment": row.environment,
            "bookmarked": False,
            "public": row.public,
            "userId": row.user_id,
            "sessionId": row.session_id,
            "isRootObservation": row.is_root,
        }
    if "time" in groups:
        found |= {
            "completionStartTime": times.iso_or_none(row.completion_start_ns),
            "createdAt": times.iso(row.received_ns),
            "updatedAt": times.iso(row.received_ns),
        }
    if "io" in groups:
        found |= {"input": row.input, "output": row.output}
    if "metadata" in groups:
        found["metadata"] = {
            key: value if key in expanded else _cut(value) for key, value in row.metadata.items()
        }
    if "model" in groups:
        # Servers of 4.16 call it providedModelName, the SDK's version 5 reads model.
        found |= {
            "providedModelName": row.model,
            "model": row.model,
            "internalModelId": None,
            "modelParameters": row.model_parameters,
        }
    if "usage" in groups:
        found |= {
            "usageDetails": row.usage,
            "costDetails": row.cost,
            "totalCost": row.total_cost,
            "usagePricingTierName": None,
        }
    if "prompt" in groups:
        found |= {"promptId": None, "promptName": row.prompt_name, "promptVersion": row.prompt_version}
    if "metrics" in groups:
        start = times.floor_ms(row.start_ns)
        first = row.completion_start_ns
        found |= {
            "latency": (times.floor_ms(row.end_ns) - start) / 1000,
            "timeToFirstToken": None if first is None else (times.floor_ms(first) - start) / 1000,
        }
    if "trace_context" in groups:
        found |= {
            "tags": row.tags,
            "release": row.release,
            "traceName": row.trace_name or (row.name if row.is_root else None),
        }
    return found | {"modelId": None, "inputPrice": None, "outputPrice": None, "totalPrice": None}


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return value[:_CUT]
    if isinstance(value, dict | list):
        written = text(value)
        return value if len(written) <= _CUT else written[:_CUT]
    return value
