"""``otel-agents spool``: what people see of the spool, and what they can do about it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fault_proxy import PASS, FaultProxy, answer
from outlets import entries
from score_server import ScoreServer
from stub_backend import StubBackend

from otel_agents.export import dead_letters
from otel_agents.export.entries import Entry
from otel_agents.export.leftovers import Destination, describe
from otel_agents.export.spool import Spool

COMMAND = Path(sys.executable).with_name("otel-agents")


def spool(root: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    foreign = ("OTEL_", "LANGFUSE_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    own = {"OTEL_AGENTS_SPOOL_DIR": str(root), "OTEL_AGENTS_DOTENV": "off", **environ}
    return subprocess.run(
        [COMMAND, "spool", *arguments], env={**inherited, **own}, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def full(root: Path, proxy: FaultProxy) -> Path:
    """Two spans that a process left, and one that was refused."""
    destination = Destination("collector", f"{proxy.url}/v1/traces", "")
    folder = destination.folder(root)
    folder.mkdir(parents=True)
    describe(folder, destination)
    left = Spool.create(folder, "spans")
    left.add(entries("a", "b"))
    left.close()
    dead_letters.write(folder, entries("poison")[0], "status_400", "status 400: bad id")
    return folder


def test_show_says_what_waits_and_what_was_refused(full: Path, root: Path, proxy: FaultProxy) -> None:
    held = Spool.create(full, "spans")
    held.add(entries("c"))
    shown = spool(root, "show").stdout
    assert f"collector {proxy.url}/v1/traces" in shown
    assert "left     1 file, 2 spans" in shown
    assert "in use   1 file, 1 span" in shown
    assert "refused  poison" in shown
    assert "status 400: bad id" in shown
    [one] = json.loads(spool(root, "show", "--json").stdout)
    assert [(file["state"], file["count"]) for file in one["files"]] == [("left", 2), ("in use", 1)]
    assert [letter["name"] for letter in one["refused"]] == ["poison"]
    held.close()


def test_an_empty_spool(root: Path) -> None:
    assert spool(root, "show").stdout == "nothing waits on disk\n"
    assert spool(root, "drop").stdout == "nothing to delete\n"


def test_retry_sends_what_is_left_and_what_was_refused(
    full: Path, root: Path, proxy: FaultProxy, backend: StubBackend
) -> None:
    done = spool(root, "retry", OTEL_EXPORTER_OTLP_ENDPOINT=proxy.url)
    assert done.stdout == f"delivered 3 spans to {proxy.url}/v1/traces\n", done.stderr
    assert sorted(span.name for span in backend.spans()) == ["a", "b", "poison"]
    assert spool(root, "show").stdout == "nothing waits on disk\n"


def test_retry_sends_events_and_last_metrics_as_well(
    root: Path, proxy: FaultProxy, backend: StubBackend
) -> None:
    proxy.refuse()
    app = """
import sys, otel_agents
otel_agents.configure(otlp_endpoint=sys.argv[1], instrument_libraries=False)
with otel_agents.agent("one"):
    otel_agents.score("good", 0.5)
"""
    environ = {**os.environ, "OTEL_AGENTS_SPOOL_DIR": str(root), "OTEL_AGENTS_DOTENV": "off"}
    subprocess.run([sys.executable, "-c", app, proxy.url], env=environ, check=True, timeout=60)
    assert spool(root, "retry", OTEL_EXPORTER_OTLP_ENDPOINT=proxy.url).returncode == 1
    proxy.accept()
    done = spool(root, "retry", OTEL_EXPORTER_OTLP_ENDPOINT=proxy.url)
    assert done.returncode == 0, done.stderr
    assert f"delivered 1 event to {proxy.url}/v1/logs\n" in done.stdout
    assert f"delivered 1 last metric to {proxy.url}/v1/metrics\n" in done.stdout
    assert [span.name for span in backend.spans()] == ["invoke_agent one"]
    assert len(backend.log_records()) == 1
    assert "gen_ai.invoke_agent.duration" in backend.metric_names()
    assert spool(root, "show").stdout == "nothing waits on disk\n"


def test_retry_sends_scores_of_direct_mode(root: Path) -> None:
    with ScoreServer() as server:
        folder = Destination("langfuse", server.url, "pk-lf-a").folder(root)
        left = Spool.create(folder, "scores")
        heads = (b"", b'["id", 1763900000123456789]')  # as they are written, and as they once were
        left.add(
            [
                Entry(heads[number % 2], json.dumps({"name": f"score {number}"}).encode())
                for number in range(40)
            ]
        )
        left.close()
        keys = {"LANGFUSE_PUBLIC_KEY": "pk-lf-a", "LANGFUSE_SECRET_KEY": "sk-lf-a"}
        done = spool(root, "retry", LANGFUSE_BASE_URL=server.url, **keys)
        assert done.returncode == 0, done.stderr
        assert f"delivered 40 scores to {server.url}\n" in done.stdout
        found = sorted(score["name"] for score in server.scores())
        assert found == sorted(f"score {number}" for number in range(40))
        assert max(len(request.body) for request in server.requests) <= 15
        assert spool(root, "show").stdout == "nothing waits on disk\n"


def test_retry_keeps_what_is_refused_again(full: Path, root: Path, proxy: FaultProxy) -> None:
    proxy.fault = lambda spans: answer(400) if any(s.name == "poison" for s in spans) else PASS
    done = spool(root, "retry", OTEL_EXPORTER_OTLP_ENDPOINT=proxy.url)
    assert done.returncode == 1
    assert "delivered 2 spans" in done.stdout
    assert "1 were refused again" in done.stderr
    assert "refused  poison" in spool(root, "show").stdout


def test_retry_needs_to_know_where_to(full: Path, root: Path) -> None:
    done = spool(root, "retry")
    assert done.returncode == 1
    assert done.stderr.startswith("error: nothing says where to send to")
    assert len(done.stderr.splitlines()) == 1


def test_drop_deletes_all_but_what_is_in_use(full: Path, root: Path) -> None:
    held = Spool.create(full, "spans")
    held.add(entries("c"))
    done = spool(root, "drop", "--yes")
    assert done.stdout == "deleted 1 file with 2 spans and scores, and 1 refused span\n"
    assert held.path.exists()
    held.close()
