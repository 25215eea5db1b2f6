"""The app of the chaos suite: ends spans, and says which in a ledger that outlives it.

Its one argument is JSON: ``address`` (OTLP), ``settings`` for ``configure``, ``spans``, ``rate`` (a
second), ``bytes`` of content, ``at`` (what to do before the span of a number) and ``ledger``, a file. A
span's id is written there as soon as ``end()`` has returned, with the time; what was counted as lost goes
to ``<ledger>.counts`` at the moment at which it is counted.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import otel_agents
from otel_agents.export import waits
from otel_agents.export.pipeline import SpanPipeline


def main(given: dict[str, Any]) -> None:
    """Runs as told."""
    waits._FIRST, waits._LONGEST = 0.05, 0.3  # the suite has no time for outages of minutes
    _write_counts(_appending(given["ledger"] + ".counts"))
    otel_agents.configure(
        otlp_endpoint=given["address"],
        metrics_exporter="none",
        logs_exporter="none",
        instrument_libraries=False,
        **{"schedule_delay": 0.05, **given.get("settings", {})},
    )
    ledger = _appending(given["ledger"])
    print("ready", flush=True)
    _end_spans(given, ledger, range(given["spans"]))
    if "deadline" in given:
        otel_agents.shutdown(given["deadline"])
    if given.get("idle"):
        print("idle", flush=True)
        time.sleep(120)


def _end_spans(given: dict[str, Any], ledger: int, numbers: range) -> None:
    from opentelemetry import trace

    tracer = trace.get_tracer("chaos")
    content = "x" * given.get("bytes", 200)
    at: dict[str, str] = given.get("at", {})
    started = time.monotonic()
    for number in numbers:
        if str(number) in at:
            _do(at[str(number)], given, ledger)
        name = "poison" if given.get("poison") and number % 50 == 25 else "chat m"
        span = tracer.start_span(
            name, attributes={"gen_ai.operation.name": "chat", "gen_ai.input.messages": content}
        )
        span.end()
        os.write(ledger, f"{span.get_span_context().span_id:016x} {time.monotonic()}\n".encode())
        wait = started + (number - numbers.start + 1) / given["rate"] - time.monotonic()
        if wait > 0:
            time.sleep(wait)


def _do(what: str, given: dict[str, Any], ledger: int) -> None:
    name, _, value = what.partition(" ")
    if name == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif name == "leave":
        os._exit(7)
    elif name == "fork":
        if os.fork() == 0:
            _end_spans({**given, "at": {}}, ledger, range(int(value)))
            otel_agents.shutdown()
            os._exit(0)
    elif name == "clock":
        real = time.time
        time.time = lambda: real() + float(value)
    elif name == "damage":
        for path in Path(value).glob("*/spans-*.db"):
            with path.open("r+b") as file:
                file.write(b"\xff" * 200)
    else:
        raise ValueError(what)


def _write_counts(counts: int) -> None:
    tell = SpanPipeline._note

    def note(self: SpanPipeline, outcome: str, spans: int, reason: str | None, own: bool = True) -> None:
        os.write(counts, f"{outcome} {spans} {reason}\n".encode())
        tell(self, outcome, spans, reason, own)

    SpanPipeline._note = note  # type: ignore[method-assign]


def _appending(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
