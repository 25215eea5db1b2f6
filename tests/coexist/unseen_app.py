"""Model calls that no hook sees, told of as OpenInference tells; and one that a hook sees as well.

python unseen_app.py URL
"""

from __future__ import annotations

import sys
import time
from typing import Any

import otel_agents

otel_agents.configure(service_name="unseen", schedule_delay=0.05)

import httpx  # noqa: E402
from opentelemetry import trace  # noqa: E402

tracer = trace.get_tracer("openinference.instrumentation.somebody")
LLM = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o-mini", "llm.provider": "openai"}
EMBEDDING = {"openinference.span.kind": "EMBEDDING", "embedding.model_name": "text-embedding-3-small"}


def model(kind: dict[str, Any], sent: int, made: int) -> None:
    with tracer.start_as_current_span("model", attributes=kind) as span:
        span.set_attribute("llm.token_count.prompt", sent)
        span.set_attribute("llm.token_count.completion", made)


with otel_agents.context(user="unseen"), otel_agents.agent("researcher"):
    model(LLM, 1000, 100)
    model({**LLM, "llm.model_name": "a-model-of-our-own"}, 500, 50)
    model({**EMBEDDING, "llm.provider": "openai"}, 200, 0)
    with tracer.start_as_current_span("around", attributes=LLM) as around:
        model(LLM, 3000, 300)
        around.set_attributes({"llm.token_count.prompt": 3000, "llm.token_count.completion": 300})
    started = time.time_ns()
    answer = httpx.post(
        f"{sys.argv[1]}/v1/chat/completions",
        headers={"authorization": "Bearer sk-any"},
        json={"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]},
    ).json()["usage"]
    told = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "openai/gpt-4o-mini",
        "gen_ai.usage.input_tokens": answer["prompt_tokens"],
        "gen_ai.usage.output_tokens": answer["completion_tokens"],
    }
    tracer.start_span("afterwards", start_time=started, attributes=told).end()

result = otel_agents.flush(10)
print(f"dropped={result.dropped} pending={result.pending}")
