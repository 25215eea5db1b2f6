"""Traces for the UI's tests: an orchestrator that reviews code with three agents."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

from ui_trace import CODE, MS, STACK, S, Trace, messages, says, span_id, trace_id

from otel_agents.local.rows import Finding, Observation, Score, SpanEvent
from otel_agents.local.store import Store

T0 = 1_768_471_200 * S  # 2026-01-15 10:00 UTC

MODELS = {"claude": "claude-sonnet-4-5", "gemini": "gemini-2.5-flash", "copilot": "gpt-5-mini"}
TASKS = {
    "security": "Review src/db.py for security vulnerabilities",
    "docs": "Summarise the architecture document for new colleagues",
    "tests": "Write unit tests for the price table",
    "refactor": "Split the settings module into reading and checking",
}
ANSWERS = {
    "security": "Found 3 SQL injection vulnerabilities in find_user, find_order and delete_user.",
    "docs": "The package has one way in and two ways out: traces go to Langfuse, metrics to Prometheus.",
    "tests": "Wrote 14 tests; the rounding of cached tokens was off by one and is fixed.",
    "refactor": "settings.py reads, settings_check.py checks; the public names did not move.",
}


def task(
    number: int,
    start_ns: int,
    agent: str = "claude",
    task_type: str = "security",
    cost: float = 0.0046,
    quality: float | None = 0.92,
    tokens: int = 1523,
    took: float = 12_500,
    error: bool = False,
    switched: bool = False,
    session: str | None = None,
    user: str | None = "ada",
    environment: str = "default",
    tags: tuple[str, ...] = (),
    name: str | None = None,
) -> list[Observation]:
    """One task: selection, an agent with tool and model calls, a judge."""
    meta = {"task_type": task_type, "project_id": "proj_123", "agent": agent}
    if switched:
        meta["agent_switched"] = "true"
    if quality is not None:
        meta["quality_score"] = quality
    trace = Trace(
        number,
        start_ns,
        meta=meta,
        session_id=session,
        user_id=user,
        environment=environment,
        tags=list(tags),
    )
    failed = {"level": "ERROR", "status_message": STACK.splitlines()[-1]} if error else {}
    exception = SpanEvent(
        "exception",
        start_ns + int(took * 0.8 * MS),
        {
            "exception.type": "anthropic.RateLimitError",
            "exception.message": "429",
            "exception.stacktrace": STACK,
        },
    )
    root = trace.add(
        None,
        "CHAIN",
        name or f"{task_type} task {number}",
        0,
        took,
        input=messages(says("user", TASKS.get(task_type, task_type))),
        output=None if error else messages(says("assistant", ANSWERS.get(task_type, "done"))),
        **failed,
    )
    trace.add(
        root,
        "EVENT",
        "agent_selection",
        4,
        0,
        input=json.dumps(
            {
                "selected": agent,
                "reason": f"task type: {task_type}",
                "rewards": {"claude": 0.9, "gemini": 0.3, "copilot": 0.2},
            }
        ),
    )
    run = trace.add(
        root,
        "AGENT",
        agent,
        10,
        took * 0.85,
        input=messages(says("user", TASKS.get(task_type, task_type))),
        output=None if error else messages(says("assistant", ANSWERS.get(task_type, "done"))),
        **failed,
    )
    trace.chat(
        run,
        MODELS.get(agent, "model-x"),
        30,
        took * 0.3,
        tokens // 2,
        cost / 2,
        output=messages(
            {
                "role": "assistant",
                "parts": [
                    {"type": "reasoning", "content": "I have to see the file first."},
                    {
                        "type": "tool_call",
                        "id": "call_1",
                        "name": "read_file",
                        "arguments": {"path": "src/db.py"},
                    },
                ],
                "finish_reason": "tool_calls",
            }
        ),
        prompt_name="review",
        prompt_version=3,
    )
    trace.add(
        run,
        "TOOL",
        "read_file",
        took * 0.35,
        120,
        input=json.dumps({"path": "src/db.py"}),
        output=json.dumps(CODE),
    )
    trace.chat(
        run,
        MODELS.get(agent, "model-x"),
        took * 0.4,
        took * 0.4,
        tokens - tokens // 2,
        cost - cost / 2,
        input=messages(
            says("system", "You review code. Answer briefly."),
            says("user", TASKS.get(task_type, task_type)),
            {
                "role": "assistant",
                "parts": [
                    {
                        "type": "tool_call",
                        "id": "call_1",
                        "name": "read_file",
                        "arguments": {"path": "src/db.py"},
                    }
                ],
            },
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": CODE}]},
        ),
        output=None
        if error
        else messages(
            says(
                "assistant",
                ANSWERS.get(task_type, "done") + "\n\n```python\n" + CODE + "```\n\nUse parameters instead.",
                finish_reason="stop",
            )
        ),
        events=[exception] if error else [],
        **failed,
    )
    trace.add(
        root,
        "EVALUATOR",
        "judge",
        took * 0.9,
        took * 0.08,
        input=json.dumps({"rubric": "security"}),
        output=json.dumps({"score": quality}),
    )
    return trace.rows


def deep(number: int, start_ns: int, spans: int = 60, **more: Any) -> list[Observation]:
    """An agent that works for minutes: ``spans`` observations of every type, nested four deep, one error."""
    trace = Trace(
        number,
        start_ns,
        meta={"agent": "claude", "task_type": "refactor", "quality_score": 0.81},
        session_id="sess-deep",
        user_id="grace",
        tags=["nightly", "experiment-7"],
        **more,
    )
    root = trace.add(
        None,
        "CHAIN",
        "nightly refactoring",
        0,
        191_000,
        input=messages(says("user", TASKS["refactor"])),
        output=messages(says("assistant", ANSWERS["refactor"])),
    )
    trace.add(root, "GUARDRAIL", "prompt guard", 200, 900)
    trace.add(root, "EVENT", "agent_selection", 1_200, 0, input=json.dumps({"selected": "claude"}))
    agent = trace.add(root, "AGENT", "claude", 1_500, 180_000)
    at, step = 2_000.0, 0
    while len(trace.rows) < spans - 4:
        step += 1
        took = 3_000 + (step * 1_731) % 9_000
        turn = trace.add(agent, "SPAN", f"turn {step}", at, took)
        failed = step == 5
        status = (
            {"level": "ERROR", "status_message": "anthropic.APIStatusError: 529 overloaded_error: Overloaded"}
            if failed
            else {}
        )
        trace.chat(
            turn,
            "claude-opus-4-6-with-a-long-model-name" if step % 3 == 0 else "claude-sonnet-4-5",
            at + 50,
            took * 0.55,
            800 + step * 137,
            0.0031 * step,
            **status,
        )
        if step % 3 == 1:
            trace.add(
                turn,
                "RETRIEVER",
                "code_search",
                at + took * 0.57,
                took * 0.1,
                input="settings module",
                output=json.dumps([{"id": "settings.py#12", "score": 0.91, "content": "def resolve(...)"}]),
            )
            trace.add(
                turn,
                "EMBEDDING",
                "embeddings text-embedding-3",
                at + took * 0.58,
                took * 0.05,
                model="text-embedding-3-small",
                usage={"input": 64, "total": 64},
                cost={"total": 0.0000013},
            )
        trace.add(
            turn,
            "TOOL",
            "edit_file" if step % 2 else "run_tests",
            at + took * 0.7,
            took * 0.25,
            input=json.dumps({"path": "otel_agents/config/settings.py", "lines": [step, step + 12]}),
            output=json.dumps({"ok": True}),
        )
        if step == 7:
            trace.add(
                turn,
                "EVENT",
                "circuit_breaker",
                at + took * 0.96,
                0,
                level="WARNING",
                input=json.dumps({"state": "open", "failures": 5}),
            )
        at += took + 400
    trace.add(
        root,
        "EVALUATOR",
        "judge",
        183_000,
        6_000,
        output=json.dumps({"score": 0.81, "reason": "names did not move"}),
    )
    return trace.rows


def fill(store: Store, now_ns: int | None = None) -> int:
    """A day of tasks, one deep trace, one session, findings and scores. Answers the number of traces."""
    now = time.time_ns() if now_ns is None else now_ns
    rows: list[Observation] = []
    agents, kinds = list(MODELS), list(TASKS)
    number = 0
    for number in range(1, 45):
        agent, kind = agents[(number * 7) % 3], kinds[(number * 5 + number // 4) % 4]
        rows += task(
            number,
            now - (45 - number) * 31 * 60 * S,
            agent=agent,
            task_type=kind,
            cost={"claude": 0.0046, "gemini": 0.0, "copilot": 0.0033}[agent] * (1 + number % 4),
            quality=None if number % 11 == 0 else round(0.45 + (number * 37 % 55) / 100, 2),
            tokens=900 + number * 61,
            took=2_500 + (number * 977) % 14_000,
            error=number % 9 == 4,
            switched=number % 8 == 3,
            session=f"chat-{number // 6}" if number % 3 else None,
            user=("ada", "grace", "linus")[number % 3],
            environment="production" if number % 2 else "staging",
            tags=("nightly", f"experiment-{number % 3}") if number % 4 == 0 else (),
        )
    rows += deep(100, now - 6 * 60 * S)
    orphan = replace(
        rows[3],
        trace_id=trace_id(101),
        id="00000000000000aa",
        parent_id="00000000000000ff",
        start_ns=now - 30 * S,
        end_ns=now - 20 * S,
        name="lost child",
    )
    store.add_observations([*rows, orphan])
    store.add_scores(
        [
            Score(
                "s1",
                "helpful",
                "CATEGORICAL",
                now,
                string_value="yes",
                trace_id=trace_id(100),
                comment="read by a person",
            ),
            Score(
                "s2",
                "correct",
                "NUMERIC",
                now,
                value=0.75,
                trace_id=trace_id(100),
                observation_id=span_id(100, 4),
            ),
        ]
    )
    store.add_findings(
        [
            Finding(
                "double_count",
                "error",
                trace_id(4),
                span_id(4, 4),
                "cache_write.input_tokens is counted twice: total is 150, not 120",
                {"total": 150, "expected": 120},
                now,
            ),
            Finding(
                "missing_total",
                "warning",
                trace_id(4),
                span_id(4, 6),
                "cost_details have no total: Langfuse shows 0",
                {"keys": ["input", "output"]},
                now,
            ),
        ]
    )
    return number + 2
