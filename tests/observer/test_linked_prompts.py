"""Prompts by the SDK's cache, linked to the model calls made with them; fallbacks used and counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from modelserver import running as models_running
from observer_rig import Langfuse
from parts import free_port

import otel_agents
from otel_agents import agent, context, inference, runtime
from otel_agents.local.faults import Fault
from otel_agents.observer import LangfuseObserver, prompts
from otel_agents.testing import AgentSpans

Count = Callable[[], float]


@pytest.fixture
def fallbacks(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The labels of every fallback that was counted."""
    counted: list[dict[str, Any]] = []

    def count(definition: Any, value: float, labels: dict[str, Any], context: Any = None) -> None:
        if definition.name == "otel_agents.prompt.fallbacks":
            counted.append(labels)

    monkeypatch.setattr("otel_agents.runtime.QueuedInstruments.count", lambda self, *args: count(*args))
    return counted


@pytest.fixture
def greet(observer: LangfuseObserver) -> str:
    """A prompt of two versions, of which the first is in production."""
    create = observer.langfuse.create_prompt
    create(name="greet", prompt="Hello {{name}}", labels=["production"], config={"temperature": 0.2})
    create(name="greet", prompt="Hi {{name}}", labels=["staging"])
    return "greet"


def call(model: str = "gpt-4o-mini") -> None:
    with inference("openai", model) as one:
        one.record(usage={"input": 1, "output": 1}, cost=0.5)


def linked(langfuse: Langfuse, observer: LangfuseObserver) -> dict[str, tuple[Any, Any]]:
    """Model → prompt name and version, of every generation."""
    assert observer.flush().ok
    rows = [row.it for row in langfuse.rows() if row.it.type == "GENERATION"]
    return {row.model: (row.prompt_name, row.prompt_version) for row in rows}


def test_what_a_prompt_is(observer: LangfuseObserver, greet: str) -> None:
    prompt = observer.prompt(greet)
    assert (prompt.name, prompt.version, prompt.is_fallback) == ("greet", 1, False)
    assert (prompt.prompt, str(prompt)) == ("Hello {{name}}", "Hello {{name}}")
    assert prompt.compile(name="Ada") == "Hello Ada"
    assert (prompt.config, prompt.labels) == ({"temperature": 0.2}, ["production"])
    assert prompt.variables == ["name"], "and whatever else the official object has"
    assert observer.prompt(greet, label="staging").compile(name="Ada") == "Hi Ada"
    assert observer.prompt(greet, version=2).version == 2
    assert observer.prompt(greet, version="2", label="production").version == 2  # type: ignore[arg-type]


def test_calls_made_from_then_on_in_the_run_are_linked(
    observer: LangfuseObserver, langfuse: Langfuse, greet: str
) -> None:
    with observer.trace_agent_execution("t1", "claude"):
        call("before")
        with otel_agents.tool("load"):
            observer.prompt(greet)
        call("first")
        with agent("helper"):
            call("inner")
        observer.prompt(greet, label="staging")
        call("second")
        with context(prompt_name="other", prompt_version=7):
            call("explicit")
    call("after")
    assert linked(langfuse, observer) == {
        "before": (None, None),
        "first": ("greet", 1),
        "inner": ("greet", 1),
        "second": ("greet", 2),
        "explicit": ("other", 7),
        "after": (None, None),
    }
    task = langfuse.row("invoke_agent claude")
    assert (task.metadata["prompt_name"], str(task.metadata["prompt_version"])) == ("greet", "2")
    assert task.it.prompt_name is None, "links are for generations only"
    assert langfuse.findings() == []


def test_calls_inside_a_block_are_linked(observer: LangfuseObserver, langfuse: Langfuse, greet: str) -> None:
    with observer.prompt(greet) as prompt:
        assert prompt.version == 1
        call("inside")
    call("outside")
    assert linked(langfuse, observer) == {"inside": ("greet", 1), "outside": (None, None)}


def test_the_official_clients_own_method_links_too(
    observer: LangfuseObserver, langfuse: Langfuse, greet: str
) -> None:
    with observer.trace_agent_execution("t1", "claude") as trace:
        guideline = observer.langfuse.get_prompt(greet)
        trace.update(output=guideline.compile(name="Ada"), tokens=10, cost=0.1, model="claude-x")
    assert linked(langfuse, observer) == {"claude-x": ("greet", 1)}, "totals are made with the prompt as well"


@pytest.fixture
def openai(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    openai = pytest.importorskip("openai")
    with (
        models_running() as models,
        openai.OpenAI(base_url=f"{models.url}/v1", api_key="sk-scripted") as client,
    ):
        yield client


def test_a_real_call_is_linked_and_wins_over_what_is_reported(
    observer: LangfuseObserver, langfuse: Langfuse, greet: str, openai: Any
) -> None:
    with observer.trace_agent_execution("t1", "codex") as trace:
        text = observer.prompt(greet).compile(name="Ada")
        messages = [{"role": "user", "content": text}]
        answer = openai.chat.completions.create(model="gpt-4o-mini", messages=messages)
        trace.update(output=answer.choices[0].message.content, tokens=answer.usage.total_tokens, cost=99.0)
    assert observer.flush().ok
    [generation] = [row.it for row in langfuse.rows() if row.it.type == "GENERATION"]
    assert (generation.prompt_name, generation.prompt_version) == ("greet", 1)
    assert generation.usage_details["total"] == answer.usage.total_tokens
    assert generation.total_cost < 0.01
    reported = langfuse.row("invoke_agent codex").attributes
    assert float(reported["otel_agents.reported.cost"]) == 99.0
    assert langfuse.findings() == []


def test_the_second_use_asks_nobody(observer: LangfuseObserver, langfuse: Langfuse, greet: str) -> None:
    observer.prompt(greet)
    langfuse.backend.backend.faults.add(Fault("/api/public/v2/prompts", status=500, times=100))
    assert observer.prompt(greet).version == 1


def test_a_prompt_that_is_not_there(
    observer: LangfuseObserver,
    langfuse: Langfuse,
    fallbacks: list[dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with observer.trace_agent_execution("t1", "claude"):
        for _ in range(3):
            prompt = observer.prompt("missing", fallback="Do your best, {{name}}.")
        call("m")
    assert (prompt.compile(name="Ada"), prompt.version, prompt.is_fallback) == ("Do your best, Ada.", 0, True)
    assert fallbacks == [{"prompt": "missing", "reason": "not_found"}] * 3
    assert linked(langfuse, observer) == {"m": (None, None)}
    ours = [one.getMessage() for one in caplog.records if one.name.startswith("otel_agents.observer")]
    assert len(ours) == 1, "asked for once, said once"
    assert "'missing'" in ours[0]


def test_a_fallback_of_messages_and_none_at_all(observer: LangfuseObserver) -> None:
    messages = [{"role": "system", "content": "You are {{who}}."}]
    chat = observer.prompt("missing-chat", fallback=messages)
    assert chat.compile(who="kind") == [{"role": "system", "content": "You are kind."}]
    assert observer.prompt("missing-too").prompt == ""
    assert observer.prompt("odd", fallback=object()).is_fallback
    assert observer.prompt("").prompt == ""


@pytest.mark.parametrize("status", [401, 429, 500])
def test_a_server_that_refuses(
    observer: LangfuseObserver, langfuse: Langfuse, fallbacks: list[dict[str, Any]], status: int
) -> None:
    faults = langfuse.backend.backend.faults
    faults.add(Fault("/api/public/v2/prompts", status=status, times=100))
    started = time.monotonic()
    assert observer.prompt("any", fallback="f").prompt == "f"
    assert time.monotonic() - started < 30
    assert fallbacks == [{"prompt": "any", "reason": "refused" if status == 401 else "unavailable"}]
    left = faults.waiting()
    assert observer.prompt("any", fallback="f").is_fallback
    assert faults.waiting() == left, "not asked again at once"
    faults.clear()


def test_a_server_that_is_not_there(
    clean_globals: None, monkeypatch: pytest.MonkeyPatch, fallbacks: list[dict[str, Any]]
) -> None:
    otel_agents.configure(
        langfuse_public_key="pk-lf-nobody",
        langfuse_secret_key="sk-lf-nobody",
        langfuse_base_url=f"http://127.0.0.1:{free_port()}",
        metrics_exporter="none",
    )
    observer = LangfuseObserver()
    assert observer.prompt("any", fallback="f").prompt == "f"
    assert fallbacks == [{"prompt": "any", "reason": "unavailable"}]
    observer.langfuse.close()


def test_the_version_is_a_label_of_the_metrics(agent_spans: AgentSpans) -> None:
    observer = LangfuseObserver()
    with observer.trace_agent_execution("t1", "claude"):
        prompts.link("greet", 3)
        call()
    [labels] = agent_spans.metric_attributes("otel_agents.task.count")
    assert labels["prompt_version"] == "3"
    [labels] = agent_spans.metric_attributes("gen_ai.client.inference.operation.input_tokens")
    assert labels["prompt_version"] == "3"
    assert runtime.current() is agent_spans.runtime
