"""The app of the tests: the same calls whatever instruments them. Runs in an environment of its own.

    python app.py WHO ORDER URL [ENDPOINT]

WHO is the instrumentation, ORDER whether it is enabled ``before`` or ``after`` ours.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

who, order, url = sys.argv[1:4]
#: None when it is in the environment.
endpoint = sys.argv[4] if len(sys.argv) > 4 else None


def enable() -> None:
    if who == "genai-openai":
        from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument()
    elif who == "genai-anthropic":
        from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor

        AnthropicInstrumentor().instrument()
    elif who == "openinference":
        from openinference.instrumentation.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument()
    elif who == "openllmetry":
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument()
    elif who == "logfire":
        import logfire

        logfire.configure(send_to_logfire=False, console=False)
        logfire.instrument_openai()
    elif who == "langfuse":
        from langfuse import Langfuse
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        Langfuse(
            public_key="pk-lf-any",
            secret_key="sk-lf-any",
            base_url="http://127.0.0.1:9",
            span_exporter=InMemorySpanExporter(),
        )


if order == "before":
    enable()

import otel_agents  # noqa: E402

otel_agents.configure(service_name="coexist", schedule_delay=0.05, otlp_endpoint=endpoint)
if order == "after":
    enable()

from opentelemetry import trace  # noqa: E402

tracer = trace.get_tracer("app")
HELLO = [{"role": "user", "content": "hi"}]


def scenario(name: str, function: Callable[[], Any]) -> None:
    with tracer.start_as_current_span(name):
        function()


if "anthropic" in who:
    import anthropic

    asked: dict[str, Any] = {"model": "claude-opus-4-8", "max_tokens": 100, "messages": HELLO}
    client = anthropic.Anthropic(base_url=url, api_key="sk-any", max_retries=2)

    def plain() -> None:
        client.messages.create(**asked)

    def stream() -> None:
        for _ in client.messages.create(**asked, stream=True):
            pass

    def retried() -> None:
        client.messages.create(**asked, extra_headers={"x-scenario": "slow:0.01"})

    async def plain_async() -> None:
        async with anthropic.AsyncAnthropic(base_url=url, api_key="sk-any") as own:
            await own.messages.create(**asked)

    async def stream_async() -> None:
        async with anthropic.AsyncAnthropic(base_url=url, api_key="sk-any") as own:
            async for _ in await own.messages.create(**asked, stream=True):
                pass
else:
    if who == "langfuse":
        from langfuse.openai import openai
    else:
        import openai

    asked = {"model": "gpt-4o", "messages": HELLO}
    streamed: dict[str, Any] = {**asked, "stream": True, "stream_options": {"include_usage": True}}
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="sk-any", max_retries=2)

    def plain() -> None:
        client.chat.completions.create(**asked)

    def stream() -> None:
        for _ in client.chat.completions.create(**streamed):
            pass

    def slow_stream() -> None:
        import time

        for number, _ in enumerate(client.chat.completions.create(**streamed)):
            if number == 1:
                time.sleep(0.4)  # the exporter has run by then

    async def plain_async() -> None:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-any") as own:
            await own.chat.completions.create(**asked)

    async def stream_async() -> None:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-any") as own:
            async for _ in await own.chat.completions.create(**streamed):
                pass

    scenario("slow stream", slow_stream)


async def together() -> None:
    await asyncio.gather(plain_async(), stream_async(), plain_async())


scenario("plain", plain)
scenario("stream", stream)
scenario("async", lambda: asyncio.run(plain_async()))
scenario("async stream", lambda: asyncio.run(stream_async()))
scenario("together", lambda: asyncio.run(together()))
plain()
result = otel_agents.flush(10)
print(f"dropped={result.dropped} pending={result.pending}")
