"""What watching a model call costs its caller: hooks on and off in alternation, in one process.

    python benchmarks/wire_overhead.py [--pairs 25] [--calls 200] [--chunks 500]

Prints JSON: microseconds that are added to one plain call and to one chunk of a stream (medians of
the differences of neighbouring batches, which cancels what the machine does meanwhile), and what the
bare calls take. The real OpenAI SDK runs over httpx2's mock transport, so the network is left out.

``caller`` counts with an accountant that does nothing, so it is the caller's side alone; ``whole``
has metrics, our pipeline and its thread, on the same cores.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from time import perf_counter, process_time
from typing import Any

import httpx2
import openai
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_agents import runtime, wire
from otel_agents.accounting import prices
from otel_agents.config import Settings
from otel_agents.export.pipeline import SpanPipeline
from otel_agents.tracing.contexts import attributes

MESSAGES: Any = [
    {"role": "system", "content": "You review source code. " * 20},
    {"role": "user", "content": "Please review this function. " * 60},
]
ANSWER = {
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
    "usage": {
        "prompt_tokens": 500,
        "completion_tokens": 120,
        "total_tokens": 620,
        "prompt_tokens_details": {"cached_tokens": 0},
    },
    "system_fingerprint": "fp_1",
}


class Nowhere(SpanExporter):
    """Takes spans and drops them."""

    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class Idle:
    """An accountant that does nothing."""

    def submit(self, record: Any) -> None:
        pass


def events(chunks: int) -> list[bytes]:
    """An answer in that many chunks, each a write of the server's."""

    def event(**fields: Any) -> bytes:
        base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
        return f"data: {json.dumps({**base, **fields}, separators=(',', ':'))}\n\n".encode()

    def choice(delta: dict[str, str], reason: str | None = None) -> list[Any]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]

    made = [event(choices=choice({"content": f" word{number}"}), usage=None) for number in range(chunks - 3)]
    made.append(event(choices=choice({}, "stop"), usage=None))
    made.append(event(choices=[], usage=ANSWER["usage"]))
    return [*made, b"data: [DONE]\n\n"]


def clients(chunks: int) -> tuple[openai.OpenAI, openai.AsyncOpenAI]:
    body = json.dumps(ANSWER).encode()
    pieces = events(chunks)

    class Plain(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield body

    class Stream(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield from pieces

    class AsyncPlain(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield body

    class AsyncStream(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

    headers = {"content-type": "application/json"}
    stream_headers = {"content-type": "text/event-stream"}

    def streams(request: httpx2.Request) -> bool:
        return b'"stream":true' in request.content

    def answer(request: httpx2.Request) -> httpx2.Response:
        if streams(request):
            return httpx2.Response(200, headers=stream_headers, stream=Stream())
        return httpx2.Response(200, headers=headers, stream=Plain())

    async def answer_async(request: httpx2.Request) -> httpx2.Response:
        if streams(request):
            return httpx2.Response(200, headers=stream_headers, stream=AsyncStream())
        return httpx2.Response(200, headers=headers, stream=AsyncPlain())

    return (
        openai.OpenAI(
            api_key="k",
            max_retries=0,
            http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
        ),
        openai.AsyncOpenAI(
            api_key="k",
            max_retries=0,
            http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(answer_async)),
        ),
    )


def plain(client: openai.OpenAI, calls: int) -> None:
    for _ in range(calls):
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES, temperature=0.2, max_tokens=500)


def streamed(client: openai.OpenAI, calls: int) -> None:
    for _ in range(calls):
        stream = client.chat.completions.create(
            model="gpt-4o", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        for _ in stream:
            pass


def raw_streamed(client: openai.OpenAI, calls: int) -> None:
    """The bytes without the SDK's parsing, in which small differences would drown."""
    body = {"model": "gpt-4o", "messages": MESSAGES, "stream": True}
    content = json.dumps(body, separators=(",", ":")).encode()
    http = client._client
    for _ in range(calls):
        with http.stream("POST", "https://api.openai.com/v1/chat/completions", content=content) as response:
            for _ in response.iter_raw():
                pass


async def raw_streamed_async(client: openai.AsyncOpenAI, calls: int) -> None:
    body = {"model": "gpt-4o", "messages": MESSAGES, "stream": True}
    content = json.dumps(body, separators=(",", ":")).encode()
    http = client._client
    for _ in range(calls):
        async with http.stream(
            "POST", "https://api.openai.com/v1/chat/completions", content=content
        ) as response:
            async for _ in response.aiter_raw():
                pass


async def plain_async(client: openai.AsyncOpenAI, calls: int) -> None:
    for _ in range(calls):
        await client.chat.completions.create(
            model="gpt-4o", messages=MESSAGES, temperature=0.2, max_tokens=500
        )


def compare(work: Callable[[int], None], calls: int, pairs: int) -> dict[str, float]:
    """Microseconds a call, bare and added; wall time and the processor time of all threads."""
    work(max(calls // 4, 2))
    wire.install()
    work(max(calls // 4, 2))
    bare: list[float] = []
    added: list[float] = []
    processor: list[float] = []
    gc.collect()
    for number in range(pairs):
        took: dict[bool, tuple[float, float]] = {}
        for watched in (number % 2 == 0, number % 2 == 1):
            (wire.install if watched else wire.uninstall)()
            wall, cpu = perf_counter(), process_time()
            work(calls)
            took[watched] = (perf_counter() - wall, process_time() - cpu)
        bare.append(took[False][0] / calls * 1e6)
        added.append((took[True][0] - took[False][0]) / calls * 1e6)
        processor.append((took[True][1] - took[False][1]) / calls * 1e6)
    wire.uninstall()
    return {
        "bare_us": round(statistics.median(bare), 1),
        "added_us": round(statistics.median(added), 1),
        "added_cpu_us": round(statistics.median(processor), 1),
    }


def configure(provider: TracerProvider, pipeline: SpanPipeline, whole: bool, capture: str) -> None:
    current = runtime.Runtime(Settings(capture=capture), pipeline=pipeline if whole else None)
    if not whole:
        current.accountant = Idle()  # type: ignore[assignment]
    before = runtime.replace(current)
    if before is not None:
        before.worker.stop()


def measure(pairs: int, calls: int, chunks: int) -> dict[str, Any]:
    provider = TracerProvider()
    pipeline = SpanPipeline(Nowhere(), inherited=attributes, delay=1.0)
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))
    prices.warm_up()
    client, async_client = clients(chunks)
    loop = asyncio.new_event_loop()
    streams = max(calls // 20, 2)
    found: dict[str, Any] = {
        "python": sys.version.split()[0],
        "pairs": pairs,
        "calls": calls,
        "chunks": chunks,
    }

    def run(work: Any, count: int) -> dict[str, float]:
        return compare(work, count, pairs)

    for name, whole, capture in (("caller", False, "explicit"), ("whole", True, "all")):
        if whole:
            provider.add_span_processor(pipeline)
        configure(provider, pipeline, whole, capture)
        results: dict[str, Any] = {
            "plain_call": run(lambda count: plain(client, count), calls),
            "plain_call_async": run(
                lambda count: loop.run_until_complete(plain_async(async_client, count)), calls
            ),
            "stream": run(lambda count: streamed(client, count), streams),
            "raw_stream": run(lambda count: raw_streamed(client, count), streams),
            "raw_stream_async": run(
                lambda count: loop.run_until_complete(raw_streamed_async(async_client, count)), streams
            ),
        }
        call = results["plain_call"]["added_us"]
        for kind in ("stream", "raw_stream", "raw_stream_async"):
            results[kind]["added_us_a_chunk"] = round((results[kind]["added_us"] - call) / chunks, 3)
        found[name] = results
    loop.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=25)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--chunks", type=int, default=500)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.pairs, arguments.calls, arguments.chunks), indent=2))


if __name__ == "__main__":
    main()
