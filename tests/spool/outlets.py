"""Spans ready to be sent, and an outbox that says what became of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from otel_agents.export.entries import Entry, encode
from otel_agents.export.leftovers import Destination
from otel_agents.export.limits import Limits
from otel_agents.export.outbox import Outbox
from otel_agents.export.sender import HttpSender

_tracer = TracerProvider(shutdown_on_exit=False).get_tracer("spool-test")


def span(name: str, **attributes: Any) -> ReadableSpan:
    """An ended span."""
    made = _tracer.start_span(name, attributes=attributes)
    made.end()
    assert isinstance(made, ReadableSpan)
    return made


def entries(*names: str, **attributes: Any) -> list[Entry]:
    """Ended spans of these names, ready to send."""
    return encode([span(name, **attributes) for name in names], lambda *_: None)


class Outlet:
    """An outbox with what it says of its outcomes."""

    def __init__(self, url: str, root: Path | None, **rest: Any) -> None:
        self.counts: Counter[str] = Counter()
        self.destination = Destination("collector", rest.pop("address", url), rest.pop("project", ""))
        timeout = rest.pop("timeout", 10.0)
        limits = Limits(**rest.pop("limits", {}))
        self.outbox = Outbox(
            lambda: HttpSender(f"{url}/v1/traces", {}, timeout, "gzip"),
            self._note,
            root=root,
            destination=self.destination,
            limits=limits,
            **{"mode": "spill", **rest},
        )

    def _note(self, outcome: str, spans: int, reason: str | None, own: bool) -> None:
        self.counts[outcome if reason is None else f"{outcome} {reason}"] += spans
        if not own:
            self.counts["of others"] += spans

    def put(self, *names: str, **attributes: Any) -> None:
        self.outbox.start()
        self.outbox.put(entries(*names, **attributes))

    def flush(self, seconds: float = 10.0) -> tuple[int, int]:
        """Spans in memory alone, and on disk, after a flush."""
        self.outbox.flush(time.monotonic() + seconds)
        return self.outbox.waiting()

    def close(self, seconds: float = 1.0) -> tuple[int, int]:
        return self.outbox.close(time.monotonic() + seconds)


MakeOutlet = Callable[..., Outlet]
