"""``observer.langfuse``: the official client for the settings in force, without a second export."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from langfuse import Langfuse as Sdk
from langfuse._client.resource_manager import LangfuseResourceManager
from observer_rig import Langfuse
from opentelemetry import trace
from parts import free_port

import otel_agents
from otel_agents import get_langfuse_observer
from otel_agents.langfuse.unavailable import LangfuseUnavailable
from otel_agents.local.faults import Fault
from otel_agents.observer import LangfuseObserver


def test_it_is_the_official_client_for_the_settings(observer: LangfuseObserver, langfuse: Langfuse) -> None:
    client = observer.langfuse
    assert client is observer.langfuse
    assert client.auth_check()
    assert client.base_url == client._client_wrapper._base_url == langfuse.backend.url
    assert client.api.health.health().status == "OK"
    assert client.create_prompt(name="p", prompt="x").version == 1
    assert client.get_trace_url(trace_id="abc") == f"{langfuse.backend.url}/project/local/traces/abc"
    with pytest.raises(AttributeError):
        _ = client.no_such_thing


def test_spans_are_exported_once(observer: LangfuseObserver, langfuse: Langfuse) -> None:
    provider = trace.get_tracer_provider()
    assert observer.langfuse.auth_check()
    with observer.trace_agent_execution("t1", "claude") as execution:
        execution.update(tokens=5, cost=0.1)
    assert observer.flush().ok
    assert trace.get_tracer_provider() is provider
    kinds = [type(one).__name__ for one in provider._active_span_processor._span_processors]  # type: ignore[attr-defined]
    assert "LangfuseSpanProcessor" not in kinds
    assert langfuse.tree() == ["chat < invoke_agent claude", "invoke_agent claude < -"]
    assert langfuse.findings() == []


def test_a_client_of_the_apps_own_stays_what_it_is(observer: LangfuseObserver, langfuse: Langfuse) -> None:
    """The SDK keeps one client a key: neither may get the other's."""
    assert observer.langfuse.auth_check()
    assert langfuse.backend.public_key not in LangfuseResourceManager._instances
    from opentelemetry.sdk.trace import TracerProvider

    keys = {"public_key": langfuse.backend.public_key, "secret_key": langfuse.backend.secret_key}
    own = Sdk(**keys, base_url=langfuse.backend.url, tracer_provider=TracerProvider())
    try:
        with own.start_as_current_observation(name="theirs"):
            pass
        own.flush()
        assert [row.name for row in langfuse.rows()] == ["theirs"]
        observer.shutdown()
        again = get_langfuse_observer()
        assert again.langfuse.auth_check()
        assert LangfuseResourceManager._instances[langfuse.backend.public_key] is own._resources
    finally:
        own.shutdown()
        LangfuseResourceManager._instances.pop(langfuse.backend.public_key, None)


def test_traces(observer: LangfuseObserver, langfuse: Langfuse) -> None:
    begun = datetime.now(UTC)
    with observer.trace_agent_execution(
        "t1", "claude", "question", {"project_id": "p1"}, user="ada", session="s1", tags=["nightly"]
    ) as execution:
        execution.update(output="answer", tokens={"input": 100, "output": 20}, cost=0.25)
        observer.track_quality_assessment("t1", "claude", 0.9)
    with pytest.raises(ValueError, match="no"), observer.trace_agent_execution("t2", "gemini"):
        raise ValueError("no")
    assert observer.flush().ok
    failed, good = observer.langfuse.get_traces(from_timestamp=begun - timedelta(minutes=1))
    assert (good.task_id, good.cost, good.tokens, good.status) == ("t1", 0.25, 120, "success")
    assert good.id == execution.trace_id
    assert good.metadata["agent"] == "claude"
    assert good.metadata["quality"] == 0.9
    assert good.metadata["project_id"] == "p1"
    assert (good.user_id, good.session_id, good.name) == ("ada", "s1", "invoke_agent claude")
    assert good.tags == ("nightly",)
    assert "question" in (good.input or "")
    assert "answer" in (good.output or "")
    assert begun - timedelta(seconds=1) < good.timestamp < datetime.now(UTC)
    assert 0 <= good.latency < 60
    assert (failed.task_id, failed.cost, failed.status) == ("t2", 0, "error")
    assert failed.metadata.get("quality", 0) == 0

    get = observer.langfuse.get_traces
    assert [row.task_id for row in get(limit=1)] == ["t2"]
    assert [row.task_id for row in get(user_id="ada")] == ["t1"]
    assert [row.task_id for row in get(session_id="s1", tags="nightly")] == ["t1"]
    assert [row.task_id for row in get(name="invoke_agent gemini")] == ["t2"]
    assert get(tags=["other"]) == get(environment="staging") == []


def test_times_of_traces_in_any_form(observer: LangfuseObserver, langfuse: Langfuse) -> None:
    with observer.trace_agent_execution("t1", "claude"):
        pass
    assert observer.flush().ok
    now, get = datetime.now(UTC), observer.langfuse.get_traces
    hour = timedelta(hours=1)
    for since in (
        now - hour,
        (now - hour).replace(tzinfo=None),
        (now - hour).astimezone(timezone(timedelta(hours=9))),
        (now - hour).isoformat(),
        (now - 24 * hour).date(),
        f"{now - 24 * hour:%Y-%m-%d}",
    ):
        assert [row.task_id for row in get(from_timestamp=since)] == ["t1"], since
        assert get(from_timestamp=now - 48 * hour, to_timestamp=since) == [], since
    with pytest.raises(TypeError, match=r"from_timestamp must be a time, such as .*, not 'an hour ago'"):
        get(from_timestamp="an hour ago")
    with pytest.raises(TypeError, match="to_timestamp must be a time"):
        get(to_timestamp=1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="limit must be a whole number, not '3'"):
        get(limit="3")  # type: ignore[arg-type]
    assert get(from_timestamp=datetime(2020, 1, 1), to_timestamp=datetime(2020, 1, 2), page=3) == []


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_server_that_refuses_is_a_clear_error(
    observer: LangfuseObserver, langfuse: Langfuse, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otel_agents.observer.traces._PATIENCE", 0.2)
    langfuse.backend.backend.faults.add(Fault("/api/public/v2/observations", status=status, times=100))
    with pytest.raises(LangfuseUnavailable) as raised:
        observer.langfuse.get_traces()
    assert langfuse.backend.url in str(raised.value)
    assert "\n" not in str(raised.value)


def test_settings_that_change_get_another_client(langfuse: Langfuse, variables: dict[str, str]) -> None:
    first = get_langfuse_observer()
    client = first.langfuse
    first.shutdown()
    otel_agents.configure(langfuse_base_url=f"http://127.0.0.1:{free_port()}", metrics_exporter="none")
    assert get_langfuse_observer() is first
    assert first.langfuse is not client
    assert first.langfuse.base_url != client.base_url


def test_its_threads_end_with_the_observer(observer: LangfuseObserver, tmp_path: Path) -> None:
    before = set(threading.enumerate())
    assert observer.langfuse.auth_check()
    started = set(threading.enumerate()) - before
    assert started, "the client has threads of its own"
    observer.shutdown()
    for thread in started:
        thread.join(5)
    assert [thread for thread in started if thread.is_alive()] == []
