"""The agents' own telemetry, joined to the trace and counted once. Stand-ins export what real ones did."""

from __future__ import annotations

import gzip
import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from stand_in import exporting, program

from otel_agents import agent, context
from otel_agents.accounting import Usage
from otel_agents.cli_agents import claude, codex, copilot, gemini
from otel_agents.cli_agents.arrived import Story
from otel_agents.cli_agents.joined import own_metrics
from otel_agents.cli_agents.receiver import Receiver
from otel_agents.testing import AgentSpans

AGENTS: dict[str, tuple[Any, str]] = {
    "claude": (claude, "claude-code"),
    "gemini": (gemini, "gemini-cli"),
    "copilot": (copilot, "copilot-cli"),
    "codex": (codex, "codex"),
}
#: Per agent: two calls; input, output, cache read, cache write, reasoning of both together.
TOTALS = {
    "claude": Usage(620, 40, 400, 200, 0),
    "gemini": Usage(200, 50, 80, 0, reasoning=10),
    "copilot": Usage(200, 40, 80, 0, reasoning=10),
    "codex": Usage(200, 40, 80, 0, reasoning=10),
}


def shape(agent_spans: AgentSpans) -> list[tuple[str, str]]:
    """Names of spans with their parents', without events."""
    spans = [one for one in agent_spans if "otel_agents.event" not in (one.attributes or {})]
    names = {one.context.span_id: one.name for one in spans if one.context is not None}
    pairs = [(names.get(one.parent.span_id, "?") if one.parent else "", one.name) for one in spans]
    return sorted(pairs)


def usage_of(agent_spans: AgentSpans) -> Usage:
    total = Usage()
    for one in agent_spans:
        given: Any = one.attributes or {}
        if given.get("gen_ai.operation.name") in ("chat", "generate_content"):
            total += Usage(
                given.get("gen_ai.usage.input_tokens", 0),
                given.get("gen_ai.usage.output_tokens", 0),
                given.get("gen_ai.usage.cache_read.input_tokens", 0),
                given.get("gen_ai.usage.cache_write.input_tokens", 0),
                reasoning=given.get("gen_ai.usage.reasoning.output_tokens", 0),
            )
    return total


def counted(agent_spans: AgentSpans) -> tuple[float, float]:
    names = ("input_tokens", "output_tokens")
    sums = [agent_spans.metric(f"gen_ai.client.inference.usage.{name}").sum for name in names]
    return sums[0], sums[1]


EXPECTED = {
    "claude": ["chat claude-sonnet-4-5", "chat claude-sonnet-4-5", "execute_tool Bash"],
    "gemini": [
        "execute_tool run_shell_command",
        "generate_content gemini-2.5-flash",
        "generate_content gemini-2.5-flash",
    ],
    "copilot": ["chat gpt-4o", "chat gpt-4o", "execute_tool bash"],
    "codex": ["chat gpt-5-codex", "chat gpt-5-codex", "execute_tool exec_command"],
}


@pytest.mark.parametrize("name", list(AGENTS))
class TestEveryAgent:
    async def test_one_tree_one_observation_a_call_exact_totals(
        self, name: str, programs: Path, agent_spans: AgentSpans
    ) -> None:
        runner, captures = AGENTS[name]
        exporting(programs, name, captures)
        result = await runner.run("say hello")
        assert result.error is None
        assert result.telemetry
        found = shape(agent_spans)
        assert [one for one in found if one[0] == ""] == [("", f"invoke_agent {name}")]
        assert sorted(one for parent, one in found if parent) == EXPECTED[name]
        assert all(parent != "?" for parent, _ in found)
        assert usage_of(agent_spans) == TOTALS[name]
        assert counted(agent_spans) == (TOTALS[name].input, TOTALS[name].output)
        assert agent_spans.metric("gen_ai.client.inference.duration").measurements == 2
        assert agent_spans.metric("gen_ai.invoke_agent.inference_calls").sum == 2
        assert agent_spans.metric("gen_ai.invoke_agent.tool_calls").sum == 1
        assert result.tokens == TOTALS[name]

    async def test_without_the_telemetry_the_totals(
        self, name: str, programs: Path, agent_spans: AgentSpans
    ) -> None:
        runner, captures = AGENTS[name]
        exporting(programs, name, captures, keep="none of them")
        result = await runner.run("say hello")
        assert not result.telemetry
        expected = TOTALS[name] if name != "copilot" else Usage()
        assert usage_of(agent_spans) == expected
        assert counted(agent_spans) == (expected.input, expected.output)
        assert agent_spans.metric("gen_ai.invoke_agent.tool_calls").sum == (0 if name == "claude" else 1)

    async def test_what_is_around_goes_on_every_span(
        self, name: str, programs: Path, agent_spans: AgentSpans
    ) -> None:
        runner, captures = AGENTS[name]
        exporting(programs, name, captures)
        with context(session="ours", user="me", tags=["t"]), agent("outer") as run:
            await runner.run("say hello")
            assert run.agent_run is not None
            assert run.agent_run.counted.tokens == TOTALS[name].total
        for one in agent_spans:
            given: Any = one.attributes
            assert given["session.id"] == "ours"
            assert given["user.id"] == "me"
        assert len({one.context.trace_id for one in agent_spans if one.context is not None}) == 1


def changed(file: Path, old: str, new: str) -> None:
    """Another program."""
    code = file.read_text()
    assert old in code
    file.write_text(code.replace(old, new))


class TestClaude:
    async def test_cost_is_from_its_log_records(self, programs: Path, agent_spans: AgentSpans) -> None:
        exporting(programs, "claude", "claude-code")
        result = await claude.run("x")
        costs = [one.attributes["gen_ai.usage.cost"] for one in agent_spans if one.name.startswith("chat")]  # type: ignore[index]
        assert costs == [pytest.approx(0.000765)] * 2
        assert result.cost == pytest.approx(0.00153)
        assert not result.cost_estimated
        assert agent_spans.metric("otel_agents.cost").sum == pytest.approx(0.00153)

    async def test_without_log_records_the_cost_is_shared(
        self, programs: Path, agent_spans: AgentSpans
    ) -> None:
        exporting(programs, "claude", "claude-code", keep="_traces")
        await claude.run("x")
        assert agent_spans.metric("otel_agents.cost").sum == pytest.approx(0.00153)

    async def test_without_log_records_each_model_has_its_own_cost(
        self, programs: Path, agent_spans: AgentSpans
    ) -> None:
        """The second call is another model's, which is a third of the price."""
        file = exporting(programs, "claude", "claude-code", keep="_traces")
        changed(file, '["body"]).encode()', '["body"]).replace("claude-sonnet-4-5", "other", 2).encode()')
        models = {
            "claude-sonnet-4-5": {"inputTokens": 310, "outputTokens": 20, "costUSD": 0.3},
            "other": {"inputTokens": 310, "outputTokens": 20, "costUSD": 0.1},
        }
        told = {
            "type": "result",
            "is_error": False,
            "result": "x",
            "total_cost_usd": 0.4,
            "modelUsage": models,
        }
        changed(file, '(captured / "stdout.txt").read_text()', repr(json.dumps(told)))
        result = await claude.run("x")
        assert result.telemetry
        costs = {
            one.attributes["gen_ai.request.model"]: one.attributes["gen_ai.usage.cost"]  # type: ignore[index]
            for one in agent_spans
            if one.name.startswith("chat")
        }
        assert costs == {"claude-sonnet-4-5": pytest.approx(0.3), "other": pytest.approx(0.1)}

    async def test_half_of_the_calls_is_none(self, programs: Path, agent_spans: AgentSpans) -> None:
        """An export was lost: the totals are right, so the call that arrived does not count."""
        file = exporting(programs, "claude", "claude-code")
        changed(file, '["body"]).encode()', '["body"]).replace("claude_code.llm_request", "x", 1).encode()')
        result = await claude.run("x")
        assert not result.telemetry
        assert [one.name for one in agent_spans if one.name.startswith("chat")] == ["chat claude-sonnet-4-5"]
        assert usage_of(agent_spans) == TOTALS["claude"]
        assert counted(agent_spans) == (620, 40)
        assert "execute_tool Bash" in {one.name for one in agent_spans}

    async def test_progress_and_content(self, programs: Path, agent_spans: AgentSpans) -> None:
        exporting(programs, "claude", "claude-code")
        await claude.run("x")
        tool: Any = agent_spans.named("execute_tool Bash").attributes
        assert tool["gen_ai.tool.call.id"] == "toolu_01"
        assert "echo" in tool["gen_ai.tool.call.arguments"]
        assert "user.id" not in tool

    @pytest.mark.agent_spans(capture="none")
    async def test_no_content_when_none_is_captured(self, programs: Path, agent_spans: AgentSpans) -> None:
        exporting(programs, "claude", "claude-code")
        await claude.run("x")
        assert "echo" not in json.dumps(agent_spans.snapshot(), default=str)


async def test_other_traces_are_linked(programs: Path, agent_spans: AgentSpans) -> None:
    exporting(programs, "copilot", "copilot-cli")
    await copilot.run("x")
    (link,) = agent_spans.named("invoke_agent copilot").links
    assert format(link.context.trace_id, "032x").startswith("09c928")


async def test_codex_is_reduced(programs: Path, agent_spans: AgentSpans) -> None:
    """556 spans arrive."""
    exporting(programs, "codex", "codex")
    await codex.run("x")
    assert len(agent_spans) < 10
    tool = agent_spans.named("execute_tool exec_command")
    assert (tool.end_time - tool.start_time) / 1e6 == pytest.approx(62.7, abs=0.1)  # type: ignore[operator]


async def test_codex_models_further_out(programs: Path, agent_spans: AgentSpans) -> None:
    """Where the span of an attempt does not say it, the ones around it do."""
    file = exporting(programs, "codex", "codex")
    changed(
        file,
        'json.dumps(json.loads(file.read_text())["body"])',
        """re.sub(r'("name": "try_run_sampling_request".*?)"key": "model"', r'\\1"key": "x"',
                json.dumps(json.loads(file.read_text())["body"]))""",
    )
    await codex.run("x")
    calls = [one.name for one in agent_spans if one.name.startswith("chat")]
    assert calls == ["chat gpt-5-codex", "chat gpt-5-codex"]


def test_gemini_calls_side_by_side() -> None:
    """Records name no span: of calls that end together, each gets the one of its model."""
    end = 1_790_000_000_000_000_000
    models = ("gemini-2.5-pro", "gemini-2.5-flash")

    def attributes(given: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"key": key, "value": {"stringValue": value}} for key, value in given.items()]

    story = Story()
    spans = [
        {
            "name": "llm_call",
            "traceId": f"{at:032x}",
            "spanId": f"{at:016x}",
            "startTimeUnixNano": str(end - 10**9),
            "endTimeUnixNano": str(end + at * 1000),
            "attributes": attributes({"gen_ai.operation.name": "llm_call", "gen_ai.request.model": model}),
        }
        for at, model in enumerate(models, 1)
    ]
    story.take({"resourceSpans": [{"scopeSpans": [{"scope": {"name": "gemini-cli"}, "spans": spans}]}]})
    records = [
        {
            "timeUnixNano": str(end + at * 1000),  # each at the end of the other's
            "attributes": attributes(
                {"event.name": "gemini_cli.api_response", "model": model, "input_token_count": str(at * 100)}
            ),
        }
        for at, model in enumerate(reversed(models), 1)
    ]
    story.take({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]})
    found = {str(one.attributes["gen_ai.request.model"]): one.usage for one in story.useful("gemini_cli")}
    assert found == {"gemini-2.5-flash": Usage(100), "gemini-2.5-pro": Usage(200)}


async def test_settings_of_each_agent(programs: Path, agent_spans: AgentSpans) -> None:
    code = """
        import json, os, sys
        told = json.dumps({"env": dict(os.environ), "argv": sys.argv})
        print(json.dumps({"type": "result", "is_error": False, "result": told}))
        print(json.dumps({"type": "assistant.message", "data": {"content": told}}))
        print(json.dumps({"type": "item.completed", "item": {"type": "agent_message", "text": told}}))
        """
    for name in ("claude", "copilot", "codex"):
        program(programs, name, code)
    told = json.loads((await claude.run("x")).output)["env"]
    assert told["CLAUDE_CODE_ENABLE_TELEMETRY"] == told["CLAUDE_CODE_ENHANCED_TELEMETRY_BETA"] == "1"
    assert told["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/json"
    told = json.loads((await copilot.run("x")).output)["env"]
    assert told["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] == "true"
    words = json.loads((await codex.run("x")).output)["argv"]
    assert words[1] == "-c"
    assert words[2].startswith('otel.exporter={otlp-http={endpoint="http://127.0.0.1:')
    assert words[-3:] == ["exec", "--json", "x"]


def test_metrics_of_the_conventions_are_ours() -> None:
    def named(*names: str, **resource: str) -> dict[str, Any]:
        attributes = [{"key": key, "value": {"stringValue": value}} for key, value in resource.items()]
        metrics = [{"name": one} for one in names]
        scopes = [{"metrics": metrics}]
        return {"resourceMetrics": [{"resource": {"attributes": attributes}, "scopeMetrics": scopes}]}

    given = named("gen_ai.client.token.usage", "gemini_cli.token.usage", **{"session.id": "s"})
    assert own_metrics(given, "i") == named("gemini_cli.token.usage", **{"session.id": "s"})
    assert own_metrics(named("codex.x"), "i") == named("codex.x", **{"service.instance.id": "i"})
    assert own_metrics(named("gen_ai.x"), "i") == {"resourceMetrics": []}
    assert own_metrics({}, "i") == {"resourceMetrics": []}


class TestReceiver:
    def send(self, url: str, body: bytes, headers: dict[str, str], chunked: bool = False) -> int:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
        given: Any = iter([body[:10], body[10:]]) if chunked else body
        connection.request("POST", "/v1/traces", given, headers, encode_chunked=chunked)
        status = connection.getresponse().status
        connection.close()
        return status

    @pytest.fixture
    def got(self) -> Any:
        found: list[Any] = []
        receiver = Receiver(found.append)
        yield receiver.url, found
        receiver.close()

    def test_json(self, got: Any) -> None:
        url, found = got
        assert self.send(url, b'{"a": 1}', {"content-type": "application/json"}) == 200
        assert found == [{"a": 1}]

    def test_chunks_and_gzip(self, got: Any) -> None:
        url, found = got
        headers = {
            "content-type": "application/json",
            "content-encoding": "gzip",
            "transfer-encoding": "chunked",
        }
        assert self.send(url, gzip.compress(b'{"a": 1}'), headers, chunked=True) == 200
        assert found == [{"a": 1}]

    def test_protobuf(self, got: Any) -> None:
        url, found = got
        request = ExportTraceServiceRequest()
        span = request.resource_spans.add().scope_spans.add().spans.add()
        span.span_id, span.name = bytes.fromhex("00000000000000aa"), "x"
        assert self.send(url, request.SerializeToString(), {"content-type": "application/x-protobuf"}) == 200
        assert found[0]["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["spanId"] == "00000000000000aa"

    @pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff\xfe"])
    def test_nonsense(self, got: Any, body: bytes) -> None:
        url, found = got
        assert self.send(url, body, {"content-type": "application/json"}) == 400
        assert found == []
