"""``otel-agents run`` with the servers that people deploy: workers are forked or spawned, then stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from modelserver import running
from modelserver.server import ModelServer
from parts import free_port, wait_for
from stub_backend import StubBackend
from telemetry import counted, instances, spans
from venvs import ROOT, python_with

APP = """
import os
import openai

client = openai.OpenAI(base_url=os.environ["MODEL_URL"] + "/v1", api_key="sk-any", max_retries=0)

def answer():
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
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


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with running(latency="none") as server:
        yield server


@pytest.fixture
def backend() -> Iterator[StubBackend]:
    with StubBackend() as backend:
        yield backend


@pytest.mark.parametrize(
    "command",
    [
        ("gunicorn", "-w", "2", "--bind", "127.0.0.1:{port}", "app:wsgi"),
        ("gunicorn", "-w", "2", "--preload", "--bind", "127.0.0.1:{port}", "app:wsgi"),
        ("uvicorn", "--port", "{port}", "app:asgi"),
        ("uvicorn", "--port", "{port}", "--workers", "2", "app:asgi"),
        ("-m", "uvicorn", "--port", "{port}", "--workers", "2", "app:asgi"),
    ],
    ids=["gunicorn", "gunicorn-preload", "uvicorn", "uvicorn-workers", "module-uvicorn-workers"],
)
def test_every_worker_counts_its_calls(
    tmp_path: Path, backend: StubBackend, server: ModelServer, command: tuple[str, ...]
) -> None:
    python = python_with("openai==3.54.0", "gunicorn>=23", "uvicorn>=0.34")
    (tmp_path / "app.py").write_text(dedent(APP))
    port = free_port()
    foreign = ("OTEL_", "LANGFUSE_", "OPENAI_", "PYTHONPATH")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    process = subprocess.Popen(
        [python, "-m", "otel_agents.cli", "run", *(one.format(port=port) for one in command)],
        cwd=tmp_path,
        env={
            **inherited,
            "PYTHONPATH": f"{ROOT}:{tmp_path}",
            "MODEL_URL": server.url,
            "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
            "OTEL_AGENTS_DOTENV": "off",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_for(lambda: _get(port, "/up") == "up", "the server", timeout=60)
        workers = {_get(port, "/") for _ in range(12)}
    finally:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    assert None not in workers, output
    ledger = server.ledger()
    assert ledger["calls"] == 12
    calls = [span for span in spans(backend) if span.is_model_call]
    assert len(calls) == 12, output
    assert sum(span.attributes["gen_ai.usage.input_tokens"] for span in calls) == ledger["input"]
    assert counted(backend, "gen_ai.client.inference.usage.input_tokens") == ledger["input"]
    # Each worker is a process of its own to Prometheus.
    assert len(instances(backend, "gen_ai.client.inference.usage.input_tokens")) == len(workers)


def _get(port: int, path: str) -> str | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as response:
            return str(response.read().decode())
    except OSError:
        return None
