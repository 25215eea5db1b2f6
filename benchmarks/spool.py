"""What each spool mode costs beside OpenTelemetry's own BatchSpanProcessor.

``python benchmarks/spool.py`` prints a Markdown table: a process ends spans with 4 KB of content at a
steady rate, and an OTLP backend in another process takes them (or is not there). CPU is that of the
whole process, per span; the time of ``end()`` is what the app waits for. Memory is what the process holds
after a quarter, half, three quarters and all of the time: it has to stay the same. ``--spans`` or
``--seconds``, ``--rate`` and ``--only`` change the load, such as ten minutes of one mode:

    python benchmarks/spool.py --rate 2000 --seconds 600 --only spill
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CONTENT = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "lorem ipsum dolor " * 225}]}])
CASES = ("nothing", "BatchSpanProcessor", "memory", "spill", "durable", "spill, backend away")


def backend() -> None:
    """Answers 200 to everything; prints its port, then the spans it got for each line it reads."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    got = 0
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            nonlocal got
            body = gzip.decompress(self.rfile.read(int(self.headers["content-length"])))
            request = ExportTraceServiceRequest.FromString(body)
            with lock:
                got += sum(len(scope.spans) for one in request.resource_spans for scope in one.scope_spans)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    for _ in sys.stdin:
        with lock:
            print(got, flush=True)
            got = 0


def resident() -> float:
    """Memory of this process, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024**2


def on_disk(folder: str) -> int:
    """Spans in the spool folder."""
    found = 0
    for path in Path(folder).glob("*/spans-*.db"):
        with closing(sqlite3.connect(path)) as database:
            found += database.execute("SELECT count(*) FROM items").fetchone()[0]
    return found


def measure(case: str, url: str, spans: int, rate: float) -> dict[str, Any]:
    """Runs one case in this process; answers figures."""
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(shutdown_on_exit=False)
    if case == "BatchSpanProcessor":
        from opentelemetry.exporter.otlp.proto.http import Compression
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporter = OTLPSpanExporter(endpoint=f"{url}/v1/traces", compression=Compression.Gzip)
        provider.add_span_processor(
            BatchSpanProcessor(
                exporter, max_queue_size=8192, max_export_batch_size=256, schedule_delay_millis=1000
            )
        )
    elif case != "nothing":
        from opentelemetry import trace

        import otel_agents

        otel_agents.configure(
            otlp_endpoint=url,
            spool_mode=case.partition(",")[0],
            metrics_exporter="none",
            logs_exporter="none",
            instrument_libraries=False,
        )
        provider = trace.get_tracer_provider()  # type: ignore[assignment]
    tracer = provider.get_tracer("benchmark")
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.input.messages": CONTENT}

    def one() -> float:
        span = tracer.start_span("chat gpt-4o", attributes=attributes)
        started = time.perf_counter()
        span.end()
        return time.perf_counter() - started

    for _ in range(100):
        one()
    time.sleep(1.5)
    memory = []
    cpu, started = time.process_time(), time.perf_counter()
    ends = array("d")
    kept = max(spans // 50_000, 1)  # one in so many: what measures memory must not take it
    dropped = 0
    for number in range(spans):
        wait = started + number / rate - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        took = one()
        if number % kept == 0:
            ends.append(took)
        if (number + 1) % max(spans // 4, 1) == 0:
            memory.append(resident())
    if case in ("nothing", "BatchSpanProcessor"):
        provider.force_flush(30_000)
    else:
        dropped = otel_agents.flush(30.0).dropped
    used = time.process_time() - cpu
    return {
        "cpu": used / spans * 1e6,
        "end": statistics.median(ends) * 1e6,
        "worst": statistics.quantiles(ends, n=1000)[-1] * 1e6,
        "memory": memory[:4],
        "dropped": dropped,
        "rate": spans / (time.perf_counter() - started),
    }


def main() -> None:
    """Runs each case in a process of its own and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=8_000)
    parser.add_argument("--rate", type=float, default=2_000.0, help="spans a second")
    parser.add_argument("--seconds", type=float, help="instead of --spans")
    parser.add_argument("--only", choices=CASES, help="one case")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.spans = int(given.rate * given.seconds) if given.seconds else given.spans
    if given.case == "backend":
        backend()
        return
    if given.case:
        print(json.dumps(measure(given.case, given.url, given.spans, given.rate)))
        os._exit(0)  # what is left over is none of the benchmark's business
    sink = subprocess.Popen(
        [sys.executable, __file__, "--case", "backend"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert sink.stdin is not None
    assert sink.stdout is not None
    port = sink.stdout.readline().strip()
    print(f"{given.spans} spans of 4 KB, {given.rate:g} a second wanted, load {os.getloadavg()[0]:.1f}\n")
    print(
        "| case | spans/s | CPU µs/span | end() µs, median | 99.9 % | memory MB | arrived | on disk | lost |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    try:
        for case in CASES if given.only is None else [given.only]:
            url = "http://127.0.0.1:9" if "away" in case else f"http://127.0.0.1:{port}"
            with tempfile.TemporaryDirectory() as folder:
                arguments = ["--case", case, "--url", url]
                arguments += ["--spans", str(given.spans), "--rate", str(given.rate)]
                done = subprocess.run(
                    [sys.executable, __file__, *arguments],
                    env={**os.environ, "OTEL_AGENTS_SPOOL_DIR": folder, "OTEL_AGENTS_DOTENV": "off"},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    check=True,
                )
                kept = on_disk(folder)
            found = json.loads(done.stdout)
            sink.stdin.write("\n")
            sink.stdin.flush()
            arrived = int(sink.stdout.readline())
            memory = " ".join(f"{one:.0f}" for one in found["memory"])
            print(
                f"| {case} | {found['rate']:.0f} | {found['cpu']:.0f} | {found['end']:.1f} "
                f"| {found['worst']:.0f} | {memory} | {max(arrived - 100, 0)} "
                f"| {max(kept - 100, 0)} | {found['dropped']} |"
            )
    finally:
        sink.stdin.close()
        sink.wait(10)


if __name__ == "__main__":
    main()
