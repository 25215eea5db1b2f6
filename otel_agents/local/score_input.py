"""Checks a score that was sent, in the two steps of the server: the request's schema, then the worker.

The first refuses with 400; the second drops the score without a word after it was accepted.
"""

from __future__ import annotations

import math
import uuid
from typing import Any, Final

from otel_agents.local import times
from otel_agents.local.rows import Score

DATA_TYPES: Final = frozenset({"NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT", "CORRECTION"})
_TEXTS: Final = (
    "id",
    "traceId",
    "observationId",
    "sessionId",
    "datasetRunId",
    "comment",
    "environment",
    "configId",
    "queueId",
)
_LONGEST_TEXT: Final = 500

Issue = tuple[str, str]


def issues_of(body: Any, legacy: bool = False) -> list[Issue]:
    """What is wrong with a score's body, as (path, message); nothing when it is accepted."""
    if not isinstance(body, dict):
        return [("", "Expected object")]
    issues: list[Issue] = []
    for key in _TEXTS:
        if body.get(key) is not None and not isinstance(body[key], str):
            issues.append((key, "Expected string"))
    if not isinstance(body.get("name"), str) or not body["name"]:
        issues.append(("name", "Required"))
    value = body.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float | str) or not _fits(value):
        issues.append(("value", "Expected number or string"))
    data_type = body.get("dataType")
    if data_type is not None and data_type not in DATA_TYPES:
        issues.append(("dataType", f"Expected one of {', '.join(sorted(DATA_TYPES))}"))
    source = body.get("source")
    if source not in (None, "API", "ANNOTATION"):
        issues.append(("source", "Expected API or ANNOTATION"))
    if source == "ANNOTATION" and not body.get("configId") and data_type != "CORRECTION":
        issues.append(("configId", "Required when source is ANNOTATION"))
    if data_type == "CORRECTION" and body.get("configId"):
        issues.append(("configId", "Not allowed for CORRECTION"))
    subjects = [key for key in ("traceId", "sessionId", "datasetRunId") if body.get(key)]
    if len(subjects) != 1:
        issues.append(("", "Provide exactly one of the following: traceId, sessionId, datasetRunId"))
    if body.get("observationId") and not body.get("traceId"):
        issues.append(("observationId", "traceId is required with observationId"))
    stamp = body.get("timestamp")
    if stamp is not None and not legacy and not (isinstance(stamp, str) and times.has_zone(stamp)):
        issues.append(("timestamp", "Expected an ISO 8601 datetime with an offset"))
    return issues


def _fits(value: int | float | str) -> bool:
    """False for numbers beyond a double."""
    try:
        return isinstance(value, str) or math.isfinite(value)
    except OverflowError:
        return False


def drop_reason(body: dict[str, Any]) -> str | None:
    """Why the worker drops an accepted score; None when it keeps it."""
    if body.get("configId"):
        return "there is no score config with this id"
    value = body["value"]
    number = isinstance(value, int | float)
    data_type = body.get("dataType")
    if data_type == "NUMERIC" and not number:
        return "a NUMERIC score needs a number"
    if data_type == "BOOLEAN" and (not number or value not in (0, 1)):
        return "a BOOLEAN score needs the number 0 or 1"
    if data_type in ("CATEGORICAL", "TEXT", "CORRECTION") and number:
        return f"a {data_type} score needs a string"
    if data_type == "TEXT" and not 1 <= len(value) <= _LONGEST_TEXT:
        return f"a TEXT score needs 1 to {_LONGEST_TEXT} characters"
    return None


def score_of(body: dict[str, Any], received_ns: int, legacy: bool = False) -> Score:
    """The score of a checked body. ``legacy`` servers ignore the timestamp that was sent."""
    value = body["value"]
    number = isinstance(value, int | float)
    stamp = None if legacy or body.get("timestamp") is None else times.parse(body["timestamp"])
    return Score(
        id=body.get("id") or str(uuid.uuid4()),
        name=body["name"],
        data_type=body.get("dataType") or ("NUMERIC" if number else "CATEGORICAL"),
        timestamp_ns=received_ns if stamp is None else stamp,
        value=float(value) if number else None,
        string_value=None if number else value,
        source=body.get("source") or "API",
        environment=body.get("environment") or "default",
        trace_id=body.get("traceId") or None,
        observation_id=body.get("observationId") or None,
        session_id=body.get("sessionId") or None,
        experiment_id=body.get("datasetRunId") or None,
        comment=body.get("comment"),
        metadata=body.get("metadata"),
        config_id=body.get("configId") or None,
        queue_id=body.get("queueId") or None,
        created_ns=received_ns,
        updated_ns=received_ns,
    )
