"""Which trace a task is in: the one that follows from its id, unless there is a current one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from observer_rig import Langfuse
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_agents
from otel_agents.export.ids import trace_id_of
from otel_agents.observer import LangfuseObserver, registry
from otel_agents.testing import AgentSpans, recording


def test_the_trace_id_is_that_of_langfuses_sdks() -> None:
    from langfuse import Langfuse as Sdk

    for task_id in ("task_abc123", "7", "ü", "x" * 200):
        assert format(trace_id_of(task_id), "032x") == Sdk.create_trace_id(seed=task_id)


def test_every_bit_of_a_trace_id_varies() -> None:
    ids = [trace_id_of(f"task-{number}") for number in range(400)]
    for bit in range(128):
        ones = sum(one >> bit & 1 for one in ids)
        assert 120 < ones < 280, f"bit {bit}"
    assert len(set(ids)) == 400


def test_a_task_on_its_own_starts_the_trace_of_its_id(agent_spans: AgentSpans) -> None:
    observer = LangfuseObserver()
    for _ in range(2):
        with observer.trace_agent_execution("t1", "claude") as execution:
            assert execution.trace_id == format(trace_id_of("t1"), "032x")
    first, second = agent_spans
    assert first.parent is None
    assert second.parent is None
    assert first.context.span_id != second.context.span_id, "a rerun does not replace the first"


def test_without_an_id_traces_are_random(agent_spans: AgentSpans) -> None:
    observer = LangfuseObserver()
    for _ in range(2):
        with observer.trace_agent_execution(agent="claude"):
            pass
    assert len({span.context.trace_id for span in agent_spans}) == 2


def test_a_current_span_wins(agent_spans: AgentSpans) -> None:
    observer = LangfuseObserver()
    with trace.get_tracer("app").start_as_current_span("request") as request:
        observer.track_agent_selection("t1", "claude")
        with observer.trace_agent_execution("t1", "claude"):
            pass
    observer.track_quality_assessment("t1", "claude", 0.9)  # this process knows where the task ran
    assert {span.context.trace_id for span in agent_spans} == {request.get_span_context().trace_id}
    task = agent_spans.named("invoke_agent claude")
    assert task.attributes["otel_agents.metadata.task_id"] == "t1"
    assert task.attributes["otel_agents.app_root"] is True
    late = agent_spans.named("quality_assessment")
    assert late.parent.span_id == task.context.span_id
    assert "otel_agents.app_root" not in late.attributes


def test_late_events_are_below_the_latest_execution(agent_spans: AgentSpans) -> None:
    observer = LangfuseObserver()
    for agent in ("claude", "gemini"):
        with observer.trace_agent_execution("t1", agent):
            pass
    observer.track_attempt("t1", "gemini")
    assert agent_spans.named("attempt").parent.span_id == (
        agent_spans.named("invoke_agent gemini").context.span_id
    )
    agent_spans.assert_no_orphans()


def test_early_and_foreign_events_are_in_the_tasks_trace(agent_spans: AgentSpans) -> None:
    observer = LangfuseObserver()
    observer.track_agent_selection("t1", "claude")
    with observer.trace_agent_execution("t1", "claude"):
        pass
    assert {span.context.trace_id for span in agent_spans} == {trace_id_of("t1")}
    assert agent_spans.named("agent_selection").parent is None


def test_a_score_of_a_task_that_ran_elsewhere_is_one_of_its_trace(agent_spans: AgentSpans) -> None:
    observer = LangfuseObserver()
    observer.track_quality_assessment("t1", "claude", 0.9)
    with trace.get_tracer("app").start_as_current_span("POST /rating"):
        observer.track_quality_assessment("t1", "claude", 0.8)
    expected = format(trace_id_of("t1"), "032x")
    for score in agent_spans.events():
        assert score["attributes"]["otel_agents.score.trace_id"] == expected
        assert "otel_agents.score.observation_id" not in score["attributes"]
    assert len(agent_spans.events()) == 2


def test_what_is_sampled_follows_from_the_task_too(
    monkeypatch: pytest.MonkeyPatch, clean_globals: None
) -> None:
    """All of a task or none of it, in whatever process; scores of what is left out are only measured."""
    from stub_backend import StubBackend

    with StubBackend() as backend:
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
        monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
        otel_agents.configure(otlp_endpoint=backend.url, schedule_delay=0.05)
        observer = LangfuseObserver()
        for number in range(40):
            observer.track_agent_selection(f"t{number}", "claude")
            with observer.trace_agent_execution(f"t{number}", "claude"):
                pass
            registry.forget()
            observer.track_quality_assessment(f"t{number}", "claude", 0.5)
        otel_agents.flush(20)
        found: dict[str, list[str]] = {}
        for span in backend.spans():
            found.setdefault(span.trace_id.hex(), []).append(span.name)
        scores = len(backend.log_records())
    assert 5 < len(found) < 35
    whole = ["agent_selection", "invoke_agent claude", "quality_assessment"]
    assert all(sorted(names) == whole for names in found.values())
    assert scores == len(found)


def test_a_provider_of_the_apps_own_gets_a_link_and_an_attribute(clean_globals: None) -> None:
    sent = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(sent))
    trace.set_tracer_provider(provider)
    otel_agents.configure(otlp_endpoint="http://127.0.0.1:9", metrics_exporter="none", logs_exporter="none")
    observer = LangfuseObserver()
    with observer.trace_agent_execution("t1", "claude"):
        pass
    [span] = sent.get_finished_spans()
    assert span.parent is None
    assert span.context.trace_id != trace_id_of("t1")
    [link] = span.links
    assert link.context.trace_id == trace_id_of("t1")
    assert span.attributes["otel_agents.metadata.task_id"] == "t1"


def test_many_tasks_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_LIMIT", 10)
    with recording():
        observer = LangfuseObserver()
        for number in range(30):
            with observer.trace_agent_execution(f"t{number}", "claude"):
                pass
        assert len(registry._known) == 10
        assert registry.known("t29") is not None


def run(code: str, variables: dict[str, str], cwd: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "LANGFUSE_"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, **variables, "OTEL_AGENTS_DOTENV": "off", "OTEL_AGENTS_HOME": str(cwd / "home")},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_events_from_another_process_land_in_the_trace(
    langfuse: Langfuse, variables: dict[str, str], tmp_path: Path
) -> None:
    head = "from otel_agents import get_langfuse_observer\no = get_langfuse_observer()\n"
    task = "with o.trace_agent_execution('task-9', 'claude', 'p') as t: t.update(output='a', cost=0.5)\n"
    rating = "o.track_quality_assessment('task-9', 'claude', 0.75, comment='later')\n"
    run(head + task, variables, tmp_path)
    run(head + rating, variables, tmp_path)
    ran, late = langfuse.row("invoke_agent claude"), langfuse.row("quality_assessment")
    assert late.it.trace_id == ran.it.trace_id == format(trace_id_of("task-9"), "032x")
    [score] = langfuse.scores()
    assert (score.name, score.value, score.subject.kind, score.subject.id) == (
        "quality",
        0.75,
        "trace",
        ran.it.trace_id,
    )
    assert langfuse.findings() == []
