"""The captures as they are, through a real Collector: what an agent that nobody runs for us sends."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from collector_rig import Collector, attributes, running
from parts import require, wait_for
from stand_in import CAPTURES

pytestmark = pytest.mark.collector
#: Agent → spans that reach Langfuse (operation, how many) and tokens in and out.
EXPECTED = {
    "claude-code": ({"chat": 2, "execute_tool": 1, "invoke_agent": 1}, (620, 40)),
    # What it thought is in its log records only.
    "gemini-cli": ({"generate_content": 2, "execute_tool": 1, "schedule_tool_calls": 1}, (200, 40)),
    "copilot-cli": ({"chat": 2, "execute_tool": 1, "invoke_agent": 1}, (200, 40)),
    "codex": ({"chat": 2, "execute_tool": 1, "invoke_agent": 1}, (200, 40)),
}


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with running(require("collector"), tmp_path_factory.mktemp("agents")) as started:
        for folder in sorted(CAPTURES.iterdir()):
            for file in sorted(folder.glob("*.json")):
                signal = file.stem.partition("_")[2]
                send(started, signal, json.loads(file.read_text())["body"])
        yield started


def send(collector: Collector, signal: str, body: Any) -> None:
    url = f"http://127.0.0.1:{collector.ports.otlp_http_port}/v1/{signal}"
    headers = {"content-type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=20
    ) as got:
        assert got.status == 200


def of_agent(collector: Collector, folder: str) -> list[dict[str, Any]]:
    ids = set()
    for file in (CAPTURES / folder).glob("*_traces.json"):
        for resource in json.loads(file.read_text())["body"]["resourceSpans"]:
            ids |= {one["spanId"] for scope in resource["scopeSpans"] for one in scope["spans"]}
    return [
        {"name": one.name, "id": key, "parent": one.parent_span_id.hex(), "trace": one.trace_id.hex(),
         **attributes(one.attributes)}
        for key, one in collector.backend.by_id().items()
        if key in ids
    ]  # fmt: skip


@pytest.mark.parametrize("agent", list(EXPECTED))
def test_one_observation_a_call_and_exact_tokens(collector: Collector, agent: str) -> None:
    wanted, tokens = EXPECTED[agent]

    def arrived() -> dict[str, int]:
        found: dict[str, int] = {}
        for one in of_agent(collector, agent):
            operation = one["gen_ai.operation.name"]
            if operation != "step":
                found[operation] = found.get(operation, 0) + 1
        return found

    wait_for(lambda: arrived() == wanted, f"{wanted} of {agent}; got {arrived()}", timeout=15)
    calls = [
        one for one in of_agent(collector, agent)
        if one["gen_ai.operation.name"] in ("chat", "generate_content")
    ]  # fmt: skip
    sent = sum(int(one["gen_ai.usage.input_tokens"]) for one in calls)
    produced = sum(int(one["gen_ai.usage.output_tokens"]) for one in calls)
    assert (sent, produced) == tokens
    others = [one for one in of_agent(collector, agent) if one not in calls]
    assert not any("gen_ai.usage.input_tokens" in one for one in others)


@pytest.mark.parametrize("agent", ["claude-code", "copilot-cli", "codex"])
def test_one_tree(collector: Collector, agent: str) -> None:
    wait_for(lambda: len(of_agent(collector, agent)) >= 4, "spans", timeout=15)
    found = of_agent(collector, agent)
    assert len(found) < 30
    ids = {one["id"] for one in found}
    roots = [one["name"] for one in found if one["parent"] not in ids]
    assert len(roots) == 1, roots
    assert len({one["trace"] for one in found}) == 1


def test_a_session_of_gemini_is_one_trace(collector: Collector) -> None:
    """It begins one with each of its steps."""
    wait_for(lambda: len(of_agent(collector, "gemini-cli")) == 4, "spans", timeout=15)
    found = of_agent(collector, "gemini-cli")
    session = hashlib.md5(b"20ee4ffb-1720-4f89-9026-107680bb5717").hexdigest()
    assert {one["trace"] for one in found} == {session}
    ids = {one["id"] for one in found}
    assert sorted(one["name"] for one in found if one["parent"] not in ids) == [
        "llm_call", "llm_call", "schedule_tool_calls",
    ]  # fmt: skip


def request(scope: str, *spans: dict[str, Any]) -> dict[str, Any]:
    def value(given: Any) -> dict[str, Any]:
        kind = {bool: "boolValue", int: "intValue"}.get(type(given), "stringValue")
        return {kind: str(given) if kind == "intValue" else given}

    started = time.time_ns()
    made = [
        {
            **{key: one[key] for key in ("name", "spanId")},
            "traceId": one["traceId"],
            "parentSpanId": one.get("parentSpanId", ""),
            "kind": 1,
            "startTimeUnixNano": str(started + at * 1000),
            "endTimeUnixNano": str(started + at * 1000 + 500),
            "attributes": [{"key": key, "value": value(said)} for key, said in one["attributes"].items()],
            "status": {},
        }
        for at, one in enumerate(spans)
    ]
    return {"resourceSpans": [{"scopeSpans": [{"scope": {"name": scope}, "spans": made}]}]}


def test_sub_agents_and_failures_of_claude(collector: Collector) -> None:
    """A sub-agent's calls are below the execution of a tool; what failed says so by attributes alone."""
    trace = secrets.token_hex(16)
    ids = {name: secrets.token_hex(8) for name in ("run", "tool", "execution", "inner", "failed")}

    def made(id: str, name: str, parent: str | None, **attributes: Any) -> dict[str, Any]:
        above = {"parentSpanId": ids[parent]} if parent else {}
        return {
            "traceId": trace,
            "spanId": ids[id],
            "name": f"claude_code.{name}",
            **above,
            "attributes": attributes,
        }

    send(
        collector,
        "traces",
        request(
            "com.anthropic.claude_code.tracing",
            made("run", "interaction", None, **{"gen_ai.operation.name": "invoke_agent"}),
            made("tool", "tool", "run", tool_name="Agent", tool_use_id="t"),
            made("execution", "tool.execution", "tool", success=True),
            made("inner", "llm_request", "execution", model="claude-haiku-4-5", input_tokens=5,
                 cache_read_tokens=7, output_tokens=6, success=True, query_source="subagent"),
            made("failed", "llm_request", "run", model="claude-opus-4-5", success=False, status_code=529,
                 attempt=3),
        ),
    )  # fmt: skip

    def arrived() -> dict[str, Any]:
        return {key: one for key, one in collector.backend.by_id().items() if key in ids.values()}

    wait_for(lambda: len(arrived()) == 5, "five spans", timeout=15)
    found = {name: arrived()[id] for name, id in ids.items()}
    parents = {name: one.parent_span_id.hex() for name, one in found.items() if name != "run"}
    assert set(parents.values()) <= set(ids.values())
    assert attributes(found["inner"].attributes)["gen_ai.usage.input_tokens"] == 12
    failed = attributes(found["failed"].attributes)
    assert failed["langfuse.observation.level"] == "ERROR"
    assert failed["error.type"] == "529"
    assert "langfuse.observation.usage_details" not in failed


def test_metrics_are_totals_with_bounded_labels(collector: Collector) -> None:
    def line(text: str) -> str | None:
        return next((one for one in collector.metrics().splitlines() if one.startswith(text)), None)

    cost = wait_for(lambda: line("claude_code_cost_usage_USD_total"), "the cost", timeout=20)
    assert 'job="claude-code"' in cost
    assert 'instance="314647c5-9bfa-4858-9637-7777e98c7652"' in cost
    assert 'model="claude-sonnet-4-5"' in cost
    assert "user_id" not in cost
    assert "session_id" not in cost
    assert float(cost.rpartition("}")[2].split()[0]) == pytest.approx(0.00153)
    assert "# TYPE claude_code_cost_usage_USD counter" in collector.metrics()
    assert line("gemini_cli_token_usage_total")
    assert line("github_copilot_tool_call_count_total")
    assert line("codex_turn_token_usage_sum")
    assert line("codex_plugins") is None
    assert line("gemini_cli_startup") is None


def test_deltas_add_up(collector: Collector) -> None:
    """A minute later the agent says what was added since."""
    file = next((CAPTURES / "claude-code").glob("*_metrics.json"))
    body = json.loads(file.read_text())["body"]

    def moved(value: Any) -> Any:
        if isinstance(value, list):
            return [moved(one) for one in value]
        if isinstance(value, dict):
            times = ("startTimeUnixNano", "timeUnixNano")
            return {k: str(int(v) + 60 * 10**9) if k in times else moved(v) for k, v in value.items()}
        return value

    send(collector, "metrics", moved(body))

    def cost() -> float:
        lines = [
            one
            for one in collector.metrics().splitlines()
            if one.startswith("claude_code_cost_usage_USD_total")
        ]
        return sum(float(one.rpartition("}")[2].split()[0]) for one in lines)

    wait_for(lambda: cost() == pytest.approx(2 * 0.00153), "twice the cost", timeout=20)
