"""Decisions of OpenAI's and Google's APIs: counted, and nothing else that is called so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from google import genai
from google.genai import types
from scripted_server import Answer, Scripted, scripted
from wire_rig import Wired

from otel_agents import semconv
from otel_agents.accounting import Usage
from otel_agents.wire.recognise import format_of, recognise

SAID = {
    "input_tokens": 100, "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 8},
    "output_tokens": 20, "output_tokens_details": {"reasoning_tokens": 15}, "total_tokens": 120,
}  # fmt: skip
ANSWERS = [{"type": "predicate", "name": None, "probability": 0.9}]


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


def answer(said: Any) -> Answer:
    return Answer([json.dumps(said).encode()], headers={"content-type": "application/json"})


def test_openais(wired_all: Wired, server: Scripted) -> None:
    server.answer(answer({"model": "gpt-6-luna", "answers": ANSWERS, "usage": SAID}))
    client = openai.OpenAI(api_key="any", base_url=f"{server.url}/v1", max_retries=0)
    asked: Any = [{"type": "predicate", "question": "Is it so?"}]
    client.decisions.create(model="gpt-6-luna", input="It is.", questions=asked)
    record = wired_all.record()
    assert record.usage == Usage(input=100, output=20, cache_read=40, cache_write=8, reasoning=15)
    sent = wired_all.sent()
    assert (sent["gen_ai.operation.name"], sent["gen_ai.request.model"]) == ("chat", "gpt-6-luna")
    assert "gen_ai.response.finish_reasons" not in sent
    told, questions = json.loads(sent[semconv.INPUT_MESSAGES])
    assert told["parts"] == [{"type": "text", "content": "It is."}]
    assert json.loads(questions["parts"][0]["content"]) == asked
    (said,) = json.loads(sent[semconv.OUTPUT_MESSAGES])
    assert json.loads(said["parts"][0]["content"]) == ANSWERS


def test_googles(wired_all: Wired, server: Scripted) -> None:
    used = {"total_input_tokens": 100, "total_output_tokens": 5, "total_thought_tokens": 10}
    server.answer(answer({"answers": {"so": {"type": "noul", "answer": "yes"}}, "usage": used}))
    client = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=server.url))
    questions: Any = {"so": {"type": "noul", "instructions": "Is it so?"}}
    client.decisions.create(model="gemini-3.8-flash", input="It is.", questions=questions)
    assert wired_all.record().usage == Usage(input=100, output=15, reasoning=10)
    told, _ = json.loads(wired_all.sent()[semconv.INPUT_MESSAGES])
    assert told["parts"] == [{"type": "text", "content": "It is."}]


@pytest.mark.parametrize(
    "body", [b'{"model": "m", "input": "x"}', b'{"input": "x", "questions": []}', b"", b"[]"]
)
@pytest.mark.parametrize("host", ["api.openai.com", "example.com"])
def test_what_else_is_called_so(body: bytes, host: str) -> None:
    found = format_of("/v1/decisions")
    assert found is not None
    assert recognise(found, host, 443, body, {}) is None
