"""Reads back what an observer sent, by the official SDK's client."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from langfuse.api import LangfuseAPI

from otel_agents.local.server import Running

FIELDS = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"
_NOT_OURS = ("attributes", "resourceAttributes", "scope")


@dataclass(slots=True)
class Row:
    """One observation."""

    it: Any

    @property
    def name(self) -> str:
        return str(self.it.name)

    @property
    def metadata(self) -> dict[str, Any]:
        """The keys that can be filtered by."""
        return {key: value for key, value in (self.it.metadata or {}).items() if key not in _NOT_OURS}

    @property
    def attributes(self) -> dict[str, Any]:
        """The span's own attributes, as text."""
        found = (self.it.metadata or {}).get("attributes") or {}
        return dict(json.loads(found) if isinstance(found, str) else found)

    @property
    def body(self) -> Any:
        """An event's body."""
        return json.loads(self.it.input)

    @property
    def text(self) -> str:
        """The text of an answer."""
        [message] = json.loads(self.it.output)
        return str(message["parts"][0]["content"])


class Langfuse:
    """The local backend, seen through the official client."""

    def __init__(self, backend: Running) -> None:
        self.backend = backend
        self.api = LangfuseAPI(
            base_url=backend.url, username=backend.public_key, password=backend.secret_key, timeout=20
        )

    def rows(self, **filters: Any) -> list[Row]:
        """Every observation, the oldest first."""
        long = "stack_trace,previous_attempts,attributes"
        found = self.api.observations.get_many(limit=1000, fields=FIELDS, expand_metadata=long, **filters)
        return [Row(one) for one in sorted(found.data, key=lambda one: (one.start_time, one.end_time))]

    def row(self, name: str, **filters: Any) -> Row:
        """The one observation of a name."""
        found = [row for row in self.rows(**filters) if row.name == name]
        assert len(found) == 1, [row.name for row in self.rows(**filters)]
        return found[0]

    def scores(self) -> list[Any]:
        return list(self.api.scores.get_many(limit=100, fields="core,details,subject").data)

    def tree(self) -> list[str]:
        """Names with their parents', sorted; roots have none."""
        rows = self.rows()
        names = {row.it.id: row.name for row in rows}
        return sorted(f"{row.name} < {names.get(row.it.parent_observation_id, '-')}" for row in rows)

    def findings(self) -> list[str]:
        """What a real Langfuse would have lost or shown wrongly."""
        self.backend.store.settle()
        return [found.kind for found in self.backend.store.list_findings().items]
