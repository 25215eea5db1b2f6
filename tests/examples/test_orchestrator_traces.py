"""The example with telemetry: the spans it makes, and that they say what the provider billed."""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from modelserver import ModelServer, running
from opentelemetry.sdk.trace import ReadableSpan

from otel_agents import instrument
from otel_agents.testing import AgentSpans

FOLDER = Path(__file__).parents[2] / "examples" / "orchestrator"
_NAMES = {file.stem for file in FOLDER.glob("*.py")}


@dataclass(frozen=True, slots=True)
class Run:
    """What one run left behind."""

    results: list[Any]
    recorded: AgentSpans
    spans: list[ReadableSpan]
    ledger: dict[str, Any]

    def named(self, operation: str) -> list[ReadableSpan]:
        return [s for s in self.spans if (s.attributes or {}).get("gen_ai.operation.name") == operation]

    def parent(self, span: ReadableSpan) -> ReadableSpan | None:
        wanted = span.parent.span_id if span.parent else None
        return next((s for s in self.spans if s.context and s.context.span_id == wanted), None)


@pytest.fixture
async def ran(agent_spans: AgentSpans, monkeypatch: pytest.MonkeyPatch) -> Run:
    """All tasks, with faults, in this process."""
    instrument()
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in _NAMES & sys.modules.keys():
        monkeypatch.delitem(sys.modules, name)
    with running(latency="none", faults=True) as server:
        _use(server, monkeypatch)
        choice, orchestrator, tasks = map(importlib.import_module, ("choice", "orchestrator", "tasks"))
        todo = tasks.load(FOLDER / "tasks.toml")
        results = await orchestrator.work(todo, choice.Chooser(seed=1), "run-1", concurrency=3)
        ledger = server.ledger()
    for name in _NAMES & sys.modules.keys():
        monkeypatch.delitem(sys.modules, name)
    return Run(results, agent_spans, agent_spans.spans, ledger)


def _use(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "sk-test")


def test_the_spans_say_what_the_provider_billed(ran: Run) -> None:
    assert all(result.answer is not None for result in ran.results)
    calls = ran.named("chat")
    total: Counter[str] = Counter()
    cost = Decimal(0)
    for call in calls:
        attributes: Any = call.attributes
        usage = {
            "input": attributes.get("gen_ai.usage.input_tokens", 0),
            "output": attributes.get("gen_ai.usage.output_tokens", 0),
            "cache_read": attributes.get("gen_ai.usage.cache_read.input_tokens", 0),
            "cache_write": attributes.get("gen_ai.usage.cache_write.input_tokens", 0),
            "reasoning": attributes.get("gen_ai.usage.reasoning.output_tokens", 0),
        }
        total.update(usage)
        total["calls"] += usage["input"] > 0
        cost += Decimal(str(attributes.get("gen_ai.usage.cost", 0)))
    assert dict(total) == {name: ran.ledger[name] for name in total}
    assert float(cost) == pytest.approx(float(ran.ledger["cost"]), rel=1e-9)


def test_every_task_is_one_trace_with_its_agents_tools_and_calls(ran: Run) -> None:
    roots = [span for span in ran.spans if span.parent is None]
    assert Counter(span.name for span in roots) == {"invoke_workflow task": 12}
    for agent in ran.named("invoke_agent"):
        assert ran.parent(agent) in roots
    for inner in [*ran.named("chat"), *ran.named("execute_tool")]:
        parent = ran.parent(inner)
        assert parent is not None
        assert parent.name.startswith("invoke_agent "), inner.name
    tried = [agent for result in ran.results for agent in result.agents]
    agents = Counter(span.name.removeprefix("invoke_agent ") for span in ran.named("invoke_agent"))
    failed = sum("failed with" in switch for result in ran.results for switch in result.switches)
    assert agents == Counter(tried) + Counter(judge=len(tried) - failed)
    tools = {span.name for span in ran.named("execute_tool")}
    assert tools == {"execute_tool read_file", "execute_tool grep"}


def test_the_metrics_say_what_the_provider_billed(ran: Run) -> None:
    counters = {
        "input": "gen_ai.client.inference.usage.input_tokens",
        "output": "gen_ai.client.inference.usage.output_tokens",
        "cache_read": "gen_ai.client.inference.usage.cache_read.input_tokens",
        "cache_write": "gen_ai.client.inference.usage.cache_write.input_tokens",
        "reasoning": "gen_ai.client.inference.usage.reasoning.output_tokens",
    }
    for name, metric in counters.items():
        assert ran.recorded.metric(metric).sum == ran.ledger[name], metric
    cost = ran.recorded.metric("otel_agents.cost").sum
    assert cost == pytest.approx(float(ran.ledger["cost"]), rel=1e-9)


def test_scores_name_the_agent_whose_work_they_judge(ran: Run) -> None:
    scores = [one["attributes"] for one in ran.recorded.events() if one["name"] == "gen_ai.evaluation.result"]
    assert {attributes["gen_ai.agent.name"] for attributes in scores} == {"claude", "gpt", "mini"}
    kept = {result.quality for result in ran.results if result.quality is not None}
    assert kept <= {attributes["gen_ai.evaluation.score.value"] for attributes in scores}


def test_every_span_says_which_run_and_task_it_belongs_to(ran: Run) -> None:
    for span in ran.spans:
        attributes: Any = span.attributes
        assert attributes["session.id"] == "run-1", span.name
        assert attributes["otel_agents.metadata.run_id"] == "run-1"
        assert attributes["otel_agents.metadata.project_id"] == "otel-agents"
        assert attributes["otel_agents.metadata.task_type"] in ("review", "security", "summarise", "tests")
        assert attributes["otel_agents.trace.name"] == attributes["otel_agents.metadata.task_id"]


def test_outcome_and_switches_are_on_the_task(ran: Run) -> None:
    by_task = {
        span.attributes["otel_agents.metadata.task_id"]: span.attributes
        for span in ran.named("invoke_workflow")
        if span.attributes
    }
    for result in ran.results:
        attributes: Any = by_task[result.task.id]
        assert attributes["otel_agents.metadata.agent"] == result.answered_by
        assert attributes["otel_agents.metadata.agent_switched"] is (len(result.agents) > 1)
        assert attributes.get("otel_agents.metadata.quality_score") == result.quality
        said = json.loads(attributes["gen_ai.output.messages"])
        assert said[0]["parts"][0]["content"] == result.answer
    events = Counter(span.name for span in ran.spans if "otel_agents.event" in (span.attributes or {}))
    tried = sum(len(result.agents) for result in ran.results)
    assert events == {"agent_selection": tried, "agent_switch": tried - len(ran.results)}


def test_selections_and_switches_are_counted(ran: Run) -> None:
    tried = sum(len(result.agents) for result in ran.results)
    assert ran.recorded.metric("otel_agents.agent.selections").sum == tried
    assert ran.recorded.metric("otel_agents.agent.switches").sum == tried - len(ran.results) > 0


def test_only_the_judge_answers_with_a_score(ran: Run) -> None:
    answers = [
        json.loads(one.attributes["gen_ai.output.messages"])
        for one in ran.named("invoke_agent")
        if one.status.is_ok and one.attributes and one.name == "invoke_agent mini"
    ]
    assert answers
    assert not [answer for answer in answers if "score" in answer[0]["parts"][0]["content"][:20]]


def test_failed_attempts_are_errors_of_the_agent_not_of_the_task(ran: Run) -> None:
    failed = [span for span in ran.named("invoke_agent") if not span.status.is_ok]
    assert failed
    for span in failed:
        attributes: Any = span.attributes
        assert attributes["error.type"] == "anthropic.OverloadedError"
        task = ran.parent(span)
        assert task is not None
        assert task.status.is_ok or task.status.is_unset
