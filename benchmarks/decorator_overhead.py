"""What a decorated call costs beside a raw SDK span, and what importing the package costs.

``python benchmarks/decorator_overhead.py`` prints JSON: microseconds a call (best of the rounds, raw
and decorated in alternation, so that a noisy machine disturbs both alike), and milliseconds of import.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable

import otel_agents
from otel_agents import runtime
from otel_agents.testing import recording

ROUNDS, CALLS = 15, 2_000


def best(work: Callable[[], object]) -> float:
    """Microseconds of one call, in one round."""
    started = time.perf_counter()
    for _ in range(CALLS):
        work()
    return (time.perf_counter() - started) / CALLS * 1e6


def import_milliseconds() -> float:
    """Of ``import otel_agents`` in a fresh interpreter, best of five."""
    code = "import time; t = time.perf_counter(); import otel_agents; print(time.perf_counter() - t)"
    runs = [subprocess.check_output([sys.executable, "-c", code], text=True) for _ in range(5)]
    return min(float(one) for one in runs) * 1e3


def main() -> None:
    """Measures and prints."""

    @otel_agents.tool
    def tool(number: int) -> int:
        return number

    @otel_agents.agent
    def agent(number: int) -> int:
        return number

    def with_agent() -> None:
        with otel_agents.agent("block"):
            pass

    def raw() -> None:
        attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "tool"}
        with runtime.current().tracer().start_as_current_span("execute_tool tool", attributes=attributes):
            pass

    cases: dict[str, Callable[[], object]] = {
        "raw SDK span": raw,
        "@tool": lambda: tool(1),
        "@agent": lambda: agent(1),
        "with agent()": with_agent,
    }
    figures: dict[str, dict[str, float]] = {}
    for capture in ("explicit", "all"):
        with recording(capture=capture) as recorded:
            times: dict[str, list[float]] = {name: [] for name in cases}
            for _ in range(ROUNDS):
                for name, work in cases.items():
                    times[name].append(best(work))
                    recorded.clear()
            figures[f"microseconds a call, capture={capture}"] = {
                name: round(min(measured), 1) for name, measured in times.items()
            }
    print(json.dumps({**figures, "import otel_agents, ms": round(import_milliseconds(), 1)}, indent=2))


if __name__ == "__main__":
    main()
