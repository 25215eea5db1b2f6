"""Scores: sending (both endpoints), reading (v3) and deleting."""

from __future__ import annotations

import time
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from otel_agents.local import codec, queries, times
from otel_agents.local.api.http import ApiError, invalid_data, read_json, reply
from otel_agents.local.backend import Backend
from otel_agents.local.findings import finding
from otel_agents.local.rows import Finding, Score
from otel_agents.local.score_input import drop_reason, issues_of, score_of

#: Limit of the batch endpoint, which is not that of the other JSON endpoints.
_INGESTION_LIMIT: Final = int(4.5 * 1024 * 1024)

_CSV_FILTERS: Final = {
    "id": "id",
    "name": "name",
    "source": "source",
    "dataType": "data_type",
    "environment": "environment",
    "configId": "config_id",
    "queueId": "queue_id",
    "authorUserId": "author_user_id",
    "traceId": "trace_id",
    "sessionId": "session_id",
    "observationId": "observation_id",
    "experimentId": "experiment_id",
}
_OTHERS: Final = (
    "limit",
    "cursor",
    "fields",
    "value",
    "valueMin",
    "valueMax",
    "fromTimestamp",
    "toTimestamp",
)
_FIELDS: Final = frozenset({"core", "details", "subject", "annotation"})


async def create(request: Request, backend: Backend) -> Response:
    """POST /api/public/scores: one object, or an array (servers from 4.59 on)."""
    body = await read_json(request, backend)
    legacy = backend.options.legacy_scores
    if isinstance(body, list) and not legacy:
        return await _create_many(backend, body)
    if found := issues_of(body, legacy):
        raise invalid_data(*found)
    scores, findings = _accept(backend, [body])
    await backend.write(backend.store.add_scores, scores, findings, backend.options.strict)
    return reply({"id": scores[0].id if scores else body.get("id")})


async def _create_many(backend: Backend, bodies: list[Any]) -> Response:
    accepted = []
    errors = []
    for index, body in enumerate(bodies):
        if found := issues_of(body):
            text = "; ".join(f"{path}: {message}" if path else message for path, message in found)
            errors.append({"message": f"Invalid score at index {index}: {text}"})
        else:
            accepted.append(body)
    scores, findings = _accept(backend, accepted)
    await backend.write(backend.store.add_scores, scores, findings, backend.options.strict)
    if not errors:
        return reply({"message": "Accepted"}, 202)
    return reply({"accepted": len(accepted), "rejected": len(errors), "errors": errors}, 207)


def _accept(backend: Backend, bodies: list[dict[str, Any]]) -> tuple[list[Score], list[Finding]]:
    now = time.time_ns()
    scores: list[Score] = []
    findings: list[Finding] = []
    for body in bodies:
        if reason := drop_reason(body):
            if backend.options.strict:
                trace_id, span_id = body.get("traceId") or "", body.get("observationId") or ""
                findings.append(
                    finding("score_dropped", trace_id, span_id, now, name=body["name"], reason=reason)
                )
            continue
        scores.append(score_of(body, now, backend.options.legacy_scores))
    return scores, findings


async def ingest(request: Request, backend: Backend) -> Response:
    """POST /api/public/ingestion: how older SDKs send scores. Every other event is refused, one by one."""
    body = await read_json(request, backend, _INGESTION_LIMIT)
    batch = body.get("batch") if isinstance(body, dict) else None
    if not isinstance(batch, list):
        raise invalid_data(("batch", "Expected array"))
    successes: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    bodies: list[dict[str, Any]] = []
    for event in batch:
        event_id = event.get("id") if isinstance(event, dict) else None
        kind = event.get("type") if isinstance(event, dict) else None
        score = event.get("body") if isinstance(event, dict) else None
        if not isinstance(event_id, str) or kind not in ("score-create", "sdk-log"):
            text = f"event type {kind!r} is not accepted in events_only mode"
            errors.append({"id": event_id or "", "status": 400, "message": text, "error": text})
        elif kind == "score-create" and (found := issues_of(score)):
            text = "; ".join(f"{path}: {message}" if path else message for path, message in found)
            errors.append({"id": event_id, "status": 400, "message": "Invalid request data", "error": text})
        else:
            successes.append({"id": event_id, "status": 201})
            if kind == "score-create" and isinstance(score, dict):
                bodies.append({"timestamp": _stamp(event), **score})
    scores, findings = _accept(backend, bodies)
    await backend.write(backend.store.add_scores, scores, findings, backend.options.strict)
    return reply({"successes": successes, "errors": errors}, 207)


def _stamp(event: dict[str, Any]) -> str | None:
    stamp = event.get("timestamp")
    return stamp if isinstance(stamp, str) and times.has_zone(stamp) else None


async def delete(request: Request, backend: Backend) -> Response:
    """DELETE /api/public/scores/{id}."""
    await backend.run(backend.store.delete_score, request.path_params["score_id"])
    return reply({"message": "Score deletion queued successfully"}, 202)


async def list_v3(request: Request, backend: Backend) -> Response:
    """GET /api/public/v3/scores: the only score read of events_only servers."""
    given = dict(request.query_params.multi_items())
    where, values, limit, groups = _conditions(given)
    found = await backend.run(_read, backend, where, values, limit)
    meta: dict[str, Any] = {"limit": limit}
    if len(found) > limit:
        last = found[limit - 1]
        meta["cursor"] = queries.encode_cursor(
            {"v": 1, "lastTimestamp": last.timestamp_ns, "lastId": last.id, "lastName": last.name}
        )
    project = backend.options.project_id
    return reply({"data": [_row(score, project, groups) for score in found[:limit]], "meta": meta})


def _read(backend: Backend, where: list[str], values: list[Any], limit: int) -> list[Score]:
    condition = " AND ".join(where) if where else "1"
    sql = f"{condition} ORDER BY timestamp_ns DESC, id DESC, name DESC LIMIT ?"
    return queries.get_scores(backend.store.reader(), sql, [*values, limit + 1])


def _conditions(given: dict[str, str]) -> tuple[list[str], list[Any], int, set[str]]:
    unknown = set(given) - set(_CSV_FILTERS) - set(_OTHERS)
    if unknown:
        raise invalid_data(*[(name, "Unrecognized key") for name in sorted(unknown)])
    groups = {"core"} | {name for name in given.get("fields", "").split(",") if name}
    if not groups <= _FIELDS:
        raise invalid_data(("fields", f"Unknown fields: {', '.join(sorted(groups - _FIELDS))}"))
    try:
        limit = int(given.get("limit", "50"))
    except ValueError as error:
        raise invalid_data(("limit", "Expected number")) from error
    if not 1 <= limit <= 100:
        raise invalid_data(("limit", "Expected a number between 1 and 100"))
    if given.get("observationId") and not given.get("traceId"):
        raise invalid_data(("observationId", "observationId requires traceId"))
    if sum(1 for key in ("traceId", "sessionId", "experimentId") if given.get(key)) > 1:
        raise invalid_data(("", "traceId, sessionId and experimentId are mutually exclusive"))
    where: list[str] = []
    values: list[Any] = []
    for name, column in _CSV_FILTERS.items():
        if given.get(name):
            wanted = given[name].split(",")
            where.append(f"{column} IN ({', '.join('?' * len(wanted))})")
            values += wanted
    _value_conditions(given, where, values)
    for name, operator in (("fromTimestamp", ">="), ("toTimestamp", "<")):
        if given.get(name):
            moment = times.parse(given[name])
            if moment is None:
                raise invalid_data((name, "Invalid datetime"))
            where.append(f"timestamp_ns {operator} ?")
            values.append(moment)
    if given.get("cursor"):
        where.append("(timestamp_ns, id, name) < (?, ?, ?)")
        values += _cursor(given["cursor"])
    return where, values, limit, groups


def _value_conditions(given: dict[str, str], where: list[str], values: list[Any]) -> None:
    for name, operator in (("valueMin", ">="), ("valueMax", "<=")):
        if given.get(name):
            if given.get("dataType") != "NUMERIC":
                raise invalid_data((name, "requires dataType=NUMERIC"))
            where.append(f"value {operator} ?")
            values.append(_number(name, given[name]))
    if given.get("value"):
        options = []
        for wanted in given["value"].split(","):
            options.append("string_value = ?")
            values.append(wanted)
            number = {"true": "1", "false": "0"}.get(wanted, wanted)
            try:
                values.append(float(number))
            except ValueError:
                continue
            options.append("value = ?")
        where.append(f"({' OR '.join(options)})")


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise invalid_data((name, "Expected number")) from error


def _cursor(text: str) -> list[Any]:
    try:
        found = queries.decode_cursor_object(text)
        moment = codec.fitting(int(found["lastTimestamp"]))
        return [moment, str(found["lastId"]), str(found["lastName"])]
    except (queries.BadCursor, KeyError, TypeError, ValueError) as error:
        raise ApiError(400, {"message": "Invalid cursor", "error": "InvalidRequestError"}) from error


def _row(score: Score, project: str, groups: set[str]) -> dict[str, Any]:
    value: Any = score.string_value
    if score.data_type == "BOOLEAN":
        value = bool(score.value)
    elif score.data_type == "NUMERIC":
        value = score.value
    row: dict[str, Any] = {
        "id": score.id,
        "projectId": project,
        "name": score.name,
        "dataType": score.data_type,
        "value": value,
        "source": score.source,
        "timestamp": times.iso(score.timestamp_ns),
        "environment": score.environment,
        "createdAt": times.iso(score.created_ns),
        "updatedAt": times.iso(score.updated_ns),
    }
    if "details" in groups:
        metadata = score.metadata
        if metadata is not None and not isinstance(metadata, dict):
            metadata = {"metadata": metadata if isinstance(metadata, str) else codec.dump(metadata)}
        row |= {"comment": score.comment, "configId": score.config_id, "metadata": metadata}
    if "annotation" in groups:
        row |= {"authorUserId": score.author_user_id, "queueId": score.queue_id}
    if "subject" in groups:
        row["subject"] = _subject(score)
    return row


def _subject(score: Score) -> dict[str, Any]:
    if score.observation_id:
        return {"kind": "observation", "id": score.observation_id, "traceId": score.trace_id}
    if score.trace_id:
        return {"kind": "trace", "id": score.trace_id}
    if score.session_id:
        return {"kind": "session", "id": score.session_id}
    return {"kind": "experiment", "id": score.experiment_id}
