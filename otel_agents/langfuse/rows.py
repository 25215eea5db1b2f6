"""Observations and scores as Langfuse's read API gives them, with our own types.

Lenient on purpose: servers differ in names (``providedModelName``, ``model``), write numbers as text, and
leave fields out. A row without an id or a start is left out, everything else has a default.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

#: What Langfuse puts into metadata beside the user's keys.
_NOT_USERS: Final = frozenset({"attributes", "resourceAttributes", "scope"})


@dataclass(slots=True)
class Observation:
    """One observation. Times have a zone, cost is USD and None where there is none.

    ``usage`` holds Langfuse's buckets, which do not overlap, and their ``total``. ``metadata`` is as
    Langfuse has it; its values are cut to 200 characters unless they were asked for in full. Fields of
    groups that were not asked for are empty.
    """

    id: str
    trace_id: str
    parent_id: str | None
    type: str  # SPAN, GENERATION, AGENT, TOOL, CHAIN, RETRIEVER, EMBEDDING, EVENT, EVALUATOR, GUARDRAIL
    name: str
    start: datetime
    end: datetime
    level: str = "DEFAULT"  # DEBUG, DEFAULT, WARNING, ERROR
    status_message: str | None = None
    model: str | None = None
    input: str | None = None
    output: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    usage: Mapping[str, float] = field(default_factory=dict)
    cost: float | None = None
    user_id: str | None = None
    session_id: str | None = None
    environment: str = "default"
    prompt_name: str | None = None
    prompt_version: int | None = None
    tags: tuple[str, ...] = ()
    trace_name: str | None = None
    is_root: bool = False

    @property
    def input_tokens(self) -> int:
        """Every bucket of input, cached ones included."""
        return int(sum(count for name, count in self.usage.items() if "input" in name))

    @property
    def output_tokens(self) -> int:
        """Every bucket of output, reasoning included."""
        return int(sum(count for name, count in self.usage.items() if "output" in name))

    @property
    def tokens(self) -> int:
        """The total that was given, else the sum of the buckets."""
        given = self.usage.get("total")
        return int(sum(self.usage.values()) if given is None else given)

    def own(self, key: str) -> Any:
        """The user's metadata under ``key``, read as it was meant; None when there is none or it is empty.

        SDK 5 writes JSON even for words, and servers before 4.59 show that with its quotes.
        """
        value = self.metadata.get(key)
        if isinstance(value, str):
            value = unquoted(value)
        return None if value == "" else value

    def user_metadata(self) -> dict[str, Any]:
        """The metadata without what Langfuse adds."""
        return {key: self.own(key) for key in self.metadata if key not in _NOT_USERS}


@dataclass(slots=True)
class ScoreRow:
    """One score: a number (NUMERIC), True or False (BOOLEAN), or a word."""

    id: str
    name: str
    value: float | bool | str
    data_type: str
    timestamp: datetime
    trace_id: str | None = None
    observation_id: str | None = None
    session_id: str | None = None
    environment: str = "default"
    comment: str | None = None
    source: str = "API"
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def number(self) -> float | None:
        """The value as a number; None for words."""
        return number(self.value)


def observation(row: Mapping[str, Any]) -> Observation | None:
    """An observation of an answer's ``data``; None when it has no id, trace or start."""
    start = moment(row.get("startTime"))
    if not row.get("id") or not row.get("traceId") or start is None:
        return None
    metadata = row.get("metadata")
    usage = row.get("usageDetails")
    counts = usage.items() if isinstance(usage, dict) else ()
    tags = row.get("tags")
    version = number(row.get("promptVersion"))
    return Observation(
        id=str(row["id"]),
        trace_id=str(row["traceId"]),
        parent_id=row.get("parentObservationId") or None,
        type=str(row.get("type") or "SPAN").upper(),
        name=str(row.get("name") or ""),
        start=start,
        end=moment(row.get("endTime")) or start,
        level=str(row.get("level") or "DEFAULT"),
        status_message=_text(row.get("statusMessage")),
        model=_text(row.get("providedModelName") or row.get("model")),
        input=_text(row.get("input")),
        output=_text(row.get("output")),
        metadata=metadata if isinstance(metadata, dict) else {},
        usage={key: count for key, given in counts if (count := number(given)) is not None},
        cost=number(row.get("totalCost")),
        user_id=_text(row.get("userId")),
        session_id=_text(row.get("sessionId")),
        environment=str(row.get("environment") or "default"),
        prompt_name=_text(row.get("promptName")),
        prompt_version=None if version is None else int(version),
        tags=tuple(str(tag) for tag in tags) if isinstance(tags, list) else (),
        trace_name=_text(row.get("traceName")),
        is_root=bool(row.get("isRootObservation")) or not row.get("parentObservationId"),
    )


def score(row: Mapping[str, Any]) -> ScoreRow | None:
    """A score of an answer's ``data``; None when it has no id, name, value or time."""
    at = moment(row.get("timestamp"))
    value = row.get("value")
    if not row.get("id") or not row.get("name") or at is None or not isinstance(value, (int, float, str)):
        return None
    subject = row.get("subject")
    about: Mapping[str, Any] = subject if isinstance(subject, dict) else {}
    kind, target = about.get("kind"), _text(about.get("id"))
    metadata = row.get("metadata")
    return ScoreRow(
        id=str(row["id"]),
        name=str(row["name"]),
        value=value,
        data_type=str(row.get("dataType") or "NUMERIC"),
        timestamp=at,
        trace_id=target if kind == "trace" else _text(about.get("traceId")),
        observation_id=target if kind == "observation" else None,
        session_id=target if kind == "session" else None,
        environment=str(row.get("environment") or "default"),
        comment=_text(row.get("comment")),
        source=str(row.get("source") or "API"),
        metadata=metadata if isinstance(metadata, dict) else {},
    )


def moment(text: object) -> datetime | None:
    """A time of the API, in UTC when it names no zone; None when it is none."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def number(value: object) -> float | None:
    """A finite number, also one written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return float(value) if isinstance(value, bool) else None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def unquoted(text: str) -> str:
    """Text without the JSON quotes around it, if it has them."""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        try:
            found = json.loads(text)
        except ValueError:
            return text
        return found if isinstance(found, str) else text
    return text


def body_of(text: str | None) -> dict[str, Any]:
    """An event's body, a JSON object; empty when it is none."""
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str | None:
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
