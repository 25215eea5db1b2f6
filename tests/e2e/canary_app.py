"""An app that puts a secret into everything it can: the end-to-end canary runs it."""

from __future__ import annotations

import json
import logging
import os

from anthropic import Anthropic
from openai import APIStatusError, OpenAI
from opentelemetry import trace

import otel_agents
from otel_agents import agent, context, event, inference, score, tool

logging.basicConfig(level=logging.INFO)
otel_agents.configure(service_name="canary", capture="all")
CANARY, KEY = os.environ["CANARY"], os.environ["CANARY_KEY"]


@tool
def login(user: str, password: str, options: dict) -> dict:
    return {"access_token": CANARY, "note": f"Authorization: Bearer {CANARY}"}


@tool
def fail(url: str) -> None:
    raise ValueError(f"cannot reach postgres://ada:{CANARY}@db/x with api_key={CANARY}")


@agent("keeper")
def work(task: str) -> str:
    login("ada", CANARY, {"client_secret": CANARY, "nested": [{"cookie": CANARY}]})
    try:
        fail(f"https://ada:{CANARY}@example.com/?token={CANARY}")
    except ValueError:
        logging.getLogger("app").info("expected")
    client = OpenAI(api_key=KEY)
    messages = [
        {"role": "system", "content": f"the key is {KEY}"},
        {"role": "user", "content": f"password={CANARY} and again {KEY}"},
    ]
    client.chat.completions.create(model="gpt-4o-mini", messages=messages)
    for _ in client.chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True):
        pass
    try:
        client.with_options(max_retries=0).chat.completions.create(
            model="gpt-4o-mini", messages=messages, user=KEY, extra_headers={"x-scenario": "500"}
        )
    except APIStatusError:
        pass
    Anthropic(api_key=f"sk-ant-{CANARY}{CANARY}").messages.create(
        model="claude-haiku-4-5",
        max_tokens=99,
        system=f"secret_key: {CANARY}",
        messages=messages[1:],
        metadata={"user_id": KEY},
    )
    return f"done, private_key={CANARY}"


with context(
    session=f"session {KEY}",
    user=f"password={CANARY}",
    tags=[KEY, "plain"],
    trace_name=f"token={CANARY}",
    metadata={"api_key": CANARY, "note": f"Bearer {CANARY}", "kept": "visible"},
):
    work(f"log in with password={CANARY}")
    event("decision", {"authorization": CANARY, "why": f"because of {KEY}"})
    with inference(provider="local", model="gpt-4o-mini") as call:
        call.record(input=f"api_key={CANARY}", output=f"it is {KEY}", usage={"input": 3, "output": 4})
    with trace.get_tracer("somebody.else").start_as_current_span(
        "foreign",
        attributes={
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.input_tokens": 7,
            "http.request.header.authorization": f"Bearer {CANARY}",
            "url.full": f"https://ada:{CANARY}@example.com/",
            "gen_ai.input.messages": json.dumps(
                [{"role": "user", "parts": [{"type": "text", "content": KEY}]}]
            ),
        },
    ) as span:
        span.set_status(trace.Status(trace.StatusCode.ERROR, f"failed with password={CANARY}"))
        span.record_exception(RuntimeError(f"api_key={CANARY}"))
    with otel_agents.agent("scored"):
        score("quality", 0.5, comment=f"leaked {KEY}", metadata={"password": CANARY})
result = otel_agents.flush(timeout=20)
assert result.ok, result
