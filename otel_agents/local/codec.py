"""Between dataclasses and SQLite rows: column lists, JSON columns, booleans.

Every table's columns carry the names of the dataclass fields, so the lists are made from those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import msgspec

from otel_agents.local.rows import Finding, Observation, Score, SessionRow, SpanEvent, TraceRow

#: Columns of ``payloads`` that belong to an observation.
PAYLOAD = ("input", "output", "metadata", "events")
OBSERVATION = tuple(f.name for f in fields(Observation) if f.name not in PAYLOAD)
SCORE = tuple(f.name for f in fields(Score))
TRACE = tuple(f.name for f in fields(TraceRow))
SESSION = tuple(f.name for f in fields(SessionRow))
FINDING = tuple(f.name for f in fields(Finding))

_JSON = ("tags", "usage", "cost", "meta", "model_parameters")
_JSON_AT = tuple(OBSERVATION.index(name) for name in _JSON)
_BOOL_AT = tuple(OBSERVATION.index(name) for name in ("is_app_root", "is_root", "public"))
_TRACE_TAGS = TRACE.index("tags")
_TRACE_SWITCHED = TRACE.index("agent_switched")
_SCORE_METADATA = SCORE.index("metadata")
_FINDING_DETAIL = FINDING.index("detail")

_encoder = msgspec.json.Encoder(enc_hook=str)
_INT64_MAX = 2**63 - 1


def dump(value: object) -> str:
    """JSON text of ``value``; what JSON does not know becomes its str."""
    return _encoder.encode(value).decode()


def load(text: str | None) -> Any:
    """The value of a JSON column."""
    return None if text is None else msgspec.json.decode(text)


def fitting(number: int | None) -> int | None:
    """An integer that SQLite can hold: the nearest one of 64 bits."""
    return None if number is None else max(min(number, _INT64_MAX), -_INT64_MAX)


def columns(names: Sequence[str], prefix: str = "") -> str:
    """``a, b, c`` for a SELECT or INSERT."""
    return ", ".join(prefix + name for name in names)


def insert_sql(table: str, names: Sequence[str], verb: str = "INSERT") -> str:
    """An INSERT of all the named columns by position."""
    return f"{verb} INTO {table} ({columns(names)}) VALUES ({', '.join('?' * len(names))})"


INSERT_OBSERVATION = insert_sql("observations", ("key", *OBSERVATION))
INSERT_PAYLOAD = insert_sql("payloads", ("key", *PAYLOAD))


def observation_values(key: int, row: Observation) -> tuple[Any, ...]:
    """Parameters of `INSERT_OBSERVATION`."""
    return (
        key,
        row.trace_id,
        row.id,
        row.parent_id,
        row.type,
        row.name,
        fitting(row.start_ns),
        fitting(row.end_ns),
        row.level,
        row.environment,
        row.is_app_root,
        row.is_root,
        row.public,
        row.version,
        row.release,
        row.user_id,
        row.session_id,
        row.trace_name,
        row.model,
        row.prompt_name,
        fitting(row.prompt_version),
        fitting(row.completion_start_ns),
        fitting(row.input_tokens),
        fitting(row.output_tokens),
        fitting(row.total_tokens),
        row.input_cost,
        row.output_cost,
        row.total_cost,
        row.received_ns,
        row.scope_name,
        row.scope_version,
        row.service_name,
        dump(row.tags) if row.tags else None,
        dump(row.usage) if row.usage else None,
        dump(row.cost) if row.cost else None,
        dump(row.meta) if row.meta else None,
        dump(row.model_parameters) if row.model_parameters else None,
        row.status_message,
    )


def payload_values(key: int, row: Observation) -> tuple[Any, ...]:
    """Parameters of `INSERT_PAYLOAD`."""
    return (key, row.input, row.output, dump(row.metadata), dump(row.events) if row.events else None)


def observation(values: Sequence[Any], payload: Sequence[Any] | None = None) -> Observation:
    """The observation of one row in the order of `OBSERVATION`, with the columns of `PAYLOAD`."""
    row = list(values)
    for at in _JSON_AT:
        row[at] = load(row[at]) if row[at] is not None else ([] if at == _JSON_AT[0] else {})
    for at in _BOOL_AT:
        row[at] = bool(row[at])
    found = Observation(*row)
    if payload is not None and payload[2] is not None:
        found.input, found.output = payload[0], payload[1]
        found.metadata = load(payload[2])
        if payload[3] is not None:
            found.events = msgspec.json.decode(payload[3], type=list[SpanEvent])
    return found


def trace_row(values: Sequence[Any]) -> TraceRow:
    """The summary of one row in the order of `TRACE`."""
    row = list(values)
    row[_TRACE_TAGS] = load(row[_TRACE_TAGS])
    if row[_TRACE_SWITCHED] is not None:
        row[_TRACE_SWITCHED] = bool(row[_TRACE_SWITCHED])
    return TraceRow(*row)


def score_values(row: Score) -> tuple[Any, ...]:
    """Values in the order of `SCORE`."""
    values = [getattr(row, name) for name in SCORE]
    values[_SCORE_METADATA] = None if row.metadata is None else dump(row.metadata)
    return tuple(values)


def score(values: Sequence[Any]) -> Score:
    """The score of one row in the order of `SCORE`."""
    row = list(values)
    row[_SCORE_METADATA] = load(row[_SCORE_METADATA])
    return Score(*row)


def finding_values(row: Finding) -> tuple[Any, ...]:
    """Values in the order of `FINDING`."""
    values = [getattr(row, name) for name in FINDING]
    values[_FINDING_DETAIL] = dump(row.detail)
    return tuple(values)


def finding(values: Sequence[Any]) -> Finding:
    """The finding of one row in the order of `FINDING`."""
    row = list(values)
    row[_FINDING_DETAIL] = load(row[_FINDING_DETAIL])
    return Finding(*row)
