"""One trace as it was recorded, in full: every observation with its content, its place and its parameters.

``reading`` reads many traces with their long values cut; this reads few without a cut.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from otel_agents.langfuse import rows
from otel_agents.langfuse.read_api import ReadApi
from otel_agents.langfuse.rows import Observation, ScoreRow
from otel_agents.langfuse.unavailable import LangfuseUnavailable

if TYPE_CHECKING:
    from otel_agents.config import Settings

_FIELDS: Final = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"
_PAGE: Final = 100
#: A server cuts metadata values to this, unless their keys are named.
_CUT: Final = 200
#: Asked for in full at once; others are asked for when they turn out to have been cut.
_EXPANDED: Final = ("attributes",)

_RUNS: Final = frozenset({"AGENT", "CHAIN"})
_CALLS: Final = frozenset({"GENERATION", "EMBEDDING"})


@dataclass(slots=True)
class Recorded:
    """A trace.

    Attributes:
        trace_id: 32 hexadecimal digits.
        observations: by start.
        parameters: of model calls, by the observation's id: what the conventions have after
            ``gen_ai.request.``.
    """

    trace_id: str
    observations: list[Observation]
    parameters: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def get(self, observation_id: str | None) -> Observation | None:
        """The observation with this id."""
        return next((one for one in self.observations if one.id == observation_id), None)

    def above(self, one: Observation) -> Iterator[Observation]:
        """The observations around ``one``, from the inside out."""
        seen = {one.id}
        at = self.get(one.parent_id)
        while at is not None and at.id not in seen:
            yield at
            seen.add(at.id)
            at = self.get(at.parent_id)

    def inside(self, top: Observation) -> list[Observation]:
        """``top`` and everything below it, by start."""
        return [
            one
            for one in self.observations
            if one.id == top.id or any(outer.id == top.id for outer in self.above(one))
        ]

    def top(self) -> Observation | None:
        """The run that the trace is about: the first topmost agent or chain, else the first topmost one."""
        ids = {one.id for one in self.observations}
        tops = [one for one in self.observations if one.type != "EVENT" and one.parent_id not in ids]
        agents = [one for one in self.observations if one.type in _RUNS]
        outermost = [one for one in agents if not any(outer.type in _RUNS for outer in self.above(one))]
        return next(iter(outermost or tops), None)

    def agent(self, one: Observation) -> str | None:
        """Whose work ``one`` is: the name on it, else on what is around it."""
        for at in (one, *self.above(one)):
            named = at.own("agent")
            if named is None and at.type == "AGENT":
                named = at.name.removeprefix("invoke_agent ") or None
            if named is not None:
                return str(named)
        return None

    def calls(self, top: Observation) -> list[Observation]:
        """Model calls at and below ``top``, by start."""
        return [one for one in self.inside(top) if one.type in _CALLS]


def attribute(one: Observation, key: str) -> Any:
    """A span attribute that Langfuse has no field for; None when it is not there."""
    held = one.metadata.get("attributes")
    if isinstance(held, str):
        try:
            held = json.loads(held)
        except ValueError:  # cut
            return None
    return held.get(key) if isinstance(held, dict) else None


class TraceReader:
    """Reads single traces of one project, and scores of them. Close it, or use it as a context manager."""

    def __init__(self, settings: Settings) -> None:
        public, secret = settings.langfuse_public_key, settings.langfuse_secret_key
        if not public or not secret:
            raise LangfuseUnavailable(
                "LANGFUSE_PUBLIC_KEY or LANGFUSE_SECRET_KEY is not set; set both keys, or start the local "
                "stack by `otel-agents up`"
            )
        self._api = ReadApi(settings.langfuse_base_url, public, secret)
        self._project: str | None = None

    def __enter__(self) -> TraceReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()

    def read(self, trace_id: str) -> Recorded | None:
        """The trace, or None when there is none with this id.

        Raises:
            LangfuseUnavailable: it cannot be read; see its text.
        """
        found = self._rows(trace_id, _EXPANDED)
        if not found:
            return None
        cut = {
            key
            for row in found
            for key, value in (row.get("metadata") or {}).items()
            if isinstance(value, str) and len(value) >= _CUT
        }
        if cut - set(_EXPANDED):
            found = self._rows(trace_id, sorted(cut.union(_EXPANDED)))
        observations: dict[str, Observation] = {}
        parameters: dict[str, Mapping[str, Any]] = {}
        for row in found:
            one = rows.observation(row)
            if one is None:
                continue
            observations[one.id] = one
            given = row.get("modelParameters")
            parameters[one.id] = given if isinstance(given, dict) else {}
        ordered = sorted(observations.values(), key=lambda one: (one.start, -one.end.timestamp(), one.id))
        return Recorded(trace_id, ordered, parameters)

    def scores(self, trace_id: str, name: str) -> list[ScoreRow]:
        """The scores of one name on the trace and on observations in it, the newest first."""
        asked = [("traceId", trace_id), ("name", name), ("fields", "core,details,subject"), ("limit", "100")]
        found = self._api.get("/api/public/v3/scores", asked).get("data")
        given = found if isinstance(found, list) else []
        return [score for row in given if isinstance(row, dict) and (score := rows.score(row)) is not None]

    def url(self, trace_id: str) -> str:
        """Where the trace is shown."""
        if self._project is None:
            answer = self._api.get("/api/public/projects").get("data")
            first = answer[0] if isinstance(answer, list) and answer else {}
            self._project = str(first.get("id") or "") if isinstance(first, dict) else ""
        base = self._api.base_url
        inside = f"/project/{self._project}/traces" if self._project else "/trace"
        return f"{base}{inside}/{trace_id}"

    def _rows(self, trace_id: str, expand: Sequence[str]) -> list[Mapping[str, Any]]:
        common = [("traceId", trace_id), ("fields", _FIELDS), ("limit", str(_PAGE))]
        common.append(("expandMetadata", ",".join(expand)))
        found: list[Mapping[str, Any]] = []
        cursor: str | None = None
        while True:
            asked = [*common, ("cursor", cursor)] if cursor else common
            answer = self._api.get("/api/public/v2/observations", asked)
            page, meta = answer.get("data"), answer.get("meta")
            found += [row for row in page if isinstance(row, dict)] if isinstance(page, list) else []
            following = meta.get("cursor") if isinstance(meta, dict) else None
            if not isinstance(following, str) or not following or following == cursor:
                return found
            cursor = following


def quality(recorded: Recorded, top: Observation, scores: Sequence[ScoreRow]) -> float | None:
    """Quality of the run ``top``: the latest number scored in it, else of the trace, else what was said."""
    ids = {one.id for one in recorded.inside(top)}
    numeric = [one for one in scores if one.data_type == "NUMERIC" and one.number is not None]
    numeric.sort(key=lambda one: one.timestamp, reverse=True)
    inside = [one for one in numeric if one.observation_id in ids]
    whole = [one for one in numeric if one.observation_id is None]
    if found := inside or whole:
        return found[0].number
    return rows.number(top.own("quality_score"))
