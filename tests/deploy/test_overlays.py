"""The overlays: valid, documented, and data goes through all tiers of them."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from collector_rig import START, Backend, attributes, span, traces
from compose_file import ROOT
from evaluation_logs import as_protobuf, evaluation
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from parts import require, wait_for
from tiers import OVERLAYS, Tier, files, full_binary, tier, validated, variables

SMALL = [
    ("agent",),
    ("gateway",),
    ("metrics-otlp",),
    ("projects",),
    ("gateway", "metrics-otlp"),
    ("gateway", "tail-sampling"),
    ("gateway", "tail-sampling", "metrics-otlp"),
]
FULL = [("agent", "agent-loadbalancing"), ("agent", "agent-kafka"), ("gateway", "gateway-kafka")]
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-5"}


def name(overlays: tuple[str, ...]) -> str:
    return "+".join(overlays)


@pytest.fixture
def backend() -> Iterator[Backend]:
    backend = Backend().start()
    yield backend
    backend.stop()


@pytest.mark.collector
@pytest.mark.parametrize("overlays", SMALL, ids=name)
def test_the_small_collector_takes_it(overlays: tuple[str, ...], tmp_path: Path) -> None:
    assert validated(require("collector"), tmp_path, *overlays) == (0, "")


@pytest.mark.collector
@pytest.mark.parametrize("overlays", SMALL + FULL, ids=name)
def test_the_full_collector_takes_it(overlays: tuple[str, ...], tmp_path: Path) -> None:
    assert validated(full_binary(), tmp_path, *overlays) == (0, "")


def test_every_overlay_is_tested() -> None:
    # These two have a room of their own: tests/collector.
    there = {path.stem for path in OVERLAYS.glob("*.yaml")} - {"metrics-from-spans", "calls-from-spans"}
    assert there == {one for overlays in SMALL + FULL for one in overlays}


@pytest.mark.parametrize("overlay", sorted({one for overlays in SMALL + FULL for one in overlays}))
def test_says_how_it_is_started_and_what_can_be_set(overlay: str) -> None:
    path = OVERLAYS / f"{overlay}.yaml"
    text = path.read_text()
    combination = next(one for one in SMALL + FULL if one[-1] == overlay)
    command = re.sub(r"[#\\\s]+", " ", text.split("otelcol-contrib", 1)[1].split("\n#\n", 1)[0])
    assert re.findall(r"--config (\S+)", command) == [
        str(one.relative_to(ROOT)) for one in files(*combination)
    ]
    documented = dict(re.findall(r"^#   (OTELCOL_\w+) +(\S+)", text, re.MULTILINE))
    # What otel-collector.yaml has already means the same here and has the same default.
    base = variables(files()[0])
    own = {one: defaults for one, defaults in variables(path).items() if one not in base}
    assert path.read_text().count("${") == sum(
        path.read_text().count(f"${{env:{one}:-") for one in variables(path)
    )
    assert {one: {default} for one, default in documented.items()} == own
    for one, defaults in variables(path).items():
        assert one in own or base[one] == defaults, one


def test_what_is_on_the_way_to_langfuse_waits_on_disk_and_is_never_given_up() -> None:
    for path in OVERLAYS.glob("*.yaml"):
        for exporter, config in (yaml.safe_load(path.read_text()).get("exporters") or {}).items():
            assert config["sending_queue"]["storage"] == "file_storage/queues", (path.name, exporter)
            assert config["retry_on_failure"]["max_elapsed_time"] == "0s", (path.name, exporter)


def test_tail_sampling_leaves_the_other_processors_as_they_are() -> None:
    def processors(path: Path) -> list[str]:
        pipeline = yaml.safe_load(path.read_text())["service"]["pipelines"]["traces/langfuse"]
        return list(pipeline["processors"])

    sampled = processors(OVERLAYS / "tail-sampling.yaml")
    assert [one for one in sampled if one != "tail_sampling"] == processors(files()[0])
    # After the filter: what Langfuse does not get needs no memory.
    assert sampled.index("tail_sampling") == sampled.index("filter/genai") + 1


def gateway_of(made: Tier) -> dict[str, str]:
    return {"OTELCOL_GATEWAY_ENDPOINT": f"127.0.0.1:{made.ports.otlp_grpc_port}"}


@pytest.mark.collector
def test_two_tiers_deliver_all_though_each_fails_in_turn(tmp_path: Path, backend: Backend) -> None:
    binary = require("collector")
    with ExitStack() as stack:
        gateway = stack.enter_context(tier(binary, tmp_path / "gateway", backend, "gateway"))
        where = gateway_of(gateway)
        agent = stack.enter_context(tier(binary, tmp_path / "agent", backend, "agent", **where))
        secret = {**CHAT, "text": "sk-proj-0123456789abcdefghij"}
        agent.send(traces(span("chat gpt-5", "00000000000000a1", secret), scope="another"))
        arrived = wait_for(lambda: backend.by_id().get("00000000000000a1"), "a span through both tiers")
        # The gateway did its work: Langfuse's form, and no secret.
        assert attributes(arrived.attributes)["langfuse.observation.type"] == "generation"
        assert "sk-proj" not in str(arrived)

        agent.send(ExportLogsServiceRequest.FromString(as_protobuf(evaluation("quality"))))
        wait_for(backend.log_records, "an evaluation result through both tiers")

        # No gateway: the agent says yes and keeps it, also when it is killed.
        gateway.stop(signal.SIGKILL)
        agent.send(traces(span("chat gpt-5", "00000000000000a2", CHAT)))
        agent.stop(signal.SIGKILL)
        agent.start()
        # No Langfuse: the gateway keeps it, also when it is killed.
        backend.answer = lambda path: 503
        gateway.start()
        refused = wait_for(lambda: [one for one in backend.requests if one.answered == 503], "a try")
        assert refused
        gateway.stop(signal.SIGKILL)
        backend.answer = lambda path: 200
        gateway.start()
        wait_for(lambda: "00000000000000a2" in backend.by_id(), "the span that waited", 60)

        # Counters come from one place, the agent of the machine.
        assert "system_cpu_time_seconds_total" in wait_for(agent.metrics, "metrics of the machine")
        assert "system_cpu" not in gateway.metrics()


@pytest.mark.collector
def test_metrics_are_pushed_and_wait_for_their_store(tmp_path: Path, backend: Backend) -> None:
    backend.answer = lambda path: 503
    endpoint = {"OTELCOL_METRICS_ENDPOINT": f"{backend.url}/otlp", "OTELCOL_METRICS_TENANT": "team-a"}
    with tier(require("collector"), tmp_path / "one", backend, "metrics-otlp", **endpoint):
        wait_for(lambda: backend.requests, "a try")
        backend.answer = lambda path: 200
        [first, *_] = wait_for(lambda: backend.accepted("/otlp/v1/metrics"), "metrics")
        assert first.headers["x-scope-orgid"] == "team-a"
        request = ExportMetricsServiceRequest.FromString(first.body)
        names = {
            metric.name
            for group in request.resource_metrics
            for scoped in group.scope_metrics
            for metric in scoped.metrics
        }
        assert "system.memory.usage" in names


@pytest.mark.collector
def test_failed_and_slow_and_dear_traces_are_kept(tmp_path: Path, backend: Backend) -> None:
    settings = {
        "OTELCOL_SAMPLING_WAIT": "1s",
        "OTELCOL_SAMPLING_PERCENT": "0",
        "OTELCOL_SAMPLING_SLOW_MS": "5000",
    }
    binary = require("collector")
    with tier(binary, tmp_path / "one", backend, "gateway", "tail-sampling", **settings) as gateway:
        kinds = {
            "failed": span("chat", "00000000000000b1", CHAT, status=Status(code=Status.STATUS_CODE_ERROR)),
            "slow": span("chat", "00000000000000b2", CHAT),
            "dear": span("chat", "00000000000000b3", {**CHAT, "gen_ai.usage.cost": 0.75}),
            "usual": span("chat", "00000000000000b4", {**CHAT, "gen_ai.usage.cost": 0.01}),
            # Langfuse would not get it, so it may not decide either.
            "http": span("GET", "00000000000000b5", {}, status=Status(code=Status.STATUS_CODE_ERROR)),
        }
        kinds["slow"].end_time_unix_nano = START + 6_000_000_000
        for number, one in enumerate(kinds.values(), 1):
            one.trace_id = number.to_bytes(16, "big")
        gateway.send(traces(*kinds.values()))
        kept = {one.span_id.hex() for one in list(kinds.values())[:3]}
        wait_for(lambda: backend.by_id().keys() >= kept, "the traces that are kept")
        # The others were decided at the same time; one more trace says that the decision is over.
        last = span("chat", "00000000000000b6", CHAT, status=Status(code=Status.STATUS_CODE_ERROR))
        last.trace_id = b"\x09" * 16
        gateway.send(traces(last))
        wait_for(lambda: "00000000000000b6" in backend.by_id(), "a later trace")
        assert backend.by_id().keys() == {*kept, "00000000000000b6"}


@pytest.mark.collector
def test_spans_find_the_gateway_of_their_trace(tmp_path: Path, backend: Backend) -> None:
    full = full_binary()
    with tier(require("collector"), tmp_path / "gateway", backend, "gateway") as gateway:
        where = {
            "OTELCOL_GATEWAY_HOST": "127.0.0.1",
            "OTELCOL_GATEWAY_PORT": str(gateway.ports.otlp_grpc_port),
            **gateway_of(gateway),
        }
        with tier(full, tmp_path / "agent", backend, "agent", "agent-loadbalancing", **where) as agent:
            agent.send(traces(span("chat gpt-5", "00000000000000c1", CHAT)))
            wait_for(lambda: "00000000000000c1" in backend.by_id(), "a span by load balancing")
            gateway.stop(signal.SIGKILL)
            agent.send(traces(span("chat gpt-5", "00000000000000c2", CHAT)))
            agent.stop(signal.SIGKILL)
            agent.start()
            gateway.start()
            wait_for(lambda: "00000000000000c2" in backend.by_id(), "the span that waited", 60)


@pytest.mark.collector
def test_kafka_holds_what_a_killed_gateway_had(tmp_path: Path, backend: Backend) -> None:
    """With the broker of OTEL_AGENTS_TEST_KAFKA, such as 127.0.0.1:9092, that makes topics by itself."""
    broker = os.environ.get("OTEL_AGENTS_TEST_KAFKA")
    if not broker:
        pytest.skip("no Kafka to test with: set OTEL_AGENTS_TEST_KAFKA to a broker's host:port")
    full = full_binary()
    where = {
        "OTELCOL_KAFKA_BROKER": broker,
        "OTELCOL_KAFKA_SPANS": f"spans-{os.getpid()}",
        "OTELCOL_KAFKA_EVALUATIONS": f"evaluations-{os.getpid()}",
    }
    with ExitStack() as stack:
        agent = stack.enter_context(tier(full, tmp_path / "agent", backend, "agent", "agent-kafka", **where))
        agent.send(traces(span("chat gpt-5", "00000000000000d1", CHAT)))
        agent.send(ExportLogsServiceRequest.FromString(as_protobuf(evaluation("quality"))))
        gateway = stack.enter_context(
            tier(full, tmp_path / "gateway", backend, "gateway", "gateway-kafka", **where)
        )
        wait_for(lambda: "00000000000000d1" in backend.by_id(), "a span through Kafka", 60)
        wait_for(backend.log_records, "an evaluation result through Kafka", 60)
        backend.answer = lambda path: 503
        gateway.stop(signal.SIGKILL)
        agent.send(traces(span("chat gpt-5", "00000000000000d2", CHAT)))
        gateway.start()
        wait_for(lambda: [one for one in backend.requests if one.answered == 503], "a try", 60)
        gateway.stop(signal.SIGKILL)
        backend.answer = lambda path: 200
        gateway.start()
        wait_for(lambda: "00000000000000d2" in backend.by_id(), "the span that waited", 60)
