"""How fast the local backend's pages are with a million observations.

    python benchmarks/local_store.py [--observations 1000000] [--per-trace 10] [--db /tmp/bench.db] [--keep]

Fills a store through its own ingestion (in batches of 2000 spans, with inputs, outputs, metadata and
usage), then times the reads behind the pages and the API, each from a fresh connection first (cold cache
of the connection; the file is in the page cache) and then again. Prints one line a read, in milliseconds,
and exits with status 1 when one of the pages takes longer than 300 ms.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from otel_agents.local import metrics, metrics_run, queries, times
from otel_agents.local.rows import Observation, Score, TraceFilter
from otel_agents.local.store import Store

SECOND = 10**9
LIMIT_MS = 300.0
AGENTS = ("claude", "gemini", "copilot", "codex", "planner")
TASKS = ("review", "write", "test", "refactor", "explain", "translate", "summarise", "plan")
MODELS = ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-pro")
TEXT = "The quick brown fox reads a source file and says what is wrong with it. " * 12


def traces(count: int, per_trace: int) -> Iterator[list[Observation]]:
    """Synthetic agent runs, one a time, spread over 30 days."""
    chance = random.Random(7)
    first = time.time_ns() - 30 * 86_400 * SECOND
    step = 30 * 86_400 * SECOND // max(count // per_trace, 1)
    for number in range(count // per_trace):
        yield run(number, first + number * step, per_trace, chance)


def run(number: int, start: int, per_trace: int, chance: random.Random) -> list[Observation]:
    trace_id = f"{chance.getrandbits(128):032x}"
    agent = chance.choice(AGENTS)
    own: dict[str, Any] = {"agent": agent, "task_type": chance.choice(TASKS), "project_id": f"p{number % 20}"}
    common: dict[str, Any] = {
        "environment": "production" if number % 4 else "staging",
        "user_id": f"user-{number % 500}",
        "session_id": f"session-{number // 8}",
        "tags": [f"team-{number % 6}", "nightly"],
        "release": f"r{number * 40 // 1_000_000}",
        "received_ns": start,
        "scope_name": "otel_agents",
        "service_name": "orchestrator",
    }
    failed = chance.random() < 0.03
    duration = chance.randint(2, 90) * SECOND
    rows = [
        Observation(
            trace_id,
            f"{number * 1000:016x}",
            "",
            "AGENT",
            agent,
            start,
            start + duration,
            level="ERROR" if failed else "DEFAULT",
            status_message="the model gave no answer" if failed else None,
            is_root=True,
            input=f"Task {number}: {TEXT[: chance.randint(80, 800)]}",
            output=TEXT,
            meta={
                **own,
                "quality_score": round(chance.random(), 3),
                "agent_switched": chance.random() < 0.05,
            },
            metadata=own,
            **common,
        )
    ]
    for child in range(1, per_trace):
        model_call = child % 2 == 1
        tokens_in, tokens_out = chance.randint(200, 9000), chance.randint(20, 900)
        at = start + duration * child // per_trace
        rows.append(
            Observation(
                trace_id,
                f"{number * 1000 + child:016x}",
                rows[0].id,
                "GENERATION" if model_call else "TOOL",
                "chat" if model_call else "read_file",
                at,
                at + SECOND,
                model=chance.choice(MODELS) if model_call else None,
                completion_start_ns=at + SECOND // 4 if model_call else None,
                input=TEXT[:400],
                output=TEXT[:600],
                meta={"agent": agent},
                metadata={"agent": agent, "attributes": {"gen_ai.operation.name": "chat"}},
                usage={"input": tokens_in, "output": tokens_out, "total": tokens_in + tokens_out}
                if model_call
                else {},
                input_tokens=tokens_in if model_call else 0,
                output_tokens=tokens_out if model_call else 0,
                total_tokens=tokens_in + tokens_out if model_call else None,
                cost={"total": tokens_in * 3e-6 + tokens_out * 15e-6} if model_call else {},
                total_cost=tokens_in * 3e-6 + tokens_out * 15e-6 if model_call else None,
                **common,
            )
        )
    return rows


def fill(store: Store, count: int, per_trace: int) -> None:
    """Stores all runs, in batches as an exporter would send them, and a score for every tenth."""
    batch: list[Observation] = []
    scores: list[Score] = []
    for number, rows in enumerate(traces(count, per_trace)):
        batch += rows
        if number % 10 == 0:
            scores.append(
                Score(f"s{number}", "quality", "NUMERIC", rows[0].start_ns, 0.5, trace_id=rows[0].trace_id)
            )
        if len(batch) >= 2000:
            store.add_observations(batch)
            batch = []
        if len(scores) >= 500:
            store.add_scores(scores)
            scores = []
    store.add_observations(batch)
    store.add_scores(scores)


def reads(store: Store) -> list[tuple[str, bool, Callable[[], Any]]]:
    """(name, is a page, call) of everything that is timed."""
    now = time.time_ns()
    newest = store.list_traces(limit=50)
    deep = queries.encode_cursor([now - 15 * 86_400 * SECOND, "0"])
    row = newest.items[0]

    def listed(limit: int = 50, cursor: str | None = None, order: Any = "start", **filters: Any) -> Any:
        return lambda: store.list_traces(TraceFilter(**filters), limit, cursor, order)

    def observed(condition: str, *given: Any) -> Any:
        sql = f"{condition} ORDER BY o.start_ns DESC, o.trace_id DESC, o.id DESC LIMIT 51"
        return lambda: queries.get_observations(store.reader(), sql, given, True)

    def metric(**query: Any) -> Any:
        body = {
            "view": "observations",
            "metrics": [{"measure": "totalCost", "aggregation": "sum"}],
            "fromTimestamp": times.iso(now - 31 * 86_400 * SECOND),
            "toTimestamp": times.iso(now),
            **query,
        }
        return lambda: metrics_run.run(store.reader(), metrics.parse(body))

    week = now - 7 * 86_400 * SECOND
    return [
        ("traces: newest", True, listed()),
        ("traces: page in the middle", True, listed(cursor=deep)),
        ("traces: 200 rows", True, listed(200)),
        ("traces: one agent", True, listed(agent="claude")),
        ("traces: agent and task and cost", True, listed(agent="claude", task_type="plan", min_cost=0.2)),
        ("traces: failed", True, listed(status="error")),
        ("traces: switched", True, listed(agent_switched=True)),
        ("traces: quality above 0.999", True, listed(min_quality=0.999)),
        ("traces: cost that nothing has", True, listed(min_cost=1e6)),
        ("traces: one session", True, listed(session_id="session-5")),
        ("traces: one user", True, listed(user_id="user-7")),
        ("traces: tag", True, listed(tags=("team-3",))),
        ("traces: tag that nothing has", True, listed(tags=("nope",))),
        ("traces: last week, staging", True, listed(from_ns=week, environment="staging")),
        ("traces: text, found", True, listed(text="Task 1234:")),
        ("traces: text, not found", True, listed(text="no such words")),
        ("traces: dearest", True, listed(order="cost")),
        ("traces: best", True, listed(order="quality")),
        ("traces: longest of one agent", True, listed(order="duration", agent="codex")),
        ("group by task type", True, lambda: store.group_traces()),
        ("group by task type, one agent", True, lambda: store.group_traces(TraceFilter(agent="claude"))),
        ("group by agent", True, lambda: store.group_traces(by="agent")),
        ("group by session", True, lambda: store.group_traces(by="session_id", limit=50)),
        ("group by task type, last week", True, lambda: store.group_traces(TraceFilter(from_ns=week))),
        ("count of filtered", True, lambda: store.count_traces(TraceFilter(agent="claude"))),
        ("totals", True, lambda: store.totals()),
        ("totals, last week", True, lambda: store.totals(week, now)),
        ("facets: agent", True, lambda: store.facets("agent")),
        ("facets: task type", True, lambda: store.facets("task_type")),
        ("facets: tags", True, lambda: store.facets("tags")),
        ("facets: user", True, lambda: store.facets("user_id")),
        ("trace", True, lambda: store.get_trace(row.trace_id)),
        ("sessions", True, lambda: store.list_sessions()),
        ("session", True, lambda: store.get_session(row.session_id or "")),
        ("findings", True, lambda: store.list_findings()),
        ("latest change", True, lambda: store.latest_change()),
        ("API observations: newest", True, observed("1")),
        ("API observations: one type", True, observed("o.type = ?", "TOOL")),
        ("API observations: failed", True, observed("o.level = ? AND o.level <> 'DEFAULT'", "ERROR")),
        ("API observations: one session", True, observed("o.session_id = ?", "session-5")),
        ("API observations: roots", True, observed("o.is_root = 1")),
        ("API metrics: sum of everything", False, metric()),
        ("API metrics: cost a day", False, metric(timeDimension={"granularity": "day"})),
        ("API metrics: cost by model", False, metric(dimensions=[{"field": "providedModelName"}])),
        (
            "API metrics: last day by hour",
            False,
            metric(fromTimestamp=times.iso(now - 86_400 * SECOND), timeDimension={"granularity": "hour"}),
        ),
    ]


def main() -> int:
    """Fills, times, reports."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--observations", type=int, default=1_000_000)
    parser.add_argument("--per-trace", type=int, default=10)
    parser.add_argument("--db", type=Path)
    parser.add_argument("--keep", action="store_true", help="use --db as it is when it exists, and leave it")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="otel-agents-bench-"))
    path = options.db or folder / "bench.db"
    try:
        known = path.exists()
        store = Store(path)
        if not (known and options.keep):
            start = time.monotonic()
            fill(store, options.observations, options.per_trace)
            took = time.monotonic() - start
            print(f"stored {options.observations} observations in {took:.0f} s", end="")
            print(f" ({options.observations / took:.0f}/s), {store.size() / 1e6:.0f} MB")
        start = time.monotonic()
        store.settle()
        print(f"look for orphans in everything {time.monotonic() - start:.2f} s")
        worst = 0.0
        print(f"{'read':36} {'first ms':>9} {'again ms':>9}")
        for name, page, call in reads(store):
            store.close()
            store = _reopened(store, path)
            first, again = timed(call), statistics.median(timed(call) for _ in range(3))
            print(f"{name:36} {first:9.1f} {again:9.1f}{'' if not page or first < LIMIT_MS else '  SLOW'}")
            worst = max(worst, first if page else 0.0)
        print(f"slowest page {worst:.0f} ms")
        store.close()
        return int(worst > LIMIT_MS)
    finally:
        shutil.rmtree(folder)


def _reopened(store: Store, path: Path) -> Store:
    """The same store object on new connections: nothing cached in them."""
    store.__init__(path)  # type: ignore[misc]
    return store


def timed(call: Callable[[], Any]) -> float:
    """Milliseconds of one call."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    sys.exit(main())
