"""configure(): what is set decides where telemetry goes, once, whoever was there before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from stub_backend import StubBackend

import otel_agents
from otel_agents import runtime

pytestmark = pytest.mark.usefixtures("clean_globals")


@pytest.fixture
def backend() -> StubBackend:
    with StubBackend() as running:
        yield running


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, otel_agents\n"
        "heavy = {'opentelemetry', 'langfuse', 'httpx', 'httpx2', 'genai_prices', 'prometheus_client'}\n"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    for name in otel_agents.__all__:
        assert getattr(otel_agents, name) is not None
    # A function that shares its module's name would turn into the module after the first import of it.
    for name in ("agent", "tool", "context", "inference", "event", "score", "flush"):
        assert callable(getattr(otel_agents, name)), name


def test_collector_mode_sends_spans_metrics_and_evaluations(backend: StubBackend) -> None:
    settings = otel_agents.configure(otlp_endpoint=backend.url, service_name="app", schedule_delay=0.05)
    assert settings.mode == "collector"

    @otel_agents.agent("researcher")
    def work() -> None:
        otel_agents.score("quality", 0.9, comment="good")

    work()
    result = otel_agents.flush(timeout=10)
    assert (result.delivered, result.dropped, result.pending) == (1, 0, 0)
    [span] = backend.spans()
    assert span.name == "invoke_agent researcher"
    assert backend.resource()["service.name"] == "app"
    assert not any(one.key.startswith("langfuse.") for one in span.attributes)
    assert "gen_ai.invoke_agent.duration" in backend.metric_names()
    [evaluation] = backend.log_records()
    assert evaluation.event_name == "gen_ai.evaluation.result"
    assert evaluation.trace_id == span.trace_id


def test_direct_mode_sends_langfuse_its_own_names(backend: StubBackend) -> None:
    settings = otel_agents.configure(
        langfuse_public_key="pk-lf-x",
        langfuse_secret_key="sk-lf-x",
        langfuse_base_url=backend.url,
        metrics_port=0,
    )
    assert settings.mode == "direct"
    with (
        otel_agents.context(session="s-1"),
        otel_agents.agent("researcher"),
        runtime.current().tracer().start_as_current_span("infrastructure"),
    ):
        pass
    result = otel_agents.flush(timeout=10)
    assert (result.delivered, result.filtered) == (1, 1)
    [span] = backend.spans()
    attributes = {one.key: one.value.string_value for one in span.attributes}
    assert attributes["langfuse.observation.type"] == "agent"
    assert attributes["session.id"] == "s-1"
    request = backend.requests[0]
    assert request.path == "/api/public/otel/v1/traces"
    assert request.headers["x-langfuse-ingestion-version"] == "4"
    assert request.headers["authorization"].startswith("Basic ")
    assert request.headers["content-encoding"] == "gzip"


def test_nothing_set_sends_nothing_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    settings = otel_agents.configure()
    otel_agents.configure()
    assert settings.mode == "disabled"
    assert sum("nothing says where telemetry goes" in one.message for one in caplog.records) == 1
    with otel_agents.agent("quiet"):
        pass
    assert otel_agents.flush().delivered == 0
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def test_the_sdk_switched_off_is_off(monkeypatch: pytest.MonkeyPatch, backend: StubBackend) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    settings = otel_agents.configure(otlp_endpoint=backend.url)
    assert settings.enabled is False

    @otel_agents.agent
    def work() -> int:
        return 7

    assert work() == 7
    otel_agents.flush()
    assert backend.requests == []


def test_configuring_twice_changes_nothing(backend: StubBackend, caplog: pytest.LogCaptureFixture) -> None:
    first = otel_agents.configure(otlp_endpoint=backend.url)
    again = otel_agents.configure(service_name="other")
    assert again is first
    assert "already configured" in caplog.text
    with otel_agents.agent("once"):
        pass
    assert otel_agents.flush().delivered == 1
    assert len(backend.spans()) == 1


def test_it_can_be_configured_anew_after_a_shutdown(backend: StubBackend) -> None:
    otel_agents.configure(otlp_endpoint="http://127.0.0.1:9", schedule_delay=60.0)
    otel_agents.shutdown(timeout=0.5)
    otel_agents.configure(otlp_endpoint=backend.url)
    with otel_agents.agent("second life"):
        pass
    assert otel_agents.flush().delivered == 1


def test_an_apps_own_provider_is_kept(backend: StubBackend, caplog: pytest.LogCaptureFixture) -> None:
    theirs = TracerProvider(shutdown_on_exit=False)
    trace.set_tracer_provider(theirs)
    otel_agents.configure(otlp_endpoint=backend.url)
    assert trace.get_tracer_provider() is theirs
    assert "Overriding" not in caplog.text
    with otel_agents.agent("guest"), trace.get_tracer("theirs").start_as_current_span("theirs"):
        pass
    assert otel_agents.flush().delivered == 2
    assert {span.name for span in backend.spans()} == {"invoke_agent guest", "theirs"}


def test_a_users_instance_id_moves_out_of_the_way(
    monkeypatch: pytest.MonkeyPatch, backend: StubBackend
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=pod-7,team=core")
    otel_agents.configure(otlp_endpoint=backend.url)
    with otel_agents.agent("any"):
        pass
    otel_agents.flush()
    resource = backend.resource()
    assert resource["otel_agents.service.instance.id"] == "pod-7"
    assert resource["service.instance.id"] != "pod-7"
    assert len(resource["service.instance.id"]) == 36
    assert resource["team"] == "core"


@pytest.mark.parametrize(
    ("arguments", "description"),
    [
        ({"traces_sampler": "always_off"}, "AlwaysOffSampler"),
        ({"traces_sampler": "TraceIdRatio", "traces_sampler_arg": 0.25}, "TraceIdRatioBased{0.25}"),
        ({"traces_sampler": "traceidratio"}, "TraceIdRatioBased{1.0}"),
        ({"traces_sampler_arg": 0.5}, "TraceIdRatioBased{0.5}"),  # the name is the environment's
        ({}, "TraceIdRatioBased{0.75}"),
    ],
)
def test_the_sampler_can_be_an_argument(
    backend: StubBackend, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], description: str
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "" if "traces_sampler" in arguments else "0.75")
    otel_agents.configure(otlp_endpoint=backend.url, **arguments)
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    assert provider.sampler.get_description() == description


def test_a_bad_setting_is_one_error_that_names_it() -> None:
    with pytest.raises(otel_agents.ConfigError, match="traces_sampler must be one of always_on, always_off"):
        otel_agents.configure(traces_sampler="sometimes")
    with pytest.raises(otel_agents.ConfigError) as caught:
        otel_agents.configure(capture="everything")
    assert "capture" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_grpc_reaches_a_collector(backend: StubBackend) -> None:
    with backend.grpc() as address:
        otel_agents.configure(otlp_endpoint=f"http://{address}", otlp_protocol="grpc")
        with otel_agents.agent("by grpc"):
            pass
        assert otel_agents.flush(timeout=10).delivered == 1
        assert [span.name for span in backend.spans()] == ["invoke_agent by grpc"]


def test_an_exiting_process_sends_what_it_has(backend: StubBackend, tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(
        "import otel_agents\n"
        f"otel_agents.configure(otlp_endpoint={backend.url!r}, schedule_delay=60.0)\n"
        "@otel_agents.agent\n"
        "def last_words():\n    return 1\n"
        "last_words()\n"
    )
    subprocess.run([sys.executable, str(app)], check=True, cwd=tmp_path, timeout=60)
    assert [span.name for span in backend.spans()] == ["invoke_agent last_words"]
    assert "gen_ai.invoke_agent.duration" in backend.metric_names()


def test_what_ends_last_of_all_is_sent_too(backend: StubBackend, tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(
        "import atexit, otel_agents\n"
        f"otel_agents.configure(otlp_endpoint={backend.url!r}, schedule_delay=60.0)\n"
        "@otel_agents.agent\n"
        "def very_last():\n    return 1\n"
        "atexit.register(very_last)\n"  # runs before ours, when no thread of the pipeline is there yet
    )
    done = subprocess.run([sys.executable, app], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.stderr == ""
    assert [span.name for span in backend.spans()] == ["invoke_agent very_last"]
    assert "gen_ai.invoke_agent.duration" in backend.metric_names()


def test_a_dead_collector_does_not_hold_up_the_end(tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(
        "import time, otel_agents\n"
        "otel_agents.configure(otlp_endpoint='http://127.0.0.1:9')\n"
        "with otel_agents.agent('a'): pass\n"
        "otel_agents.score('quality', 1.0)\n"
        "started = time.monotonic()\n"
        "result = otel_agents.shutdown(timeout=1.0)\n"
        "print(result.spooled, result.dropped, time.monotonic() - started < 5)\n"
    )
    done = subprocess.run(
        [sys.executable, str(app)], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.stdout.strip() == "1 0 True", done.stderr


def test_a_forked_child_counts_under_a_name_of_its_own(backend: StubBackend, tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(
        "import os, otel_agents\n"
        f"otel_agents.configure(otlp_endpoint={backend.url!r}, metric_interval=60.0)\n"
        "def run(name):\n"
        "    with otel_agents.agent(name): pass\n"
        "run('parent'); run('parent')\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    run('child')\n"
        "    otel_agents.flush()\n"
        "    os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
    )
    subprocess.run([sys.executable, str(app)], check=True, cwd=tmp_path, timeout=60)
    runs = backend.agent_runs()
    assert sorted((name, count) for _, name, count in runs) == [("child", 1), ("parent", 2)]
    assert len({instance for instance, _, _ in runs}) == 2
    assert sorted(span.name for span in backend.spans()) == [
        "invoke_agent child",
        "invoke_agent parent",
        "invoke_agent parent",
    ]


def test_what_others_put_into_spans_is_redacted_before_it_leaves(backend: StubBackend) -> None:
    otel_agents.configure(otlp_endpoint=backend.url)
    secret = "sk-proj-0123456789abcdefghij"
    with trace.get_tracer("somebody.else").start_as_current_span(f"call {secret}") as span:
        span.set_attribute("note", f"key {secret}")
        span.add_event("exception", {"exception.message": f"denied for {secret}"})
        span.set_status(trace.Status(trace.StatusCode.ERROR, f"no access with {secret}"))
    otel_agents.flush()
    assert len(backend.spans()) == 1
    assert all(secret.encode() not in request.body for request in backend.requests)
