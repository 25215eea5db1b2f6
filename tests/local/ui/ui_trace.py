"""Builds the observations of one trace."""

from __future__ import annotations

import json
from typing import Any

from otel_agents.local.rows import Observation

MS = 10**6
S = 10**9

STACK = """Traceback (most recent call last):
  File "orchestrator/run.py", line 88, in review
    answer = client.messages.create(model=model, messages=messages)
  File "anthropic/_base_client.py", line 1290, in post
    raise self._make_status_error_from_response(err.response) from None
anthropic.RateLimitError: Error code: 429 - rate_limit_error: Number of request tokens has exceeded your limit
"""

CODE = """def find_user(cursor, name):
    cursor.execute("SELECT * FROM users WHERE name = '" + name + "'")
    return cursor.fetchone()
"""


def says(role: str, text: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}], **more}


def messages(*items: dict[str, Any]) -> str:
    return json.dumps(list(items))


def trace_id(number: int) -> str:
    return f"{number:032x}"


def span_id(trace: int, number: int) -> str:
    return f"{trace:08x}{number:08x}"


class Trace:
    """Builds the observations of one trace; times are given in ms after its start."""

    def __init__(self, number: int, start_ns: int, **common: Any) -> None:
        self.number = number
        self.start = start_ns
        self.common = common
        self.rows: list[Observation] = []

    def add(
        self, parent: Observation | None, kind: str, name: str, at: float, took: float, **more: Any
    ) -> Observation:
        meta = {**self.common.get("meta", {}), **more.pop("meta", {})}
        usage, cost = more.get("usage", {}), more.get("cost", {})
        row = Observation(
            trace_id=trace_id(self.number),
            id=span_id(self.number, len(self.rows) + 1),
            parent_id=parent.id if parent else "",
            type=kind,
            name=name,
            start_ns=self.start + int(at * MS),
            end_ns=self.start + int((at + took) * MS),
            is_root=parent is None,
            input_tokens=sum(v for k, v in usage.items() if "input" in k),
            output_tokens=sum(v for k, v in usage.items() if "output" in k),
            total_tokens=usage.get("total"),
            total_cost=cost.get("total"),
            received_ns=self.start + int((at + took) * MS),
            scope_name="otel_agents",
            service_name="orchestrator",
            meta=meta,
            **{key: value for key, value in self.common.items() if key != "meta"},
            **more,
        )
        row.metadata = {
            **meta,
            "attributes": {"gen_ai.operation.name": kind.lower(), "otel_agents.note": "as recorded"},
            "resourceAttributes": {"service.name": "orchestrator"},
        }
        self.rows.append(row)
        return row

    def chat(
        self, parent: Observation, model: str, at: float, took: float, tokens: int, cost: float, **more: Any
    ) -> Observation:
        out = tokens // 4
        usage = {
            "input": tokens - out - tokens // 3,
            "input_cached_tokens": tokens // 3,
            "output": out - out // 5,
            "output_reasoning_tokens": out // 5,
            "total": tokens,
        }
        more.setdefault(
            "input",
            messages(says("system", "You review code. Answer briefly."), says("user", "Review src/db.py")),
        )
        more.setdefault(
            "output", messages(says("assistant", "One SQL injection in find_user.", finish_reason="stop"))
        )
        return self.add(
            parent,
            "GENERATION",
            f"chat {model}",
            at,
            took,
            model=model,
            usage=usage,
            cost={"total": cost},
            completion_start_ns=self.start + int((at + took * 0.3) * MS),
            model_parameters={"max_tokens": 1024, "temperature": 0.2},
            **more,
        )
