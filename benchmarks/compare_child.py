"""One candidate of ``compare.py``: sets itself up and runs batches of calls as it is told, line by line.

    python compare_child.py NAME          then on stdin: ``plain 100`` · ``stream 5 500`` · ``quit``

Every command is answered by one line of JSON. Imports nothing that not every candidate has: the OpenAI
SDK, over a mock transport, so that the network is left out. Spans go to an exporter that counts them.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from time import perf_counter, thread_time
from typing import Any

import httpx2
import openai

MESSAGES: Any = [
    {"role": "system", "content": "You review source code. " * 20},
    {"role": "user", "content": "Please review this function. " * 60},
]
USAGE = {
    "prompt_tokens": 500,
    "completion_tokens": 120,
    "total_tokens": 620,
    "prompt_tokens_details": {"cached_tokens": 0},
}
ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-2024-08-06",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "It is fine. " * 40},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": USAGE,
        "system_fingerprint": "fp_1",
    }
).encode()
URL = "https://api.openai.com/v1/chat/completions"

spans = 0


def exporter() -> Any:
    """Counts spans and drops them."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        def export(self, batch: Any) -> SpanExportResult:
            global spans
            spans += len(batch)
            return SpanExportResult.SUCCESS

    return Nowhere()


def providers() -> tuple[Any, Any]:
    """What an app would have: batches of spans, metrics that are read now and then."""
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    tracers, meters = TracerProvider(), MeterProvider([InMemoryMetricReader()])
    tracers.add_span_processor(BatchSpanProcessor(exporter(), max_queue_size=100_000))
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(meters)
    return tracers, meters


def bare() -> None:
    """Nothing is set up."""


def ours(capture: str = "explicit") -> None:
    """As ``configure()`` does it, without its exporters: our pipeline, metrics, the hooks."""
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider

    from otel_agents import runtime, wire
    from otel_agents.accounting import prices
    from otel_agents.config import Settings
    from otel_agents.export.pipeline import SpanPipeline
    from otel_agents.tracing.contexts import attributes

    provider = TracerProvider()
    pipeline = SpanPipeline(exporter(), inherited=attributes, max_queue=100_000)
    provider.add_span_processor(pipeline)
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))
    runtime.replace(runtime.Runtime(Settings(capture=capture), pipeline=pipeline))
    wire.install()
    prices.warm_up()


def instrumentor(distribution: str) -> None:
    """Whatever the package says its instrumentor is."""
    from importlib.metadata import distribution as find

    tracers, meters = providers()
    (entry,) = [one for one in find(distribution).entry_points if one.group == "opentelemetry_instrumentor"]
    entry.load()().instrument(tracer_provider=tracers, meter_provider=meters)


def official_with_content() -> None:
    os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "span_only"
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
    instrumentor("opentelemetry-instrumentation-genai-openai")


def use_logfire() -> None:
    import logfire  # type: ignore[import-not-found, unused-ignore]
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    logfire.configure(
        send_to_logfire=False,
        console=False,
        additional_span_processors=[BatchSpanProcessor(exporter(), max_queue_size=100_000)],
    )
    logfire.instrument_openai()


def use_langfuse() -> None:
    import langfuse.openai
    from langfuse import Langfuse

    Langfuse(public_key="pk", secret_key="sk", base_url="http://127.0.0.1:9", span_exporter=exporter())
    globals()["openai"] = langfuse.openai


SETUPS: dict[str, Callable[[], None]] = {
    "bare": bare,
    "otel-agents": ours,
    "otel-agents, content": lambda: ours("all"),
    "official genai-openai": lambda: instrumentor("opentelemetry-instrumentation-genai-openai"),
    "official genai-openai, content": official_with_content,
    "OpenInference": lambda: instrumentor("openinference-instrumentation-openai"),
    "OpenLLMetry": lambda: instrumentor("opentelemetry-instrumentation-openai"),
    "Logfire": use_logfire,
    "Langfuse": use_langfuse,
}


def events(chunks: int) -> list[bytes]:
    """An answer in that many chunks, each a write of the server's."""

    def event(**fields: Any) -> bytes:
        base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
        return f"data: {json.dumps({**base, **fields}, separators=(',', ':'))}\n\n".encode()

    def choice(delta: dict[str, str], reason: str | None = None) -> list[Any]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]

    made = [event(choices=choice({"content": f" word{number}"}), usage=None) for number in range(chunks - 3)]
    made.append(event(choices=choice({}, "stop"), usage=None))
    made.append(event(choices=[], usage=USAGE))
    return [*made, b"data: [DONE]\n\n"]


class Model:
    """Answers from memory; ``pieces`` are the chunks of a streamed answer."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

        class Plain(httpx2.SyncByteStream):
            def __iter__(self) -> Iterator[bytes]:
                yield ANSWER

        model = self

        class Stream(httpx2.SyncByteStream):
            def __iter__(self) -> Iterator[bytes]:
                yield from model.pieces

        def answer(request: httpx2.Request) -> httpx2.Response:
            if b'"stream":true' in request.content:
                return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Stream())
            return httpx2.Response(200, headers={"content-type": "application/json"}, stream=Plain())

        self.http = httpx2.Client(transport=httpx2.MockTransport(answer))


def resident() -> int:
    """KiB of memory that the process has."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def main() -> None:
    name = sys.argv[1]
    started = perf_counter()
    SETUPS[name]()
    setup = perf_counter() - started
    model = Model()
    client = openai.OpenAI(api_key="k", max_retries=0, http_client=model.http)
    plain_body = json.dumps({"model": "gpt-4o", "messages": MESSAGES}).encode()

    def plain(count: int) -> None:
        for _ in range(count):
            client.chat.completions.create(model="gpt-4o", messages=MESSAGES, temperature=0.2, max_tokens=500)

    written: dict[int, list[bytes]] = {}

    def stream(count: int, chunks: int) -> None:
        if chunks not in written:
            written[chunks] = events(chunks)
        model.pieces = written[chunks]
        for _ in range(count):
            answer = client.chat.completions.create(
                model="gpt-4o", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
            )
            for _ in answer:
                pass

    def raw(count: int) -> None:
        """The same request without the SDK around it: what 100 000 calls can be had for."""
        for _ in range(count):
            model.http.post(URL, content=plain_body)

    work: dict[str, Callable[..., None]] = {"plain": plain, "stream": stream, "raw": raw, "wait": time.sleep}
    print(json.dumps({"setup_ms": round(setup * 1000, 1)}), flush=True)
    for line in sys.stdin:
        command, *numbers = line.split()
        if command == "quit":
            break
        wall, cpu = perf_counter(), thread_time()
        work[command](*map(int, numbers))
        took = {"wall": perf_counter() - wall, "cpu": thread_time() - cpu}
        print(json.dumps({**took, "spans": spans, "resident": resident()}), flush=True)
    os._exit(0)  # exporters of some candidates would try to reach a backend at exit


if __name__ == "__main__":
    main()
