"""Every usage pattern of the guide to Langfuse for orchestrators, with nothing but import paths changed.

The snippets stand here as they are written there; what surrounds them is the host app that they assume.
"""

from __future__ import annotations

import asyncio
import textwrap
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from statistics import mean
from typing import Any

import pytest
from observer_rig import Langfuse

import otel_agents
from otel_agents import get_langfuse_observer, runtime
from otel_agents.observer import LangfuseObserver

pytestmark = [
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow"),
    pytest.mark.filterwarnings("ignore:(?s).*on_event is deprecated"),
]

# --- "Step 4: Test Connection" ---------------------------------------------------------------------

TEST_CONNECTION = """
from otel_agents import get_langfuse_observer
import asyncio

async def test_langfuse():
    observer = get_langfuse_observer()

    if observer.enabled:
        print("✅ Langfuse enabled and configured!")

        # Test trace
        async with observer.trace_agent_execution(
            task_id="test_123",
            agent="claude",
            prompt="Test prompt",
            metadata={"test": True}
        ) as trace:
            trace.update(
                output="Test response",
                tokens=100,
                cost=0.001
            )

        print("✅ Test trace sent successfully!")
        print(f"View in Langfuse: {observer.langfuse._client_wrapper._base_url}/traces")

    else:
        print("❌ Langfuse not configured")
        print("Set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY in .env")

if __name__ == "__main__":
    asyncio.run(test_langfuse())
"""


def run_script(tmp_path: Any, env: dict[str, str]) -> str:
    import os
    import subprocess
    import sys

    script = tmp_path / "test_langfuse.py"
    script.write_text(TEST_CONNECTION)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "LANGFUSE_"))}
    done = subprocess.run(
        [sys.executable, script],
        env={**kept, **env},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    return done.stdout + done.stderr


def test_connection_with_a_dotenv_file(tmp_path: Any, langfuse: Langfuse, variables: dict[str, str]) -> None:
    """The keys stand in .env, as the guide has them put there; a program that just ends has sent all."""
    lines = [f"{name}={value}" for name, value in variables.items()]
    (tmp_path / ".env").write_text("# Langfuse Configuration\n" + "\n".join(lines) + "\n")
    printed = run_script(tmp_path, {"OTEL_AGENTS_HOME": str(tmp_path / "home")})
    assert printed == (
        "✅ Langfuse enabled and configured!\n"
        "✅ Test trace sent successfully!\n"
        f"View in Langfuse: {langfuse.backend.url}/traces\n"
    )
    agent, chat = langfuse.row("invoke_agent claude"), langfuse.row("chat")
    assert agent.metadata["test"] in (True, "True", "true")
    assert (agent.metadata["task_id"], agent.metadata["agent"]) == ("test_123", "claude")
    assert "Test prompt" in agent.it.input
    assert agent.text == "Test response"
    assert (chat.it.usage_details, chat.it.total_cost) == ({"total": 100}, 0.001)
    assert chat.it.parent_observation_id == agent.it.id
    assert langfuse.findings() == []


def test_connection_without_keys(tmp_path: Any) -> None:
    printed = run_script(tmp_path, {"OTEL_AGENTS_DOTENV": "off"})
    assert printed.startswith(
        "❌ Langfuse not configured\nSet LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY in .env\n"
    )
    assert printed.count("\n") == 3, "and one line of ours that says so in the log"


# --- "Usage in Orchestrator" -------------------------------------------------------------------------


class Agent(Enum):
    CLAUDE = "claude"
    GEMINI = "gemini"


class TaskType(Enum):
    SECURITY = "security"


@dataclass
class Task:
    id: str = "task_abc123"
    prompt: str = "Review code for security vulnerabilities"
    task_type: TaskType = TaskType.SECURITY
    workspace: str = "proj_123"
    requires_security: bool = True
    agent_switches: int = 1
    current_iteration: int = 2


@dataclass
class Response:
    content: str = "Found 3 SQL injection vulnerabilities..."
    tokens: Any = field(default_factory=lambda: {"input": 450, "output": 1073})
    cost: float = 0.0046
    duration: float = 12.5
    session_id: str = "sess_xyz789"


class CLIOrchestrator:
    def __init__(self, observer: LangfuseObserver) -> None:
        self.observer = observer

    async def _execute_claude(self, task: Task, session_id: str | None) -> Response:
        return Response()

    async def execute_task(self, task: Task, selected_agent: Agent, session_id: str | None = None) -> None:
        # Already in orchestrator
        self.observer.track_agent_selection(
            task_id=task.id,
            selected_agent=selected_agent.value,
            reason="Task type: security",
            all_rewards={
                "claude": 0.9,
                "gemini": 0.3,
                "copilot": 0.2
            }
        )  # fmt: skip
        # In CLIOrchestrator.execute_task()
        async with self.observer.trace_agent_execution(
            task_id=task.id,
            agent=selected_agent.value,
            prompt=task.prompt,
            metadata={
                "task_type": task.task_type.value,
                "project_id": task.workspace,
                "requires_security": task.requires_security
            }
        ) as trace:  # fmt: skip
            # Execute agent
            response = await self._execute_claude(task, session_id)

            # Update trace with results
            trace.update(
                output=response.content,
                tokens=response.tokens,
                cost=response.cost,
                metadata={
                    "duration": response.duration,
                    "session_id": response.session_id
                }
            )  # fmt: skip


async def test_orchestrator_and_selection(observer: LangfuseObserver, langfuse: Langfuse) -> None:
    await CLIOrchestrator(observer).execute_task(Task(), Agent.CLAUDE)
    assert observer.flush().ok
    task = langfuse.row("invoke_agent claude")
    expected = {"task_type": "security", "project_id": "proj_123", "agent": "claude", "status": "success"}
    assert expected.items() <= task.metadata.items()
    assert float(task.metadata["duration"]) == 12.5
    assert task.it.session_id == "sess_xyz789"
    chat = langfuse.row("chat")
    assert chat.it.usage_details == {"input": 450, "output": 1073, "total": 1523}
    assert chat.it.total_cost == 0.0046
    selection = langfuse.row("agent_selection")
    assert selection.it.type == "EVENT"
    assert selection.body == {
        "task_id": "task_abc123",
        "selected_agent": "claude",
        "reason": "Task type: security",
        "all_rewards": {"claude": 0.9, "gemini": 0.3, "copilot": 0.2},
    }
    assert selection.it.trace_id == task.it.trace_id, "why, beside what came of it"
    assert langfuse.findings() == []


def test_circuit_breaker(observer: LangfuseObserver, langfuse: Langfuse) -> None:
    # Already in circuit_breaker.py
    observer.track_circuit_breaker_event(
        agent="claude",
        state="open",
        failure_count=5
    )  # fmt: skip
    assert observer.flush().ok
    event = langfuse.row("circuit_breaker")
    assert (event.it.type, event.body) == ("EVENT", {"agent": "claude", "state": "open", "failure_count": 5})
    assert langfuse.findings() == []


async def test_multi_step_tasks(observer: LangfuseObserver, langfuse: Langfuse) -> None:
    async def agent1() -> str:
        return "draft"

    async def agent2(draft: str) -> str:
        return f"better {draft}"

    parent: dict[str, Any] = {"task_id": "t1", "agent": "claude", "prompt": "write"}
    step: dict[str, Any] = {"task_id": "t1", "agent": "gemini", "prompt": "improve"}
    # Parent trace
    async with observer.trace_agent_execution(**parent) as parent_trace:
        # Step 1
        response1 = await agent1()
        parent_trace.update(output=response1)

        # Step 2 (sub-trace)
        async with observer.trace_agent_execution(**step) as sub_trace:
            response2 = await agent2(response1)
            sub_trace.update(output=response2)
    assert observer.flush().ok
    outer, inner = langfuse.row("invoke_agent claude"), langfuse.row("invoke_agent gemini")
    assert inner.it.parent_observation_id == outer.it.id
    assert inner.it.trace_id == outer.it.trace_id
    assert (outer.text, inner.text) == ("draft", "better draft")
    assert langfuse.findings() == []


def test_metadata_of_the_best_practices(observer: LangfuseObserver, langfuse: Langfuse) -> None:
    task, quality = Task(), 0.92
    metadata = {
        "task_type": task.task_type.value,
        "project_id": task.workspace,
        "quality_score": quality,
        "agent_switches": task.agent_switches,
        "iteration": task.current_iteration
    }  # fmt: skip
    experiment = {
        "experiment": "latent_reasoning_v2",
        "variant": "compression_ratio_4.0"
    }  # fmt: skip
    when = datetime(2026, 1, 2, 3, 4, 5)
    odd = {"at": when, "lock": object()}
    with observer.trace_agent_execution("t", "claude", "p", {**metadata, **experiment, **odd}):
        pass
    assert observer.flush().ok
    found = langfuse.row("invoke_agent claude").metadata
    expected = {**metadata, **experiment, "at": "2026-01-02T03:04:05"}
    assert {key: str(found[key]) for key in expected} == {key: str(value) for key, value in expected.items()}
    filters = [
        {"type": "numberObject", "column": "metadata", "key": "quality_score", "operator": ">", "value": 0.8}
    ]
    import json

    kept = langfuse.api.observations.get_many(filter=json.dumps(filters)).data
    assert [row.name for row in kept] == ["invoke_agent claude"]


# --- "Flush on Shutdown" -------------------------------------------------------------------------------


def test_fastapi_shutdown(observer: LangfuseObserver, langfuse: Langfuse) -> None:
    fastapi = pytest.importorskip("fastapi")
    from starlette.testclient import TestClient

    app = fastapi.FastAPI()

    # In main.py
    @app.on_event("shutdown")
    async def shutdown_event() -> None:
        observer = get_langfuse_observer()
        observer.flush()  # Ensure all traces are sent

    @app.get("/work")
    async def work() -> dict[str, bool]:
        async with observer.trace_agent_execution(task_id="t", agent="claude", prompt="p") as trace:
            trace.update(output="done")
        return {"ok": True}

    runtime.current().pipeline._delay = 60.0  # type: ignore[union-attr]  # nothing goes by itself
    with TestClient(app) as client:
        assert client.get("/work").json() == {"ok": True}
    assert langfuse.row("invoke_agent claude").text == "done"


# --- "Query Langfuse from Grafana" ----------------------------------------------------------------------

SUMMARY = '''
async def get_langfuse_summary():
    """Fetch LLM metrics from Langfuse for Grafana"""

    observer = get_langfuse_observer()

    # Query Langfuse API
    traces = observer.langfuse.get_traces(
        from_timestamp=datetime.utcnow() - timedelta(hours=1)
    )

    return {
        "total_tasks": len(traces),
        "total_cost": sum(t.cost for t in traces),
        "avg_quality": mean(t.metadata.get("quality", 0) for t in traces),
        "agent_breakdown": {
            "claude": len([t for t in traces if t.metadata.get("agent") == "claude"]),
            "gemini": len([t for t in traces if t.metadata.get("agent") == "gemini"]),
            "copilot": len([t for t in traces if t.metadata.get("agent") == "copilot"])
        }
    }
'''


def test_summary_route(observer: LangfuseObserver) -> None:
    told = (("t1", "claude", 0.0046, 0.9), ("t2", "gemini", 0.0, 0.8), ("t3", "claude", 0.0054, 0.7))
    for task_id, agent, cost, quality in told:
        with observer.trace_agent_execution(task_id=task_id, agent=agent, prompt="p") as trace:
            trace.update(output="o", tokens=10, cost=cost)
        observer.track_quality_assessment(task_id=task_id, agent=agent, score=quality)
    observer.track_agent_selection(task_id="t4", selected_agent="copilot", reason="idle")  # no task yet
    assert observer.flush().ok
    names: dict[str, Any] = {
        "get_langfuse_observer": get_langfuse_observer,
        "datetime": datetime,
        "timedelta": timedelta,
        "mean": mean,
    }
    exec(textwrap.dedent(SUMMARY), names)
    summary = asyncio.run(names["get_langfuse_summary"]())
    assert summary["total_tasks"] == 3
    assert summary["total_cost"] == pytest.approx(0.01)
    assert summary["avg_quality"] == pytest.approx(0.8)
    assert summary["agent_breakdown"] == {"claude": 2, "gemini": 1, "copilot": 0}


# --- "Versioned Prompts", "Budgets" ---------------------------------------------------------------------


def test_prompts(observer: LangfuseObserver, langfuse: Langfuse) -> None:
    observer.langfuse.create_prompt(name="layer-2-claude-v1", prompt="Be thorough.", labels=["production"])
    task = Task()
    # In orchestrator
    guideline = observer.langfuse.get_prompt("layer-2-claude-v1")
    full_prompt = f"{guideline.prompt}\n\n{task.prompt}"
    assert full_prompt == "Be thorough.\n\nReview code for security vulnerabilities"


def test_budget(observer: LangfuseObserver, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    from otel_agents import budgets

    # In orchestrator
    MONTHLY_BUDGET = 30.00  # dollars

    observer.langfuse.set_budget(
        amount=MONTHLY_BUDGET,
        period="monthly"
    )  # fmt: skip
    [budget] = budgets.budgets()
    try:
        assert (budget.amount, budget.period) == (30.0, "monthly")
    finally:
        budgets.remove_budget(budget.name)


def test_the_sdk_may_be_there_beside(observer: LangfuseObserver) -> None:
    """`pip show langfuse` of the guide: the official client is what answers."""
    from langfuse.api import LangfuseAPI

    assert isinstance(observer.langfuse.api, LangfuseAPI)
    assert observer.langfuse.auth_check() is True
    assert otel_agents.get_langfuse_observer() is observer
