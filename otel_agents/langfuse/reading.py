"""Reads back what Langfuse has: observations, scores, and the tasks they make up.

From the endpoints that every Langfuse of today has, ``/v2/observations`` and ``/v3/scores``, page by page
with their cursors. (The metrics endpoint is not used: it cuts its answers at a row limit without a word,
and can neither group by metadata nor add up what is below an agent.)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from otel_agents.langfuse import rows
from otel_agents.langfuse import torn as torn_traces
from otel_agents.langfuse.read_api import ReadApi, SlowAnswer
from otel_agents.langfuse.rows import Observation, ScoreRow
from otel_agents.langfuse.tasks import EVENT, QUALITY, Rollup, Task, roll_up
from otel_agents.langfuse.unavailable import LangfuseUnavailable

if TYPE_CHECKING:
    from otel_agents.config import Settings

__all__ = ["LangfuseReader", "LangfuseUnavailable", "Observation", "Rollup", "ScoreRow", "Task"]

#: How many rows were read so far.
Progress = Callable[[int], None]

#: Groups of fields that hold everything but input and output, which are most of the bytes.
FIELDS: Final = ("core", "basic", "metadata", "model", "usage", "prompt", "trace_context")
CONTENT_FIELDS: Final = (*FIELDS, "io")

#: Rows of one page: the most there may be, and fewer when they carry whole conversations.
_PAGE: Final = 1000
_CONTENT_PAGE: Final = 100
_SMALLEST_PAGE: Final = 50
_SCORE_PAGE: Final = 100

#: A task's parts are looked for this much before and after the time asked for, so that one at the edge is
#: neither cut nor counted twice.
MARGIN: Final = timedelta(hours=1)
#: How much earlier the beginning of what is under way at the first edge is looked for.
LOOK_BACK: Final = timedelta(days=7)


class LangfuseReader:
    """Reads one project. Not for several threads at once; close it, or use it as a context manager.

    Args:
        base_url: Langfuse's address.
        public_key: of the project.
        secret_key: of the project.
        timeout: seconds for one request.
        patience: seconds that may be spent waiting between tries of one request, as a rate-limited server
            asks for.
    """

    def __init__(
        self,
        base_url: str,
        public_key: str,
        secret_key: str,
        *,
        timeout: float = 30.0,
        patience: float = 120.0,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._api = ReadApi(base_url, public_key, secret_key, timeout, patience)

    @classmethod
    def from_settings(
        cls, settings: Settings, *, timeout: float = 30.0, patience: float = 120.0
    ) -> LangfuseReader:
        """A reader with the settings' address and keys.

        Raises:
            LangfuseUnavailable: a key is not set.
        """
        public, secret = settings.langfuse_public_key, settings.langfuse_secret_key
        if not public or not secret:
            missing = [
                name
                for name, value in (("LANGFUSE_PUBLIC_KEY", public), ("LANGFUSE_SECRET_KEY", secret))
                if not value
            ]
            raise LangfuseUnavailable(
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set; set both keys, or "
                "start the local stack by `otel-agents up`"
            )
        return cls(settings.langfuse_base_url, public, secret, timeout=timeout, patience=patience)

    def __enter__(self) -> LangfuseReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._api.close()

    def observations(
        self,
        *,
        since: datetime,
        until: datetime | None = None,
        filters: Sequence[Mapping[str, Any]] = (),
        fields: Sequence[str] = FIELDS,
        expand: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> Iterator[Observation]:
        """Observations that started in [since, until), the newest first, each once.

        Args:
            since: inclusive; without a zone, UTC.
            until: exclusive; by default now.
            filters: Langfuse's filter objects, ``{"type", "column", "operator", "value"[, "key"]}``, which
                must all hold.
            fields: groups of fields; ``io`` for input and output, ``metadata`` for metadata.
            expand: metadata keys whose values are wanted beyond 200 characters.
            progress: told the number of rows so far, after each page.

        Raises:
            LangfuseUnavailable: it cannot be read (on); see its text.
        """
        start, end = _zoned(since), _zoned(until or datetime.now(UTC))
        common = [("fields", ",".join(fields))]
        if expand:
            common.append(("expandMetadata", ",".join(expand)))
        if filters:  # they replace the plain parameters, times included
            bounds = [_time_filter(">=", start), _time_filter("<", end)]
            common.append(("filter", json.dumps([*bounds, *filters])))
        else:
            common += [("fromStartTime", _iso(start)), ("toStartTime", _iso(end))]
        events_only = any(one.get("value") == [EVENT] for one in filters)  # small, even with their bodies
        size = _CONTENT_PAGE if "io" in fields and not events_only else _PAGE
        before: tuple[str, str] | None = None
        for row in self._pages("/api/public/v2/observations", common, size, progress):
            found = rows.observation(row)
            # A span that was sent twice has two rows until the database has merged them; they are neighbours.
            if found is not None and (found.trace_id, found.id) != before:
                before = (found.trace_id, found.id)
                yield found

    def scores(
        self,
        *,
        since: datetime,
        until: datetime | None = None,
        name: str | None = None,
        progress: Progress | None = None,
    ) -> Iterator[ScoreRow]:
        """Scores given in [since, until), the newest first.

        Args:
            since: inclusive; without a zone, UTC.
            until: exclusive; by default no bound.
            name: of the scores wanted; by default all.
            progress: told the number of rows so far, after each page.

        Raises:
            LangfuseUnavailable: it cannot be read (on); see its text.
        """
        common = [("fields", "core,details,subject"), ("fromTimestamp", _iso(_zoned(since)))]
        if until is not None:
            common.append(("toTimestamp", _iso(_zoned(until))))
        if name is not None:
            common.append(("name", name))
        for row in self._pages("/api/public/v3/scores", common, _SCORE_PAGE, progress):
            found = rows.score(row)
            if found is not None:
                yield found

    def tasks(
        self,
        *,
        since: datetime,
        until: datetime | None = None,
        filters: Sequence[Mapping[str, Any]] = (),
        content: bool = False,
        expand: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> list[Task]:
        """Tasks that started in [since, until), by start; see :meth:`roll_up` for the arguments."""
        return self.roll_up(
            since=since, until=until, filters=filters, content=content, expand=expand, progress=progress
        ).tasks

    def roll_up(
        self,
        *,
        since: datetime,
        until: datetime | None = None,
        filters: Sequence[Mapping[str, Any]] = (),
        content: bool = False,
        expand: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> Rollup:
        """Tasks that started in [since, until), and the model calls outside of any task.

        Args:
            since: inclusive; without a zone, UTC.
            until: exclusive; by default now.
            filters: must hold for whole traces (environment, user, session, tags); a filter that only an
                agent's observation meets would leave the task without its model calls.
            content: also read inputs and outputs, which takes several times as long.
            expand: metadata keys whose values are wanted beyond 200 characters.
            progress: told the number of rows so far, after each page.

        Raises:
            LangfuseUnavailable: it cannot be read (on); see its text.
        """
        start, end = _zoned(since), _zoned(until or datetime.now(UTC))
        first, last = start - MARGIN, end + MARGIN
        read = 0

        def advance(count: int) -> None:
            if progress is not None:
                progress(read + count)

        def more(start: datetime, end: datetime, *further: Mapping[str, Any]) -> list[Observation]:
            nonlocal read
            rows = self.observations(
                since=start,
                until=end,
                filters=[*filters, *further],
                fields=CONTENT_FIELDS if content else FIELDS,
                expand=expand,
                progress=advance,
            )
            taken = list(rows)
            read += len(taken)
            return taken

        found = more(first, last)
        torn, (unfinished, until) = torn_traces.begun_before(found), torn_traces.going_on(found, end, last)
        for only in torn_traces.filters_for(unfinished):
            found += more(last, until, only)
        for only in torn_traces.filters_for(torn):
            found += more(first - LOOK_BACK, first, only)
        if not content and any(one.type == EVENT for one in found):
            found = self._with_bodies(found, first, until, filters, advance)
            read += sum(one.type == EVENT for one in found)
        scores = list(self.scores(since=first, name=QUALITY, progress=advance))
        whole = roll_up(found, scores)
        return Rollup(
            [task for task in whole.tasks if start <= task.start < end],
            [call for call in whole.outside if start <= call.start < end],
        )

    def _with_bodies(
        self,
        found: list[Observation],
        first: datetime,
        last: datetime,
        filters: Sequence[Mapping[str, Any]],
        progress: Progress,
    ) -> list[Observation]:
        """The observations with their events read again, with their bodies (an event's input)."""
        only_events = {"type": "stringOptions", "column": "type", "operator": "any of", "value": [EVENT]}
        events = {
            (one.trace_id, one.id): one
            for one in self.observations(
                since=first,
                until=last,
                filters=[only_events, *filters],
                fields=CONTENT_FIELDS,
                progress=progress,
            )
        }
        return [events.get((one.trace_id, one.id), one) for one in found]

    def _pages(
        self, path: str, common: Sequence[tuple[str, str]], size: int, progress: Progress | None
    ) -> Iterator[Mapping[str, Any]]:
        cursor: str | None = None
        read = 0
        while True:
            asked = [*common, ("limit", str(size))]
            if cursor is not None:
                asked.append(("cursor", cursor))
            try:
                answer = self._api.get(path, asked)
            except SlowAnswer:
                if size <= _SMALLEST_PAGE:
                    raise
                size = max(size // 4, _SMALLEST_PAGE)
                continue
            page, meta = answer.get("data"), answer.get("meta")
            if not isinstance(page, list):
                raise LangfuseUnavailable(
                    f"{self.base_url} does not answer as Langfuse (no data in {path}); check "
                    "LANGFUSE_BASE_URL"
                )
            yield from (row for row in page if isinstance(row, dict))
            read += len(page)
            if progress is not None:
                progress(read)
            following = meta.get("cursor") if isinstance(meta, dict) else None
            if not isinstance(following, str) or not following:
                return
            if following == cursor:
                raise LangfuseUnavailable(
                    f"Langfuse at {self.base_url} gives the same page of {path} again and again; see the "
                    "server's log"
                )
            cursor = following


def environment_filter(names: Sequence[str]) -> dict[str, Any]:
    """The filter for environments, any of them."""
    return {"type": "stringOptions", "column": "environment", "operator": "any of", "value": list(names)}


def _time_filter(operator: str, at: datetime) -> dict[str, Any]:
    return {"type": "datetime", "column": "startTime", "operator": operator, "value": _iso(at)}


def _zoned(at: datetime) -> datetime:
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _iso(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
