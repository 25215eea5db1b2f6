"""Metrics of applications without our SDK, made of their spans: the same names, and nothing twice."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from collector_rig import Collector, attributes, running, span, traces
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from parts import require, wait_for

from otel_agents import metrics
from otel_agents.stack import collector as stack

ROOT = Path(__file__).resolve().parents[2]
OVERLAYS = ROOT / "collector" / "overlays"
WITH_TOKENS, CALLS_ONLY = OVERLAYS / "metrics-from-spans.yaml", OVERLAYS / "calls-from-spans.yaml"
CATALOGUE = {one.name: one for one in metrics.CATALOGUE}
LABELS = 'gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o"'
#: A chat of a JavaScript service by an older convention, as its instrumentation sends it.
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.prompt_tokens": 100,
    "gen_ai.usage.completion_tokens": 20,
    "gen_ai.usage.cost": 0.25,
}
JS = {
    "service.name": "shop",
    "service.instance.id": "i-1",
    "telemetry.sdk.language": "nodejs",
    "deployment.environment.name": "production",
}
OURS = {**JS, "service.name": "ours", "telemetry.distro.name": "otel-agents"}


def with_signal_to_metrics() -> Path:
    """A Collector that has the connector; our own builds have not."""
    named = os.environ.get("OTELCOL_CONTRIB_BIN") or shutil.which("otelcol-contrib")
    if not named:
        pytest.skip("no Collector with signal_to_metrics; set OTELCOL_CONTRIB_BIN to a contrib distribution")
    return Path(named)


@contextmanager
def started(binary: Path, folder: Path, overlay: Path, patch: pytest.MonkeyPatch) -> Iterator[Collector]:
    config = stack.config_path()
    patch.setattr(
        "collector_rig.collector_command",
        lambda binary, environment: stack.Launch(
            (str(binary), "--config", str(config), "--config", str(overlay)), environment, str(binary)
        ),
    )
    with running(binary, folder, OTELCOL_SPAN_METRICS_INTERVAL="200ms") as collector:
        yield collector


def send(collector: Collector) -> None:
    """Two requests of a service without our SDK, and one of a service with it."""
    error = Status(code=Status.STATUS_CODE_ERROR)
    timeout = {**CHAT, "error.type": "timeout", "gen_ai.usage.prompt_tokens": 1}
    collector.send(
        traces(
            span("GET /", "00000000000000a0", {"http.request.method": "GET"}),
            span(
                "invoke_agent a",
                "00000000000000a1",
                {
                    "gen_ai.operation.name": "invoke_agent",
                    "gen_ai.agent.name": "a",
                    "gen_ai.usage.input_tokens": 7,
                },
            ),
            span("chat", "00000000000000a2", CHAT),
            span(
                "execute_tool t",
                "00000000000000a3",
                {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t"},
            ),
            span(
                "embeddings",
                "00000000000000a4",
                {
                    "gen_ai.operation.name": "embeddings",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "e",
                    "gen_ai.usage.input_tokens": 9,
                },
            ),
            resource=JS,
            scope="js",
        )
    )
    collector.send(
        traces(
            span("chat", "00000000000000b1", CHAT),
            span("chat", "00000000000000b2", timeout, status=error),
            resource=JS,
            scope="js",
        )
    )
    collector.send(traces(span("chat", "00000000000000c1", CHAT), resource=OURS))


def sample(served: str, name: str, **labels: str) -> float | None:
    """The sum of a metric's series that have these labels; None without any."""
    found = [
        float(match[2])
        for match in re.finditer(rf"^{name}\{{(.*?)\}} (\S+)", served, re.MULTILINE)
        if all(f'{label}="{value}"' in match[1] for label, value in labels.items())
    ]
    return sum(found) if found else None


def check_calls(served: str) -> None:
    calls = "gen_ai_client_inference_duration_seconds_count"
    assert sample(served, calls, job="shop") == 3
    assert sample(served, calls, job="shop", error_type="timeout") == 1
    one = {"gen_ai_provider_name": "openai", "gen_ai_request_model": "gpt-4o", "instance": "i-1"}
    assert sample(served, calls, job="shop", deployment_environment_name="production", **one) == 3
    assert sample(served, "gen_ai_client_inference_duration_seconds_sum", job="shop") == pytest.approx(3)
    assert sample(served, "gen_ai_client_embeddings_duration_seconds_count", job="shop") == 1
    assert sample(served, "gen_ai_invoke_agent_duration_seconds_count", gen_ai_agent_name="a") == 1
    assert sample(served, "gen_ai_execute_tool_duration_seconds_count", gen_ai_tool_name="t") == 1
    assert 'job="ours"' not in served
    assert "span_name=" not in served
    # Of each connector's own, and new when the Collector starts again.
    assert set(
        re.findall(r'^(\w+)_count\{.*collector_instance_id="[0-9a-f-]{36}"', served, re.MULTILINE)
    ) >= {
        "gen_ai_client_inference_duration_seconds",
        "gen_ai_execute_tool_duration_seconds",
    }


def complete(collector: Collector) -> str | None:
    served = collector.metrics()
    calls = sample(served, "gen_ai_client_inference_duration_seconds_count", job="shop")
    tools = sample(served, "gen_ai_execute_tool_duration_seconds_count", job="shop")
    return served if (calls, tools) == (3, 1) else None


@pytest.mark.collector
def test_calls_and_durations_by_our_own_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with started(require("collector"), tmp_path, CALLS_ONLY, monkeypatch) as collector:
        send(collector)
        check_calls(wait_for(lambda: complete(collector), "the metrics"))
        assert "_calls_total" not in collector.metrics()
        # Spans take their usual way beside.
        wait_for(lambda: len(collector.backend.by_id()) == 7, "the spans")
        assert (
            attributes(collector.backend.by_id()["00000000000000c1"].attributes)["gen_ai.usage.cost"] == 0.25
        )
        log = collector.log.read_text()
        assert not [line for line in log.splitlines() if re.search(r"\t(error)\t|[Dd]eprecat|alias", line)]


@pytest.mark.collector
def test_tokens_and_cost_too_by_the_stock_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with started(with_signal_to_metrics(), tmp_path, WITH_TOKENS, monkeypatch) as collector:
        send(collector)
        served = wait_for(lambda: complete(collector), "the metrics")
        check_calls(served)
        tokens = "gen_ai_client_inference_usage_{}_tokens_total"
        chats = {"job": "shop", "gen_ai_operation_name": "chat", "gen_ai_token_modality": "unknown"}
        assert sample(served, tokens.format("input"), **chats) == 201
        assert sample(served, tokens.format("output"), **chats) == 60
        assert sample(served, tokens.format("input"), gen_ai_operation_name="embeddings") == 9
        assert sample(served, tokens.format("input")) == 210  # the agent's own sum is not counted again
        assert sample(served, "gen_ai_client_inference_operation_input_tokens_count", job="shop") == 3
        assert sample(served, "gen_ai_client_embeddings_operation_input_tokens_sum", job="shop") == 9
        assert sample(served, "otel_agents_cost_total", job="shop") == pytest.approx(0.75)
        assert sample(served, "otel_agents_unpriced_calls_total", reason="not_reported") == 1
        assert "signaltometrics" not in served
        assert "signal_to_metrics" not in served


def test_names_units_and_buckets_are_the_catalogues() -> None:
    connector = yaml.safe_load(WITH_TOKENS.read_text())["connectors"]["signal_to_metrics"]
    for one in connector["spans"]:
        known = CATALOGUE[one["name"]]
        assert (one["unit"], one["description"]) == (known.unit, known.description)
        if known.kind == "histogram":
            assert tuple(one["histogram"]["buckets"]) == known.buckets, one["name"]
        else:
            assert one["sum"]["monotonic"] is True, one["name"]
        allowed = {*known.labels, metrics.semconv.AGENT_NAME}
        assert {label["key"] for label in one["attributes"]} <= allowed, one["name"]
    assert len({one["name"] for one in connector["spans"]}) == len(connector["spans"])


def test_the_small_ones_names_and_buckets_too() -> None:
    def seconds(text: str) -> float:
        return float(text[:-2]) / 1000 if text.endswith("ms") else float(text[:-1])

    for name, one in yaml.safe_load(CALLS_ONLY.read_text())["connectors"].items():
        if name.startswith("span_metrics"):
            known = CATALOGUE[f"{one['namespace']}.duration"]
            histogram = one["histogram"]
            assert histogram["unit"] == known.unit
            assert tuple(map(seconds, histogram["explicit"]["buckets"])) == known.buckets
            assert {label["name"] for label in one["dimensions"]} <= set(known.labels)


@pytest.mark.parametrize("overlay", [WITH_TOKENS, CALLS_ONLY], ids=lambda path: path.stem)
def test_says_how_it_is_started_and_what_can_be_set(overlay: Path) -> None:
    text = overlay.read_text()
    assert f"--config otel-collector.yaml --config {overlay.relative_to(ROOT)}" in text
    documented = dict(re.findall(r"^#   (OTELCOL_\w+) +(\S+)", text, re.MULTILINE))
    assert documented == dict(re.findall(r"\$\{env:(\w+):-(\S+?)\}", text))


@pytest.mark.collector
def test_the_small_collector_takes_it_without_any_setting(tmp_path: Path) -> None:
    command = [require("collector"), "validate", "--config", stack.config_path(), "--config", CALLS_ONLY]
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
