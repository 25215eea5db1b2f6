"""The pytest fixture and the assertions that users get."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from opentelemetry import trace

from otel_agents import agent, event, inference, runtime, score, tool
from otel_agents.testing import (
    AgentSpans,
    assert_no_orphans,
    assert_tree,
    nodes,
    recording,
    snapshot,
    tree,
    usage,
)


def work() -> None:
    with agent("writer"):
        with inference("openai", "gpt-4o-mini") as call:
            call.record(output="hi", usage={"input": 10, "output": 5}, cost=0.5, time_to_first_chunk=0.1)
        with tool("search") as run:
            run.set_error(ValueError("none"))
        event("done", [1])


def test_tree(agent_spans: AgentSpans) -> None:
    work()
    expected = textwrap.dedent("""\
        invoke_agent writer
          chat gpt-4o-mini
          execute_tool search [ValueError]
          done""")
    assert agent_spans.tree() == tree(agent_spans) == tree(agent_spans.spans) == expected
    agent_spans.assert_tree(expected)
    (root,) = nodes(agent_spans)
    assert [child.span.name for child in root.children] == ["chat gpt-4o-mini", "execute_tool search", "done"]


def test_assert_tree_shows_the_difference(agent_spans: AgentSpans) -> None:
    work()
    with pytest.raises(AssertionError) as caught:
        assert_tree(
            agent_spans,
            """
            invoke_agent writer
              chat gpt-4o-mini
                execute_tool search [ValueError]
              done
            """,
        )
    assert "-    execute_tool search [ValueError]\n+  execute_tool search [ValueError]" in str(caught.value)


def test_orphans(agent_spans: AgentSpans) -> None:
    work()
    everything = agent_spans.spans
    agent_spans.assert_no_orphans()
    with pytest.raises(AssertionError, match="chat gpt-4o-mini: its parent did not end"):
        assert_no_orphans(span for span in everything if span.name != "invoke_agent writer")


def test_orphans_by_hint(agent_spans: AgentSpans) -> None:
    with tool("t", attributes={"otel_agents.parent": "00000000000000ff"}):
        pass
    with pytest.raises(AssertionError, match=r"otel_agents\.parent names no span"):
        agent_spans.assert_no_orphans()


def test_filtered_parents_have_a_hint(agent_spans: AgentSpans) -> None:
    """Our processor is part of the fixture: what a backend would get is what a test sees."""
    http = trace.get_tracer("http")
    with agent("a"), http.start_as_current_span("POST"), tool("t"):
        pass
    agent_spans.assert_no_orphans()
    found = {span["name"]: span for span in agent_spans.snapshot()}
    assert found["execute_tool t"]["attributes"]["otel_agents.parent"] == found["invoke_agent a"]["id"]


def test_usage(agent_spans: AgentSpans) -> None:
    work()
    work()
    expected = {
        "calls": 2,
        "input": 20,
        "output": 10,
        "cache_read": 0,
        "cache_write": 0,
        "reasoning": 0,
        "cost": 1.0,
    }
    assert agent_spans.usage() == usage(agent_spans) == expected


def test_snapshots_of_two_runs_are_equal(agent_spans: AgentSpans) -> None:
    work()
    first = agent_spans.snapshot()
    agent_spans.clear()
    work()
    assert snapshot(agent_spans) == first
    assert first[0] == {
        "name": "invoke_agent writer",
        "trace": 1,
        "id": 1,
        "parent": None,
        "kind": "INTERNAL",
        "status": "UNSET",
        "attributes": {"gen_ai.agent.name": "writer", "gen_ai.operation.name": "invoke_agent"},
    }
    assert first[2]["parent"] == 1
    assert first[2]["description"] == "none"
    assert first[2]["events"] == [
        {
            "name": "exception",
            "attributes": {
                "exception.type": "ValueError",
                "exception.message": "none",
                "exception.stacktrace": "<stacktrace>",
            },
        }
    ]


def test_metrics_and_events(agent_spans: AgentSpans) -> None:
    work()
    score("quality", 0.5, trace_id="0af7651916cd43dd8448eb211c80319c")
    assert agent_spans.metric("gen_ai.client.inference.usage.input_tokens").sum == 10
    assert agent_spans.metric("otel_agents.cost", {"gen_ai.agent.name": "writer"}).sum == 0.5
    assert agent_spans.metric("otel_agents.cost", {"gen_ai.agent.name": "other"}).sum == 0
    assert agent_spans.metric("no.such.metric") == (0, 0.0)
    assert [one["name"] for one in agent_spans.events()] == ["gen_ai.evaluation.result"]


def test_named(agent_spans: AgentSpans) -> None:
    work()
    assert agent_spans.named("done").name == "done"
    with pytest.raises(AssertionError, match="0 spans named 'missing'"):
        agent_spans.named("missing")


@pytest.mark.agent_spans(capture="none", service_name="mine")
def test_settings_by_marker(agent_spans: AgentSpans) -> None:
    assert runtime.current().settings.capture == "none"
    assert runtime.current().settings.service_name == "mine"


def test_everything_is_put_back() -> None:
    provider, before = trace.get_tracer_provider(), runtime.replace(None)
    runtime.replace(before)
    with recording() as outer:
        work()
        with recording() as inner:
            work()
        assert len(inner) == 4
        assert len(outer) == 4
        assert trace.get_tracer_provider() is not provider
    assert trace.get_tracer_provider() is provider
    assert runtime.replace(before) is before


def test_put_back_after_a_failure() -> None:
    provider = trace.get_tracer_provider()
    with pytest.raises(ZeroDivisionError), recording():
        _ = 1 / 0
    assert trace.get_tracer_provider() is provider


def test_loading_the_plugin_imports_nothing_heavy() -> None:
    program = (
        "import sys, otel_agents.testing; print([m for m in sys.modules if m.startswith('opentelemetry')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_the_plugin_in_a_project_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        textwrap.dedent("""
            import pytest
            from otel_agents import tool

            @tool
            def search(query):
                return query

            @pytest.mark.agent_spans(capture="none")
            def test_search(agent_spans):
                search("x")
                agent_spans.assert_tree("execute_tool search")

            def test_isolated(agent_spans):
                assert len(agent_spans) == 0
        """)
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr
