"""What observing a model call costs its caller: ours and others', by the same script, in one run.

    python benchmarks/compare.py [--rounds 40] [--calls 40] [--streams 2] [--chunks 500]
                                 [--memory-calls 100000] [--only NAME ...] [--no-table]

Prints JSON and writes the table of docs/performance.md. Each candidate runs in a process and a virtual
environment of its own (made once with uv or venv, kept in ~/.cache/otel-agents/bench); candidates that
cannot be installed are left out and named. They take turns, a batch each, for so many rounds. A figure
is the median over the rounds of the difference to the bare SDK's batch in the same round, which
cancels what the machine does meanwhile: of wall time, and of the calling thread's processor time,
which other programs disturb less. ``quietest`` is the difference of the fastest batches. What a chunk
costs is the slope between streams of a tenth of the chunks and of all: what comes once a stream, and is
dearer after tens of milliseconds of the SDK's work than in a loop of calls, is in both.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CHILD = Path(__file__).with_name("compare_child.py")
PAGE = ROOT / "docs" / "performance.md"

#: Candidate → what it needs beside the OpenAI SDK. A path is installed as it is.
NEEDS: dict[str, tuple[str, ...]] = {
    "bare": (),
    "otel-agents": (f"-e {ROOT}",),
    "otel-agents, content": (f"-e {ROOT}",),
    "official genai-openai": ("opentelemetry-instrumentation-genai-openai", "opentelemetry-sdk"),
    "official genai-openai, content": ("opentelemetry-instrumentation-genai-openai", "opentelemetry-sdk"),
    "OpenInference": ("openinference-instrumentation-openai", "opentelemetry-sdk"),
    "OpenLLMetry": ("opentelemetry-instrumentation-openai", "opentelemetry-sdk"),
    "Logfire": ("logfire",),
    "Langfuse": ("langfuse",),
}
OURS = "otel-agents"

#: What profiling of our side has shown; revised by hand when it changes.
REMAINS = """
## Where a call's time goes

The targets were 60 µs a call, a third of the best other library, and 0.5 µs a chunk. All are missed: calls
are at 80 to 87 µs in one process and 105 to 146 in processes of their own, chunks at about 2 µs as a slope
between streams that the SDK parses, with other threads of ours at work beside it.

What does not depend on the machine's load is counted: what a watched plain call of the OpenAI SDK adds on
the caller's thread, with metrics and export left out (instructions by `valgrind --tool=cachegrind`, the
rest by `sys.settrace` and `sys.setprofile`).

| | bare call | added before | added now |
|---|---|---|---|
| machine instructions | 6,852,000 | 492,000 | 330,000 |
| bytecodes | 59,368 | 5,495 | 3,550 |
| calls of Python functions | | 230 | 165 |
| calls of C functions | 3,040 | 171 | 91 |

In time, single calls with the hooks on and off in turns, in one process, the thread's processor time, two
pairs of runs at load 1: 105 and 103 µs before, 84 and 87 now by the lower quartile; 97 and 95, now 80 and
80, by the hundredth part that was disturbed least. A third of the instructions went and a sixth of the
time: those that went were loops over attributes and headers, which run hot. What is left
runs once, every 650 µs, out of cold caches, at less than half of the pace of the SDK's own code; at its
pace it would take 31 µs.

By timers around the parts, between two calls of the SDK (lower quartile; the first column at load 2, the
second at load 8, where everything takes a little longer):

| | before, µs | now, µs |
|---|---|---|
| the span: sampler, ids, start, attributes, end | 30 | 20 |
| our span processor: inherited attributes, nearest ancestor, other libraries' spans, the queue | 9 | 10 |
| reading request and response (typed decoding), the provider | 15 | 18 |
| the record, its price, the attributes made of both | 11 | 10 |
| headers, context, claims, redaction of what was asked for, the tee | 20 | 20 |
| not in the timers: mostly what the SDK's own code loses by being pushed out of the caches | 16 | 8 |

The first row is a span like any other; it is copied from one of the SDK's and filled at once
(`tracing/quick`), where the SDK has the fields that are known there. The rows of reading, record and
price have to come before the span ends, so that every exporter sees model, usage and cost, and budgets
are charged before the next call; they could only leave the caller's thread together with the end of
the span, and the app would lose spans that its own exporters flush. What remains in the others is some
hundred small functions.

Metrics and content are the worker's and the exporter's; these threads share the interpreter lock with
the caller, so a loop of calls without any waiting, as here, meets them, and an app that waits for
models does not. That is what the wall times have beyond the processor times.

A streamed chunk costs the caller two appends and a clock reading, 0.1 µs in a loop of its own. The times
between chunks are counted by the worker, all of a stream's at once (0.2 µs each, where the SDK's
histogram takes 8 one by one). Nothing of a call is left to the garbage collector.
"""


class Candidate:
    """A process that runs batches."""

    def __init__(self, name: str, python: Path, version: str) -> None:
        self.name = name
        self.version = version
        self._process = subprocess.Popen(
            [str(python), str(CHILD), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "OTEL_AGENTS_MODE": "disabled", "OTEL_PYTHON_LOG_LEVEL": "error"},
        )
        self.setup_ms = self._answer()["setup_ms"]

    def run(self, command: str) -> dict[str, float]:
        """One batch.

        Raises:
            RuntimeError: the process ended.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)  # type: ignore[no-any-return]
        raise RuntimeError(f"{self.name} ended with status {self._process.wait()}")


def environment(needs: tuple[str, ...], openai: str) -> Path:
    """The Python of a virtual environment that has ``needs``; made when it is not there yet.

    Raises:
        subprocess.CalledProcessError: something cannot be installed.
    """
    wanted = [f"openai=={openai}", *needs]
    key = hashlib.sha256("\n".join([sys.version, *wanted]).encode()).hexdigest()[:16]
    folder = Path.home() / ".cache" / "otel-agents" / "bench" / key
    python = folder / "bin" / "python"
    if (folder / "ready").exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    arguments = [word for need in wanted for word in need.split(" ", 1)]
    if uv := shutil.which("uv"):
        _quietly(uv, "venv", "-p", sys.executable, str(folder))
        _quietly(uv, "pip", "install", "-p", str(python), *arguments)
    else:
        _quietly(sys.executable, "-m", "venv", str(folder))
        _quietly(str(python), "-m", "pip", "install", *arguments)
    (folder / "ready").touch()
    return python


def _quietly(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)


def version_of(python: Path, needs: tuple[str, ...]) -> str:
    """Of the first package that the candidate needs."""
    name = "otel-agents" if needs and needs[0].startswith("-e") else needs[0] if needs else "openai"
    code = f"import importlib.metadata as m; print(m.version({name!r}))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def import_ms(python: Path, module: str) -> float:
    """Milliseconds of a fresh import, the best of several."""
    code = f"import time; a = time.perf_counter(); import {module}; print(time.perf_counter() - a)"
    run = [str(python), "-c", code]
    times = [float(subprocess.run(run, check=True, capture_output=True).stdout) for _ in range(7)]
    return round(min(times) * 1000, 1)


def measure(candidates: list[Candidate], options: argparse.Namespace) -> dict[str, Any]:
    """Microseconds that each adds to a plain call and to a chunk."""
    batches = (
        ("plain", f"plain {options.calls}", options.calls),
        ("short", f"stream {options.streams * 5} {options.chunks // 10}", options.streams * 5),
        ("stream", f"stream {options.streams} {options.chunks}", options.streams),
    )
    taken: dict[str, dict[str, list[float]]] = {}
    for one in candidates:
        taken[one.name] = {f"{kind}_{clock}": [] for kind, _, _ in batches for clock in ("wall", "cpu")}
        for _, command, _ in batches:
            one.run(command)
    for number in range(options.rounds):
        order = candidates if number % 2 == 0 else candidates[::-1]
        for one in order:
            for kind, command, count in batches:
                answer = one.run(command)
                for clock in ("wall", "cpu"):
                    taken[one.name][f"{kind}_{clock}"].append(answer[clock] / count * 1e6)
    spans = {one.name: one.run("wait 6")["spans"] for one in candidates}  # what waits is exported by then
    calls = (options.rounds + 1) * sum(count for _, _, count in batches) + 3
    return {
        one.name: {
            "version": one.version,
            "plain_us": round(statistics.median(taken[one.name]["plain_wall"]), 1),
            **_added(taken[one.name], taken["bare"], options.chunks),
            "setup_ms": one.setup_ms,
            "spans_a_call": round(spans[one.name] / calls, 2),
        }
        for one in candidates
    }


def _added(mine: dict[str, list[float]], base: dict[str, list[float]], chunks: int) -> dict[str, float]:
    def middle(kind: str) -> float:
        return statistics.median(a - b for a, b in zip(mine[kind], base[kind], strict=True))

    def least(kind: str) -> float:
        return min(mine[kind]) - min(base[kind])

    def slope(difference: Callable[[str], float], clock: str) -> float:
        more = difference(f"stream_{clock}") - difference(f"short_{clock}")
        return round(more / (chunks - chunks // 10), 2)

    return {
        "added_us": round(middle("plain_wall"), 1),
        "added_cpu_us": round(middle("plain_cpu"), 1),
        "added_cpu_us_quietest": round(least("plain_cpu"), 1),
        "added_us_a_chunk": slope(middle, "wall"),
        "added_cpu_us_a_chunk": slope(middle, "cpu"),
        "added_cpu_us_a_chunk_quietest": slope(least, "cpu"),
    }


def memory(python: Path, calls: int) -> dict[str, Any]:
    """KiB by which our process grows over that many calls, after a warm-up."""
    one = Candidate("otel-agents, content", python, "")
    try:
        before = one.run(f"raw {max(calls // 10, 1000)}")["resident"]
        half = one.run(f"raw {calls // 2}")["resident"]
        after = one.run(f"raw {calls - calls // 2}")["resident"]
    finally:
        one.close()
    return {
        "calls": calls,
        "resident_kib_before": int(before),
        "growth_kib_first_half": int(half - before),
        "growth_kib_second_half": int(after - half),
    }


def page(found: dict[str, Any]) -> str:
    """The table in docs/performance.md."""
    rows = [
        "| | version | call: wall | processor | quietest | chunk: wall | processor | quietest | set-up |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in found["candidates"].items():
        if name == "bare":
            continue
        if not one["spans_a_call"]:
            name += " (made no spans)"
        rows.append(
            f"| {name} | {one['version']} | {one['added_us']:.0f} | {one['added_cpu_us']:.0f} "
            f"| {one['added_cpu_us_quietest']:.0f} | {one['added_us_a_chunk']:.2f} "
            f"| {one['added_cpu_us_a_chunk']:.2f} | {one['added_cpu_us_a_chunk_quietest']:.2f} "
            f"| {one['setup_ms']:.0f} ms |"
        )
    bare = found["candidates"]["bare"]
    grown = found.get("memory")
    lines = [
        "# What it costs",
        "",
        f"Measured on {found['date']} with Python {found['python']}, {found['processors']} processors, load "
        f"{found['load']}, openai {bare['version']} over a mock transport (a bare call takes "
        f"{bare['plain_us']:.0f} µs), {found['rounds']} rounds of {found['calls']} calls, "
        f"{found['streams'] * 5} streams of {found['chunks'] // 10} chunks and {found['streams']} of "
        f"{found['chunks']}. Written by `python benchmarks/compare.py`.",
        "",
        *rows,
        "",
        "Added microseconds. Candidates run the same script in environments of their own and take turns; a "
        "figure is the median difference to the bare SDK in the same round. Wall time has in it what else "
        "the machine did, processor time is the calling thread's alone, and the quietest batches come "
        "nearest to an idle machine. A chunk's cost is the slope between short and long streams; below the "
        "noise, it can seem to be less than nothing. Set-up is "
        "import and start of the library after `import openai`; ours includes loading the price list, "
        "which an app does on a thread of its own.",
        "",
        f"`import otel_agents` takes {found['import_ms']:.0f} ms.",
    ]
    if grown:
        lines += [
            "",
            f"Over {grown['calls']:,} calls with content, metrics and export, our process grew by "
            f"{grown['growth_kib_first_half']:,} KiB in the first half and by "
            f"{grown['growth_kib_second_half']:,} KiB in the second, from "
            f"{grown['resident_kib_before'] // 1024:,} MiB.",
        ]
    lines += REMAINS.rstrip().splitlines()
    if found["left_out"]:
        lines += ["", "Left out: " + "; ".join(f"{name} ({why})" for name, why in found["left_out"].items())]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=40)
    parser.add_argument("--streams", type=int, default=2)
    parser.add_argument("--chunks", type=int, default=500)
    parser.add_argument("--memory-calls", type=int, default=100_000, help="0: not measured")
    parser.add_argument("--only", nargs="*", help="candidates beside bare; implies --no-table")
    parser.add_argument("--no-table", action="store_true", help="leave docs/performance.md alone")
    options = parser.parse_args()
    import importlib.metadata

    openai = importlib.metadata.version("openai")
    found: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "python": sys.version.split()[0],
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "rounds": options.rounds,
        "calls": options.calls,
        "streams": options.streams,
        "chunks": options.chunks,
        "left_out": {},
    }
    with ExitStack() as stack:
        candidates: list[Candidate] = []
        for name, needs in NEEDS.items():
            if options.only and name not in ("bare", *options.only):
                continue
            try:
                python = environment(needs, openai)
                one = Candidate(name, python, version_of(python, needs))
                stack.callback(one.close)
                one.run("plain 2")
                one.run("stream 1 10")
                candidates.append(one)
            except (subprocess.SubprocessError, RuntimeError, OSError) as error:
                found["left_out"][name] = str(error).splitlines()[0][:200]
        found["candidates"] = measure(candidates, options)
    ours = environment(NEEDS[OURS], openai)
    found["import_ms"] = import_ms(ours, "otel_agents")
    if options.memory_calls:
        found["memory"] = memory(ours, options.memory_calls)
    print(json.dumps(found, indent=2, ensure_ascii=False))
    if not (options.no_table or options.only):
        PAGE.write_text(page(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
