"""``otel-agents run celery``: the pool's forked children lose nothing when the worker is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from modelserver import running
from parts import wait_for
from stub_backend import StubBackend
from telemetry import counted, spans
from venvs import ROOT, python_with

APP = """
import os
import celery, openai

folders = {name: os.environ["QUEUE"] for name in ("data_folder_in", "data_folder_out", "control_folder")}
app = celery.Celery("tasks", broker="filesystem://")
app.conf.update(broker_transport_options=folders, worker_hijack_root_logger=False)

@app.task(name="ask")
def ask():
    client = openai.OpenAI(base_url=os.environ["MODEL_URL"] + "/v1", api_key="sk-any", max_retries=0)
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])

if __name__ == "__main__":
    for _ in range(6):
        ask.delay()
"""


def test_every_child_counts_its_calls(tmp_path: Path) -> None:
    python = python_with("openai==3.54.0", "celery>=5.5")
    (tmp_path / "tasks.py").write_text(APP)
    (tmp_path / "queue").mkdir()
    foreign = ("OTEL_", "LANGFUSE_", "OPENAI_", "PYTHONPATH")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    with StubBackend() as backend, running(latency="none") as server:
        env = {
            **inherited,
            "PYTHONPATH": f"{ROOT}:{tmp_path}",
            "QUEUE": str(tmp_path / "queue"),
            "MODEL_URL": server.url,
            "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
            "OTEL_BSP_SCHEDULE_DELAY": "60000",  # so that only what is sent at the end arrives
            "OTEL_METRIC_EXPORT_INTERVAL": "60000",
            "OTEL_AGENTS_DOTENV": "off",
        }
        subprocess.run([python, "tasks.py"], cwd=tmp_path, env=env, check=True, timeout=60)
        worker = subprocess.Popen(
            [python, "-m", "otel_agents.cli", "run", "celery", "-A", "tasks", "worker", "-c", "2"],
            cwd=tmp_path,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            wait_for(lambda: server.ledger()["calls"] == 6, "the tasks", timeout=60)
        finally:
            worker.send_signal(signal.SIGTERM)
            output, _ = worker.communicate(timeout=60)
        calls = [span for span in spans(backend) if span.is_model_call]
        assert len(calls) == 6, output
        assert counted(backend, "gen_ai.client.inference.usage.input_tokens") == server.ledger()["input"], (
            output
        )
