"""Without keys and endpoint: every call is there, of the same type, costs next to nothing, says nothing."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest
from parts import free_port

import otel_agents
from otel_agents import get_langfuse_observer, runtime, setup
from otel_agents.export.result import FlushResult
from otel_agents.observer import Execution, LangfuseObserver

pytestmark = pytest.mark.usefixtures("clean_globals")


@pytest.fixture
def disabled(caplog: pytest.LogCaptureFixture) -> LangfuseObserver:
    observer = get_langfuse_observer()
    caplog.clear()  # configure() has said that nothing is set
    caplog.set_level(logging.INFO)
    return observer


def test_every_call_is_there(disabled: LangfuseObserver, caplog: pytest.LogCaptureFixture) -> None:
    observer = disabled
    assert observer.enabled is False
    with observer.trace_agent_execution("t1", "claude", "p", {"k": 1}) as trace:
        assert isinstance(trace, Execution)
        assert trace.update(output="o", tokens=5, cost=0.1, metadata={"k": 2}) is trace
        assert trace.set_error("e") is trace
        assert (trace.trace_id, trace.observation_id) == ("0" * 32, "0" * 16)
        assert not trace.span.is_recording()
    observer.track_agent_selection("t1", "claude", "r", {})
    observer.track_quality_assessment("t1", "claude", 0.5)
    observer.track_agent_switch("t1", "a", "b", "r", 0.1, 0.2)
    observer.track_circuit_breaker_event("claude", "open", 5)
    observer.track_attempt("t1", "claude")
    observer.track_token_reduction(5, 1)
    assert isinstance(observer.flush(), FlushResult)
    assert observer.prompt("greet", fallback="Hello {{name}}").compile(name="Ada") == "Hello Ada"
    assert observer.langfuse.get_prompt("greet", fallback="f").prompt == "f"
    assert observer.langfuse.get_traces() == []
    assert observer.langfuse.auth_check() is False
    assert observer.langfuse._client_wrapper._base_url == observer.langfuse.base_url
    assert isinstance(observer.shutdown(), FlushResult)
    assert caplog.messages == []


async def test_exceptions_pass(disabled: LangfuseObserver) -> None:
    with pytest.raises(ValueError, match="mine"):
        async with disabled.trace_agent_execution("t1", "claude"):
            raise ValueError("mine")


def test_a_call_costs_next_to_nothing(disabled: LangfuseObserver) -> None:
    started = time.thread_time()
    for _ in range(1000):
        with disabled.trace_agent_execution("t1", "claude", "p", {"k": 1}) as trace:
            trace.update(output="o")
        disabled.track_agent_selection("t1", "claude", "r", {})
    assert (time.thread_time() - started) / 1000 < 0.000_5


def test_a_bad_setting_is_said_once_and_breaks_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_AGENTS_MODE", "sideways")
    caplog.set_level(logging.ERROR)
    for _ in range(3):
        observer = get_langfuse_observer()
        assert observer.enabled is False
        with observer.trace_agent_execution("t1", "claude"):
            pass
    assert sum("OTEL_AGENTS_MODE" in message for message in caplog.messages) == 1


def test_a_price_file_that_cannot_be_used_is_no_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "prices.toml").write_text("[prices.m]\ninput = -1\noutput = 1\n")
    monkeypatch.setenv("OTEL_AGENTS_PRICES_FILE", str(tmp_path / "prices.toml"))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    observer = get_langfuse_observer()
    assert observer.enabled is False
    assert any("prices.m.input" in message for message in caplog.messages)


def test_after_shutdown_nothing_is_recorded_and_nothing_complains(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("OTEL_AGENTS_SPOOL", "memory")
    observer = get_langfuse_observer()
    assert observer.enabled
    observer.shutdown()
    assert observer.enabled is False
    caplog.clear()
    with observer.trace_agent_execution("t1", "claude") as trace:
        trace.update(output="o")
    observer.track_agent_selection("t1", "claude", "r", {})
    assert caplog.messages == []


def test_what_is_configured_already_is_respected() -> None:
    settings = otel_agents.configure(mode="disabled", service_name="mine")
    observer = get_langfuse_observer()
    assert runtime.current().settings is settings
    assert get_langfuse_observer() is observer
    assert setup.configured()
