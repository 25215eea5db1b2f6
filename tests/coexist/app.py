"""The app of the tests: the same calls whatever instruments them. Runs in an environment of its own.

    python app.py WHO ORDER URL NAME

WHO is the instrumentation, ORDER whether it is enabled ``before`` or ``after`` ours, URL the model
server's, NAME this app's. Where telemetry goes is in OUR_ENDPOINT, or in OpenTelemetry's own variable where
the instrumentation is to find it as well.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

who, order, url, name = sys.argv[1:5]

MESSAGES: list[Any] = [{"role": "user", "content": "hi"}]


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
    elif who == "openlit":
        import openlit

        Path("prices.json").write_text("{}")  # else it asks the network for them
        openlit.init(disable_metrics=True, pricing_json="prices.json")
    elif who == "logfire":
        import logfire

        logfire.configure(send_to_logfire=False, console=False)
        logfire.instrument_openai()
    elif who.startswith("langfuse"):
        from langfuse import Langfuse
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        if "LANGFUSE_BASE_URL" in os.environ:
            Langfuse()
        else:
            Langfuse(public_key="pk-lf-any", secret_key="sk-lf-any", span_exporter=InMemorySpanExporter())


if order == "before":
    enable()

import otel_agents  # noqa: E402

otel_agents.configure(service_name=name, schedule_delay=0.05, otlp_endpoint=os.environ.get("OUR_ENDPOINT"))
if order == "after":
    enable()

from opentelemetry import trace  # noqa: E402

tracer = trace.get_tracer("app")

Ask = Callable[[], Any]
AskAsync = Callable[[], Awaitable[Any]]


def openai_sdk() -> tuple[Ask, Ask, AskAsync, AskAsync]:
    if who.startswith("langfuse"):
        from langfuse.openai import openai
    else:
        import openai

    asked: dict[str, Any] = {"model": "gpt-4o", "messages": MESSAGES}
    streamed: dict[str, Any] = {**asked, "stream": True, "stream_options": {"include_usage": True}}
    arguments: dict[str, Any] = {"base_url": f"{url}/v1", "api_key": "sk-any"}
    client = openai.OpenAI(**arguments)

    async def ask(how: dict[str, Any]) -> Any:
        async with openai.AsyncOpenAI(**arguments) as own:
            answer = await own.chat.completions.create(**how)
            if how is streamed:
                await drain_async(answer)

    return (
        lambda: client.chat.completions.create(**asked),
        lambda: client.chat.completions.create(**streamed),
        lambda: ask(asked),
        lambda: ask(streamed),
    )


def anthropic_sdk() -> tuple[Ask, Ask, AskAsync, AskAsync]:
    import anthropic

    asked: dict[str, Any] = {"model": "claude-opus-4-8", "max_tokens": 100, "messages": MESSAGES}
    streamed: dict[str, Any] = {**asked, "stream": True}
    client = anthropic.Anthropic(base_url=url, api_key="sk-any")

    async def ask(how: dict[str, Any]) -> Any:
        async with anthropic.AsyncAnthropic(base_url=url, api_key="sk-any") as own:
            answer = await own.messages.create(**how)
            if how is streamed:
                await drain_async(answer)

    return (
        lambda: client.messages.create(**asked),
        lambda: client.messages.create(**streamed),
        lambda: ask(asked),
        lambda: ask(streamed),
    )


def mistral_sdk() -> tuple[Ask, Ask, AskAsync, AskAsync]:
    from mistralai.client import Mistral

    client = Mistral(api_key="any", server_url=f"{url}/mistral")
    asked: dict[str, Any] = {"model": "mistral-medium-2508", "messages": MESSAGES}

    async def ask(stream: bool) -> None:
        own = Mistral(api_key="any", server_url=f"{url}/mistral")
        if stream:
            await drain_async(await own.chat.stream_async(**asked))
        else:
            await own.chat.complete_async(**asked)

    return (
        lambda: client.chat.complete(**asked),
        lambda: client.chat.stream(**asked),
        lambda: ask(False),
        lambda: ask(True),
    )


def langchain() -> tuple[Ask, Ask, AskAsync, AskAsync]:
    from langchain_openai import ChatOpenAI
    from langfuse.langchain import CallbackHandler

    def model() -> ChatOpenAI:
        return ChatOpenAI(model="gpt-4o", base_url=f"{url}/v1", api_key="sk-any", stream_usage=True)  # type: ignore[arg-type]

    config: Any = {"callbacks": [CallbackHandler()]}
    return (
        lambda: model().invoke("hi", config),
        lambda: model().stream("hi", config),
        lambda: model().ainvoke("hi", config),
        lambda: drain_async(model().astream("hi", config)),
    )


def pydantic_ai() -> tuple[Ask, Ask, AskAsync, AskAsync]:
    from pydantic_ai.direct import model_request, model_request_stream, model_request_sync
    from pydantic_ai.messages import ModelRequest
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    def model() -> OpenAIChatModel:
        return OpenAIChatModel("gpt-4o", provider=OpenAIProvider(base_url=f"{url}/v1", api_key="sk-any"))

    hi = [ModelRequest.user_text_prompt("hi")]

    async def stream() -> None:
        async with model_request_stream(model(), hi, instrument=True) as answer:
            await drain_async(answer)

    return (
        lambda: model_request_sync(model(), hi, instrument=True),
        lambda: asyncio.run(stream()) or (),
        lambda: model_request(model(), hi, instrument=True),
        stream,
    )


async def drain_async(answer: AsyncIterable[Any]) -> None:
    async for _ in answer:
        pass


SDKS = {
    "anthropic-native": anthropic_sdk,
    "genai-anthropic": anthropic_sdk,
    "langfuse-langchain": langchain,
    "mistral-native": mistral_sdk,
    "pydantic-ai": pydantic_ai,
}
plain, stream, plain_async, stream_async = SDKS.get(who, openai_sdk)()


def drain(answer: Iterable[Any]) -> None:
    for _ in answer:
        pass


def drain_slowly(answer: Iterable[Any]) -> None:
    import time

    for number, _ in enumerate(answer):
        if number == 1:
            time.sleep(0.4)  # exporters have run by then


@contextmanager
def scenario(title: str) -> Iterator[None]:
    with otel_agents.context(trace_name=title, user=name), tracer.start_as_current_span(title):
        yield


async def asynchronously() -> None:
    with scenario("async"):
        await plain_async()
    with scenario("async stream"):
        await stream_async()
    with scenario("together"):
        await asyncio.gather(plain_async(), stream_async(), plain_async())


with scenario("slow stream"):
    drain_slowly(stream())
with scenario("plain"):
    plain()
with scenario("stream"):
    drain(stream())
asyncio.run(asynchronously())
with otel_agents.context(trace_name="alone", user=name):
    plain()
result = otel_agents.flush(10)
print(f"dropped={result.dropped} pending={result.pending}")
