"""Servers whose app calls ``configure()`` itself, wherever it does: stopped by SIGTERM, nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from parts import free_port, wait_for
from stub_backend import StubBackend
from telemetry import spans
from venvs import ROOT, python_with

APP = """
import os
import otel_agents
from otel_agents import agent

otel_agents.configure()

def answer():
    with agent("one"):
        return str(os.getpid()).encode()

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer() if environ["PATH_INFO"] == "/" else b"up"]

async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    body = answer() if scope["path"] == "/" else b"up"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""
TASKS = """
import os
import celery
import otel_agents
from otel_agents import agent

otel_agents.configure()
folders = {name: os.environ["QUEUE"] for name in ("data_folder_in", "data_folder_out", "control_folder")}
app = celery.Celery("tasks", broker="filesystem://")
app.conf.update(broker_transport_options=folders, worker_hijack_root_logger=False)

@app.task(name="work")
def work(number):
    with agent("one"):
        pass
    with open(os.environ["DONE"], "a") as done:
        done.write(f"{number}\\n")

if __name__ == "__main__":
    for number in range(6):
        work.delay(number)
"""


@pytest.fixture
def backend() -> Iterator[StubBackend]:
    with StubBackend() as backend:
        yield backend


@pytest.fixture
def environment(tmp_path: Path, backend: StubBackend) -> dict[str, str]:
    foreign = ("OTEL_", "LANGFUSE_", "PYTHONPATH")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {
        **inherited,
        "PYTHONPATH": f"{ROOT}:{tmp_path}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
        "OTEL_AGENTS_SPOOL_DIR": str(tmp_path / "spool"),
        "OTEL_BSP_SCHEDULE_DELAY": "60000",  # so that only what is sent at the end arrives
        "OTEL_METRIC_EXPORT_INTERVAL": "60000",
        "OTEL_AGENTS_DOTENV": "off",
    }


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (("gunicorn", "-w", "2", "--bind", "127.0.0.1:{port}", "app:wsgi"), 0),
        (("gunicorn", "-w", "2", "--preload", "--bind", "127.0.0.1:{port}", "app:wsgi"), 0),
        (("gunicorn", "-w", "1", "--max-requests", "4", "--bind", "127.0.0.1:{port}", "app:wsgi"), 0),
        # Having stopped it raises the signal again, with the default put back.
        (("uvicorn", "--port", "{port}", "app:asgi"), -signal.SIGTERM),
        (("uvicorn", "--port", "{port}", "--workers", "2", "app:asgi"), 0),
    ],
    ids=["gunicorn", "gunicorn-preload", "gunicorn-max-requests", "uvicorn", "uvicorn-workers"],
)
def test_servers(
    tmp_path: Path,
    backend: StubBackend,
    environment: dict[str, str],
    command: tuple[str, ...],
    status: int,
) -> None:
    python = python_with("openai==3.54.0", "gunicorn>=23", "uvicorn>=0.34")
    (tmp_path / "app.py").write_text(dedent(APP))
    port = free_port()
    process = subprocess.Popen(
        [python, "-m", *(one.format(port=port) for one in command)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_for(lambda: _get(port, "/up") == "up", "the server", timeout=60)
        for _ in range(12):
            wait_for(lambda: _get(port, "/"), "an answer")
    finally:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == status, output
    assert [span.name for span in spans(backend)] == ["invoke_agent one"] * 12, output
    ids = [span.id for span in spans(backend)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    "options", [(), ("--max-tasks-per-child", "1")], ids=["prefork", "max-tasks-per-child"]
)
def test_celery(
    tmp_path: Path, backend: StubBackend, environment: dict[str, str], options: tuple[str, ...]
) -> None:
    python = python_with("openai==3.54.0", "celery>=5.5")
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "queue").mkdir()
    done = tmp_path / "done"
    environment = {**environment, "QUEUE": str(tmp_path / "queue"), "DONE": str(done)}
    subprocess.run([python, "tasks.py"], cwd=tmp_path, env=environment, check=True, timeout=60)
    worker = subprocess.Popen(
        [python, "-m", "celery", "-A", "tasks", "worker", "-c", "2", *options],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_for(lambda: done.exists() and len(done.read_text().split()) == 6, "the tasks", timeout=60)
    finally:
        worker.send_signal(signal.SIGTERM)
        output, _ = worker.communicate(timeout=60)
    assert worker.returncode == 0, output
    assert [span.name for span in spans(backend)] == ["invoke_agent one"] * 6, output


def _get(port: int, path: str) -> str | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as response:
            return str(response.read().decode())
    except OSError:
        return None
