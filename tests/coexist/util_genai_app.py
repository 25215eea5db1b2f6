"""Somebody's own instrumentation, made with opentelemetry-util-genai.

python util_genai_app.py URL
"""

from __future__ import annotations

import sys

import otel_agents

otel_agents.configure(service_name="handmade", schedule_delay=0.05)

import openai  # noqa: E402
from opentelemetry import trace  # noqa: E402
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor  # noqa: E402
from opentelemetry.util.genai.handler import TelemetryHandler  # noqa: E402

client = openai.OpenAI(base_url=f"{sys.argv[1]}/v1", api_key="sk-any", max_retries=2)
handler = TelemetryHandler()
tracer = trace.get_tracer("app")


def call() -> None:
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])


with tracer.start_as_current_span("around"), handler.inference("openai", request_model="gpt-4o"):
    call()

with (
    tracer.start_as_current_span("with a span between"),
    handler.inference("openai", request_model="gpt-4o"),
    tracer.start_as_current_span("cache lookup"),
):
    call()

with (
    tracer.start_as_current_span("a tool inside"),
    handler.inference("openai", request_model="gpt-4o"),
    handler.tool("translate"),
):
    call()

OpenAIInstrumentor().instrument()

with (
    tracer.start_as_current_span("an official instrumentor inside ours"),
    otel_agents.inference("openai", "gpt-4o"),
):
    call()

with (
    tracer.start_as_current_span("by a way that no hook sees"),
    otel_agents.inference("openai", "gpt-4o"),
    handler.inference("openai", request_model="gpt-4o") as inside,
):
    inside.input_tokens, inside.output_tokens = 70, 30
    inside.response_model_name = "gpt-4o-2024-08-06"

with (
    tracer.start_as_current_span("embeddings"),
    otel_agents.inference("openai", "text-embedding-3-small", "embeddings"),
    handler.embedding("openai", request_model="text-embedding-3-small") as embedding,
):
    embedding.input_tokens = 7

result = otel_agents.flush(10)
print(f"dropped={result.dropped} pending={result.pending}")
