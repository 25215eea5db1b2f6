"""``GET /langfuse/summary``: the bridge's own, the mounted application, the FastAPI router."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from parts import free_port, wait_for
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient
from tasks_rig import add_task

from otel_agents.bridge import fastapi_router, summary_app
from otel_agents.bridge.summaries import NoSummary, Summaries
from otel_agents.config import Settings
from otel_agents.langfuse.tasks import Rollup
from otel_agents.local.faults import Fault
from otel_agents.local.options import LocalOptions
from otel_agents.local.server import Running, running

MakeSettings = Callable[..., Settings]


@pytest.fixture
def langfuse(tmp_path: Path) -> Iterator[Running]:
    with running(LocalOptions(db=tmp_path / "local.db", port=0)) as found:
        yield found


def test_the_figures_of_a_window(langfuse: Running, start_bridge: Any) -> None:
    add_task(langfuse, "claude", cost=0.02, quality=0.9)
    add_task(langfuse, "claude", cost=0.03, quality=0.8)
    add_task(langfuse, "gemini", cost=0.005)
    add_task(langfuse, "gemini", cost=0.005, error=True)
    add_task(langfuse, "claude", cost=9.0, ago=5400)  # an hour and a half ago
    with start_bridge(langfuse.url) as rig:
        body = rig.client.get("/langfuse/summary?hours=1").json()
        longer = rig.client.get("/langfuse/summary", params={"hours": "2.5"}).json()

    window = body.pop("window")
    assert body == {
        "total_tasks": 4,
        "total_cost": 0.06,
        "avg_quality": 0.85,  # of the two that have a score
        "agent_breakdown": {"claude": 2, "gemini": 2},
        "success_rate": 0.75,
        "agents": {
            "claude": {"tasks": 2, "cost": 0.05, "avg_quality": 0.85, "success_rate": 1.0},
            "gemini": {"tasks": 2, "cost": 0.01, "avg_quality": None, "success_rate": 0.5},
        },
        "cost_outside_tasks": 0.0,
        "stale": False,
    }
    assert window["hours"] == 1
    assert datetime.fromisoformat(window["to"]) - datetime.fromisoformat(window["from"]) == timedelta(hours=1)
    assert (longer["total_tasks"], longer["total_cost"]) == (5, 9.06)


def test_an_empty_window_is_no_error(langfuse: Running, start_bridge: Any) -> None:
    with start_bridge(langfuse.url) as rig:
        answer = rig.client.get("/langfuse/summary")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["total_tasks"], body["total_cost"], body["agent_breakdown"]) == (0, 0, {})
    assert (body["avg_quality"], body["success_rate"]) == (None, None)


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "inf", "x", "745", "1e999", "1;drop"])
def test_bad_hours(start_bridge: Any, nobody: str, hours: str) -> None:
    with start_bridge(nobody) as rig:
        answer = rig.client.get("/langfuse/summary", params={"hours": hours})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("hours must be a number above 0 and up to 744, not '")


def test_nothing_to_answer_with(start_bridge: Any, nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otel_agents.langfuse.read_api._CONNECTIONS", 1)
    with start_bridge(nobody) as rig:
        answer = rig.client.get("/langfuse/summary")
        page = rig.client.get("/metrics").text
    assert answer.status_code == 503
    assert answer.json() == {
        "detail": f"Langfuse at {nobody} is unreachable (connection refused); check LANGFUSE_BASE_URL"
    }
    assert "otel_agents_langfuse_up 0.0" in page
    assert "otel_agents_langfuse_tasks{" not in page


def test_the_last_answer_when_langfuse_is_down(
    langfuse: Running, make_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otel_agents.langfuse.read_api._TRIES", 1)
    add_task(langfuse, "claude")
    settings = make_settings(langfuse.url, summary_ttl=0.01, summary_interval=0)
    with TestClient(summary_app(settings)) as client:
        assert client.get("/langfuse/summary").json()["stale"] is False
        langfuse.backend.faults.add(Fault(status=503, times=0))
        time.sleep(0.02)  # the time to live
        body = client.get("/langfuse/summary").json()
        assert client.get("/langfuse/summary?hours=2").status_code == 503
        langfuse.backend.faults.clear()
        recovered = wait_for(
            lambda: (found := client.get("/langfuse/summary").json())["stale"] is False and found,
            "a fresh answer",
        )
    assert (body["stale"], body["total_tasks"]) == (True, 1)
    assert "fails (status 503" in body["problem"]
    assert "problem" not in recovered


class Reads:
    """Counts reads and lets them wait."""

    def __init__(self) -> None:
        self.count = 0
        self.gate = threading.Event()
        self.problem: Exception | None = None

    def __call__(self, since: datetime, until: datetime) -> Rollup:
        self.count += 1
        assert self.gate.wait(10)
        if self.problem is not None:
            raise self.problem
        return Rollup([], [])


def asked_by_many(summaries: Summaries, reads: Reads, callers: int) -> list[Any]:
    def ask() -> Any:
        return asyncio.run(summaries.get(1.0))

    with ThreadPoolExecutor(callers) as pool:
        asked = [pool.submit(ask) for _ in range(callers)]
        wait_for(lambda: reads.count, "a read")
        time.sleep(0.05)  # for the others to come
        reads.gate.set()
        return [one.exception() or one.result() for one in asked]


def test_those_who_ask_at_the_same_time_share_a_read() -> None:
    reads = Reads()
    answers = asked_by_many(Summaries(reads, ttl=60), reads, 20)
    assert reads.count == 1
    assert len({id(answer) for answer in answers}) == 1


def test_they_share_a_failure_too() -> None:
    reads = Reads()
    reads.problem = RuntimeError("boom\nand more")
    summaries = Summaries(reads, ttl=60)
    answers = asked_by_many(summaries, reads, 5)
    assert {type(answer) for answer in answers} == {NoSummary}
    assert str(answers[0]) == "reading Langfuse failed: RuntimeError: boom and more"
    assert asked_by_many(summaries, reads, 3)  # refused without a read, which would fail again
    assert reads.count == 1


async def test_a_read_that_takes_too_long_gives_way_to_the_last_answer() -> None:
    reads = Reads()
    reads.gate.set()
    summaries = Summaries(reads, ttl=0.001, patience=0.05)
    first = await summaries.get(1.0)
    reads.gate.clear()
    await asyncio.sleep(0.005)
    second = await summaries.get(1.0)
    assert (second.stale, second.summary) == (True, first.summary)
    assert second.problem == "Langfuse has not answered within 0.05 s"
    with pytest.raises(NoSummary, match="has not answered"):
        await summaries.get(2.0)
    reads.gate.set()


async def test_windows_that_nobody_asks_for_are_forgotten() -> None:
    reads = Reads()
    reads.gate.set()
    summaries = Summaries(reads, ttl=60)
    for hours in range(1, 100):
        await summaries.get(hours)
    assert len(summaries._kept) == 32


def test_mounted_in_an_application_of_the_user(langfuse: Running, make_settings: Any) -> None:
    add_task(langfuse, "claude", quality=0.5)
    settings = make_settings(langfuse.url, summary_interval=0.05)
    app = Starlette(routes=[Mount("/observability", summary_app(settings))])
    with TestClient(app) as client:
        assert client.get("/observability/langfuse/summary").json()["total_tasks"] == 1
        assert client.get("/observability/healthz").json() == {"status": "ok"}
        # A mounted application is not told of the start; the first scrape has it read.
        page = wait_for(
            lambda: "_langfuse_tasks{" in (text := client.get("/observability/metrics").text) and text,
            "the metrics",
        )
    assert 'otel_agents_langfuse_quality{gen_ai_agent_name="claude"} 0.5' in page


def test_without_keys_it_says_so_and_breaks_nothing() -> None:
    with TestClient(summary_app(Settings())) as client:
        answer = client.get("/langfuse/summary")
    assert answer.status_code == 503
    assert answer.json()["detail"].startswith("LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY are not set")


def test_fastapi(langfuse: Running, make_settings: Any) -> None:
    add_task(langfuse, "claude")
    app = FastAPI()
    app.include_router(fastapi_router(make_settings(langfuse.url), prefix="/api"))
    with TestClient(app) as client:
        assert client.get("/api/langfuse/summary?hours=1").json()["agent_breakdown"] == {"claude": 1}
        refused = client.get("/api/langfuse/summary?hours=0")
        assert refused.status_code == 422
        assert "greater than 0" in refused.text
        described = client.get("/openapi.json").json()["paths"]["/api/langfuse/summary"]["get"]
    assert [one["name"] for one in described["parameters"]] == ["hours"]
    assert set(described["responses"]) == {"200", "422", "503"}


def test_metrics_of_what_only_langfuse_knows(langfuse: Running, make_settings: Any) -> None:
    add_task(langfuse, "claude", cost=0.02, quality=0.9)
    add_task(langfuse, "claude", cost=0.03, error=True)
    for number in range(4):
        add_task(langfuse, f"rare-{number}", cost=0.5)
    settings = make_settings(langfuse.url, summary_interval=0.05, label_limit=3)
    with TestClient(summary_app(settings)) as client:
        page = wait_for(
            lambda: "_langfuse_tasks{" in (text := client.get("/metrics").text) and text, "the metrics"
        )
        samples = dict(
            line.rsplit(" ", 1)
            for line in page.splitlines()
            if line.startswith("otel_agents_langfuse_") and "seconds" not in line
        )
    outcomes = {name: float(value) for name, value in samples.items() if "reads" in name}
    assert outcomes['otel_agents_langfuse_reads_total{outcome="success"}'] >= 1
    label = "gen_ai_agent_name"
    assert {name: float(value) for name, value in samples.items() if "reads" not in name} == {
        "otel_agents_langfuse_up": 1,
        f'otel_agents_langfuse_tasks{{{label}="claude",status="success"}}': 1,
        f'otel_agents_langfuse_tasks{{{label}="claude",status="error"}}': 1,
        f'otel_agents_langfuse_tasks{{{label}="rare-0",status="success"}}': 1,
        f'otel_agents_langfuse_tasks{{{label}="rare-0",status="error"}}': 0,
        f'otel_agents_langfuse_tasks{{{label}="other",status="success"}}': 3,
        f'otel_agents_langfuse_tasks{{{label}="other",status="error"}}': 0,
        f'otel_agents_langfuse_cost{{{label}="claude"}}': 0.05,
        f'otel_agents_langfuse_cost{{{label}="rare-0"}}': 0.5,
        f'otel_agents_langfuse_cost{{{label}="other"}}': 1.5,
        f'otel_agents_langfuse_quality{{{label}="claude"}}': 0.9,
        f'otel_agents_langfuse_scored_tasks{{{label}="claude"}}': 1,
        f'otel_agents_langfuse_scored_tasks{{{label}="rare-0"}}': 0,
        f'otel_agents_langfuse_scored_tasks{{{label}="other"}}': 0,
    }


def test_a_scrape_does_not_wait_for_langfuse(make_settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = Reads()  # closed: the read hangs
    monkeypatch.setattr("otel_agents.bridge.summary_routes.reader", lambda settings: reads)
    with TestClient(summary_app(make_settings(f"http://127.0.0.1:{free_port()}"))) as client:
        wait_for(lambda: reads.count, "the read")
        started = time.monotonic()
        page = client.get("/metrics").text
        took = time.monotonic() - started
        reads.gate.set()
    assert "otel_agents_langfuse_up 0.0" in page
    assert took < 8  # the read takes ten


def test_figures_that_are_too_old_are_no_longer_served(
    make_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prometheus_client import CollectorRegistry

    from otel_agents.bridge.langfuse_meters import LangfuseMeters
    from otel_agents.bridge.summaries import Answer
    from otel_agents.bridge.summary import Figures, Summary

    meters = LangfuseMeters(CollectorRegistry(), Summaries(Reads()), interval=60, label_limit=10)
    now = datetime.now(UTC)
    meters._take(Answer(Summary(now, now, Figures(1), {"claude": Figures(1, 1)})))
    assert "otel_agents_langfuse_tasks" in {one.name for one in meters.collect()}
    monkeypatch.setattr(meters, "_read_at", time.time() - 301)
    assert {one.name for one in meters.collect()} == {
        "otel_agents_langfuse_up",
        "otel_agents_langfuse_reads",
        "otel_agents_langfuse_last_read_timestamp_seconds",
        "otel_agents_langfuse_read_seconds",
    }
