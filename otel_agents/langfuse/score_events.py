"""An evaluation result (``gen_ai.evaluation.result``) as the score that Langfuse takes."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from otel_agents import semconv
from otel_agents.langfuse.mapping import environment as valid_environment

#: Largest body of one request. Langfuse's route takes 1 MiB and answers 413 to more.
MAX_REQUEST_BYTES: Final = 1_000_000

#: What a comment is cut to when the score as a whole is too large to be sent.
_SHORT_COMMENT: Final = 100_000
_LARGEST: Final = sys.float_info.max
_HEX: Final = frozenset("0123456789abcdef")


class NotAScore(Exception):
    """An event from which no score can be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Score:
    """A score ready to send.

    Attributes:
        id: the same whenever the same event is seen again; Langfuse replaces by it.
        timestamp_ns: when it was given. Langfuse replaces only scores of one id *and* one day.
        body: JSON of the request's object, in UTF-8.
    """

    id: str
    timestamp_ns: int
    body: bytes


def score_of(
    attributes: Mapping[str, Any],
    trace_id: str | None,
    span_id: str | None,
    timestamp_ns: int,
    environment: str | None = None,
) -> Score:
    """The score that an evaluation event stands for.

    Args:
        attributes: the event's, redacted already.
        trace_id: of the event, 32 hex digits; scored when the attributes name no target.
        span_id: of the event, 16 hex digits; likewise.
        timestamp_ns: of the event, in nanoseconds since 1970.
        environment: used when the attributes name none.

    Raises:
        NotAScore: no name, no finite value and no label, or no target.
    """
    name = _text(attributes.get(semconv.EVALUATION_NAME))
    if not name:
        raise NotAScore("it has no name")
    data_type, value = _value(attributes)
    target = _target(attributes, trace_id, span_id)
    score_id = _text(attributes.get(semconv.SCORE_ID)) or _derived_id(target, name, timestamp_ns)
    body: dict[str, Any] = {
        "id": score_id,
        **target,
        "name": name,
        "value": value,
        "dataType": data_type,
        "timestamp": _iso(timestamp_ns),
    }
    named = attributes.get(semconv.DEPLOYMENT_ENVIRONMENT) or environment
    if named and isinstance(named, str):
        body["environment"] = valid_environment(named)
    if comment := _text(attributes.get(semconv.EVALUATION_EXPLANATION)):
        body["comment"] = comment
    if metadata := _metadata(attributes, data_type):
        body["metadata"] = metadata
    return Score(score_id, timestamp_ns, _encoded(body))


def _value(attributes: Mapping[str, Any]) -> tuple[str, float | str]:
    data_type = attributes.get(semconv.SCORE_DATA_TYPE)
    number = attributes.get(semconv.EVALUATION_SCORE_VALUE)
    label = _text(attributes.get(semconv.EVALUATION_SCORE_LABEL))
    if isinstance(number, bool):
        return "BOOLEAN", float(number)
    if data_type != "CATEGORICAL" and isinstance(number, int | float):
        if not -_LARGEST <= number <= _LARGEST:  # nor NaN, nor an integer beyond all floats
            raise NotAScore("its value is not finite")
        # Langfuse drops a boolean score that is neither 0 nor 1 without a word.
        return "BOOLEAN" if data_type == "BOOLEAN" and number in (0, 1) else "NUMERIC", float(number)
    if label:
        return "CATEGORICAL", label
    raise NotAScore("it has neither a value nor a label")


def _target(attributes: Mapping[str, Any], trace_id: str | None, span_id: str | None) -> dict[str, str]:
    """Exactly one subject, as Langfuse demands: a session, a trace, or a span within one."""
    if session := _text(attributes.get(semconv.SCORE_SESSION_ID)):
        return {"sessionId": session}
    if named := _id(attributes.get(semconv.SCORE_TRACE_ID), 32):
        trace_id, span_id = named, attributes.get(semconv.SCORE_OBSERVATION_ID)
    trace = _id(trace_id, 32)
    if trace is None:
        raise NotAScore("it names no trace, span or session")
    span = _id(span_id, 16)
    return {"traceId": trace} if span is None else {"traceId": trace, "observationId": span}


def _id(value: object, digits: int) -> str | None:
    if not isinstance(value, str):
        return None
    value = value.lower()
    return value if len(value) == digits and set(value) <= _HEX and value.strip("0") else None


def _derived_id(target: Mapping[str, str], name: str, timestamp_ns: int) -> str:
    key = json.dumps([sorted(target.items()), name, timestamp_ns])
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _metadata(attributes: Mapping[str, Any], data_type: str) -> dict[str, Any]:
    prefix = semconv.METADATA_PREFIX
    found: dict[str, Any] = {
        _text(key[len(prefix) :]): _plain(value)
        for key, value in attributes.items()
        if key.startswith(prefix)
    }
    if agent := _text(attributes.get(semconv.AGENT_NAME)):
        found.setdefault("agent", agent)
    label = _text(attributes.get(semconv.EVALUATION_SCORE_LABEL))
    if label and data_type == "NUMERIC":  # such as "pass" beside 0.93
        found.setdefault("label", label)
    return found


def _plain(value: Any) -> Any:
    """A value that JSON has: no bytes, no infinite numbers, no half characters."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {_text(str(key)): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return _text(str(value))


def _text(value: object) -> str:
    """A text that UTF-8 can carry (lone surrogates cannot be sent); empty for anything else."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _iso(timestamp_ns: int) -> str:
    # By whole numbers: a float has no room for microseconds of this century.
    seconds, rest = divmod(timestamp_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def _encoded(body: dict[str, Any]) -> bytes:
    encoded = _json(body)
    if len(encoded) + 2 <= MAX_REQUEST_BYTES:
        return encoded
    body.pop("metadata", None)
    if len(comment := body.get("comment", "")) > _SHORT_COMMENT:
        body["comment"] = comment[:_SHORT_COMMENT] + "…"
    encoded = _json(body)
    if len(encoded) + 2 > MAX_REQUEST_BYTES:
        raise NotAScore("it is too large")
    return encoded


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
