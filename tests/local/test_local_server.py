"""Starting and stopping: ports, signals, one-line errors."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from local_spans import TRACE, client_of, export_request, span
from parts import free_port, wait_for

from otel_agents.local.app import create_app
from otel_agents.local.options import LocalError, LocalOptions
from otel_agents.local.server import running, serve

PROTOBUF = {"content-type": "application/x-protobuf"}


def test_without_options_everything_is_temporary() -> None:
    with running() as backend:
        path = backend.store.database.path
        assert path.exists()
        assert backend.host == "127.0.0.1"
        with client_of(backend) as client:
            assert client.get("/api/public/projects").status_code == 200
    assert not path.exists()


def test_data_survive_a_restart_of_the_server(options: LocalOptions) -> None:
    for expected in (0, 1):
        with running(options) as backend, client_of(backend) as client:
            assert len(client.get("/api/public/v2/observations").json()["data"]) == expected
            client.post("/api/public/otel/v1/traces", content=export_request(span()), headers=PROTOBUF)
            assert client.get(f"/api/public/v2/observations?traceId={TRACE}").json()["data"]


def test_port_in_use(options: LocalOptions) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        options.port = taken.getsockname()[1]
        with pytest.raises(LocalError) as error, running(options):
            pass
    assert str(error.value) == (
        f"port {options.port} on 127.0.0.1 is in use; stop what uses it or choose another port"
    )
    assert not options.db.exists()


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_host_that_is_not_here(options: LocalOptions, host: str) -> None:
    options.host = host
    with pytest.raises(LocalError, match="choose another host or port") as error, running(options):
        pass
    assert "\n" not in str(error.value)


def test_broken_database(options: LocalOptions) -> None:
    options.db.write_bytes(b"x" * 5000)
    with pytest.raises(LocalError, match="move it away"), running(options):
        pass
    with pytest.raises(LocalError, match="move it away"):
        serve(options)
    with pytest.raises(LocalError, match="move it away"):
        create_app(options)


def test_database_that_breaks_while_serving(options: LocalOptions, caplog: pytest.LogCaptureFixture) -> None:
    with running(options) as backend, client_of(backend) as client:
        with backend.store.database.writing() as connection:
            connection.execute("DROP TABLE payloads")
        answer = client.post("/api/public/otel/v1/traces", content=export_request(span()), headers=PROTOBUF)
        # contract 1, Auth: database down
        assert (answer.status_code, answer.json()) == (503, {"message": "Service Unavailable"})
        assert backend.store.list_traces().items == []
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert errors == [f"the database {options.db} cannot be used: no such table: payloads"]


def test_nobody_else_may_read_the_database(options: LocalOptions) -> None:
    with running(options) as backend, client_of(backend) as client:
        client.post("/api/public/otel/v1/traces", content=export_request(span()), headers=PROTOBUF)
        files = sorted(options.db.parent.iterdir())
        assert [path.name for path in files] == ["local.db", "local.db-shm", "local.db-wal"]
        assert [path.stat().st_mode & 0o777 for path in files] == [0o600] * 3


def test_default_keys_beyond_loopback_are_warned_about(
    options: LocalOptions, caplog: pytest.LogCaptureFixture
) -> None:
    options.host = "0.0.0.0"
    with running(options) as backend:
        assert backend.url.startswith("http://127.0.0.1:")
        assert (
            httpx.get(f"{backend.url}/api/public/health", headers={"host": "box.example"}).status_code == 200
        )
        assert httpx.get(f"{backend.url}/api/public/projects").status_code == 401
    assert "default keys" in caplog.text
    caplog.clear()
    options.secret_key = "sk-own"
    with running(options):
        pass
    assert "default keys" not in caplog.text


def test_retention_runs_at_start(options: LocalOptions) -> None:
    with running(options) as backend, client_of(backend) as client:
        client.post("/api/public/otel/v1/traces", content=export_request(span()), headers=PROTOBUF)
    options.retention_days = 1e-9
    with running(options) as backend:
        wait_for(lambda: backend.store.totals().n_traces == 0, "retention")


SERVE = """
import sys
from pathlib import Path
from otel_agents.local.options import LocalError, LocalOptions
from otel_agents.local.server import serve
try:
    serve(LocalOptions(db=Path(sys.argv[1]), port=int(sys.argv[2])), lambda url: print(url, flush=True))
except LocalError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_until_a_signal(tmp_path: Path, number: int) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(tmp_path / "local.db"), str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == f"http://127.0.0.1:{port}"
        url = f"http://127.0.0.1:{port}/api/public/otel/v1/traces"
        auth = ("pk-lf-local", "sk-lf-local")
        assert httpx.post(url, content=export_request(span()), headers=PROTOBUF, auth=auth).status_code == 200
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (errors, process.returncode) == ("", 0)
    options = LocalOptions(db=tmp_path / "local.db", port=0)
    with running(options) as backend:
        assert backend.store.get_trace(TRACE) is not None
