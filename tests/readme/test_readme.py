"""Every snippet of the README is run, by itself or as part of the path it belongs to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from blocks import ROOT, blocks, metric_names, python_files
from modelserver import running
from parts import free_port, require, wait_for

from otel_agents.accounting import CallRecord, Usage
from otel_agents.export.prometheus_names import metric_name
from otel_agents.local import server
from otel_agents.stack import state as states
from otel_agents.testing import AgentSpans

OTEL_AGENTS = Path(sys.executable).with_name("otel-agents")

#: What each shell command of the README is run by. A new one has to be added here, with a test.
COVERED = {
    "make demo": "test_the_two_commands_exist, tests/cli/test_demo.py",
    "make test": "test_the_two_commands_exist",
    "pip install '.[server]'": "test_it_installs_from_a_checkout",
    "otel-agents up --detach": "test_five_minutes_with_an_existing_app",
    "export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318": "test_five_minutes_with_an_existing_app",
    "export OTEL_AGENTS_CAPTURE_CONTENT=all": "test_five_minutes_with_an_existing_app",
    "otel-agents run app.py": "test_five_minutes_with_an_existing_app, test_direct_mode",
    "otel-agents down": "test_five_minutes_with_an_existing_app",
    "export LANGFUSE_PUBLIC_KEY=pk-lf-... LANGFUSE_SECRET_KEY=sk-lf-...": "test_direct_mode",
    "export LANGFUSE_OTLP_ENDPOINT=https://cloud.langfuse.com/api/public/otel": "test_the_collector_by_hand",
    "otelcol-contrib --config otel-collector.yaml": "test_the_collector_by_hand",
    "otel-agents config": "test_the_settings_are_printed",
    "opentelemetry-instrument python app.py": "test_direct_mode, tests/distro",
    "otel-agents instrumentations": "test_the_instrumentations_are_listed",
    "otel-agents report --since 30d --by agent": "test_an_orchestrator_and_what_can_be_asked_of_it",
    "otel-agents failures --since 7d": "test_an_orchestrator_and_what_can_be_asked_of_it",
    "otel-agents prices check": "test_an_orchestrator_and_what_can_be_asked_of_it",
    "otel-agents spool show": "test_an_orchestrator_and_what_can_be_asked_of_it",
    "otel-agents doctor": "test_five_minutes_with_an_existing_app",
}


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    """The user's environment, without what configures telemetry on this machine."""
    foreign = ("OTEL_", "LANGFUSE_", "OPENAI_", "ANTHROPIC_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    path = f"{OTEL_AGENTS.parent}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PATH": path, "OTEL_AGENTS_HOME": str(tmp_path / "home"), **more}


def run(command: list[str | Path], cwd: Path, env: dict[str, str], timeout: float = 120) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A folder with every Python file that the README shows."""
    folder = tmp_path / "app"
    folder.mkdir()
    for name, text in python_files().items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def model_environment() -> Iterator[dict[str, str]]:
    """Leads the OpenAI SDK to the scripted models."""
    with running() as models:
        yield {"OPENAI_BASE_URL": f"{models.url}/v1", "OPENAI_API_KEY": "sk-scripted"}


def observations(url: str, public: str, secret: str) -> list[dict[str, Any]]:
    from base64 import b64encode
    from urllib.request import Request

    token = b64encode(f"{public}:{secret}".encode()).decode()
    asked = Request(
        f"{url}/api/public/v2/observations?fields=core,basic,io,usage,model,metadata,trace_context&limit=100",
        headers={"Authorization": f"Basic {token}"},
    )
    with urlopen(asked, timeout=10) as answer:
        return list(json.load(answer)["data"])


def test_every_command_is_covered() -> None:
    commands = {command for block in blocks() if block.language == "bash" for command in block.commands()}
    assert commands == set(COVERED)
    assert all(block.file for block in blocks() if block.language == "python")


@pytest.mark.parametrize("target", ["demo", "test"])
def test_the_two_commands_exist(target: str) -> None:
    planned = subprocess.run(
        ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert {"demo": "otel-agents demo", "test": "pytest"}[target] in planned


def test_it_installs_from_a_checkout(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in tracked.stdout.splitlines():
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, checkout / name)
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode:
        pip = ["uv", "pip"]  # an environment made by uv has no pip
        command = ["uv", "build", "--wheel", "--quiet", "--out-dir", str(tmp_path), str(checkout)]
    else:
        command = [*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(checkout)]
    run(command, tmp_path, environment(tmp_path), timeout=300)
    [wheel] = tmp_path.glob("otel_agents-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "otel_agents/py.typed",
        "otel_agents/stack/data/otel-collector.yaml",
        "otel_agents/stack/data/builder.yaml",
    } <= names
    assert any(name.startswith("otel_agents/local/ui/templates/") for name in names)
    assert any(name.startswith("otel_agents/local/ui/static/") for name in names)
    metadata = (
        zipfile.ZipFile(wheel).read(next(name for name in names if name.endswith("/METADATA"))).decode()
    )
    assert "Provides-Extra: server" in metadata


@pytest.mark.collector
@pytest.mark.prometheus
def test_five_minutes_with_an_existing_app(
    app: Path, tmp_path: Path, model_environment: dict[str, str]
) -> None:
    require("collector")
    require("prometheus")
    env = environment(tmp_path, OTEL_AGENTS_DOTENV="off")
    run([OTEL_AGENTS, "up", "--detach", "--free-ports", "--scrape-interval", "0.5"], app, env)
    try:
        place = states.read(Path(env["OTEL_AGENTS_HOME"]))
        assert place is not None
        keys = states.local_keys(Path(env["OTEL_AGENTS_HOME"]))
        exported = {"OTEL_EXPORTER_OTLP_ENDPOINT": str(place.otlp), "OTEL_AGENTS_CAPTURE_CONTENT": "all"}
        answer = run([OTEL_AGENTS, "run", "app.py"], app, {**env, **exported, **model_environment})
        [call] = wait_for(lambda: observations(place.ui, keys.public, keys.secret), "the call in the backend")
        assert call["type"] == "GENERATION"
        assert call["model"].startswith("gpt-4o-mini")
        assert "Why do tests need names?" in call["input"]
        assert answer.strip()[:20] in call["output"].replace("\\n", "\n")
        assert call["totalCost"] > 0

        def counted() -> list[Any]:
            query = quote("sum(gen_ai_client_inference_usage_input_tokens_total)")
            with urlopen(f"{place.prometheus}/api/v1/query?query={query}", timeout=10) as page:
                return list(json.load(page)["data"]["result"])

        [sample] = wait_for(counted, "the tokens in Prometheus")
        assert float(sample["value"][1]) == call["usageDetails"]["input"]
        examined = {**env, **exported, "OTEL_AGENTS_PROMETHEUS_URL": str(place.prometheus)}
        run([OTEL_AGENTS, "doctor"], app, examined)  # its exit status says whether all is well
        # The README's query for "how much in this window" counts a new process from zero.
        [promql] = [block.text.strip() for block in blocks() if block.language == "promql"]
        with urlopen(f"{place.prometheus}/api/v1/query?query={quote(promql)}", timeout=10) as page:
            [window] = json.load(page)["data"]["result"]
        assert float(window["value"][1]) == pytest.approx(call["totalCost"])
    finally:
        run([OTEL_AGENTS, "down"], app, env)


def test_direct_mode(app: Path, tmp_path: Path, model_environment: dict[str, str]) -> None:
    with server.running() as backend:
        keys = {
            "LANGFUSE_PUBLIC_KEY": backend.public_key,
            "LANGFUSE_SECRET_KEY": backend.secret_key,
            "LANGFUSE_BASE_URL": backend.url,
            "OTEL_EXPORTER_PROMETHEUS_PORT": str(free_port()),
        }
        env = environment(tmp_path, **keys, **model_environment)
        run([OTEL_AGENTS, "run", "app.py"], app, env)
        run([OTEL_AGENTS.with_name("opentelemetry-instrument"), "python", "app.py"], app, env)
        run([sys.executable, "agents.py"], app, env)
        run([sys.executable, "local_model.py"], app, env)
        found = {
            one["name"]: one for one in observations(backend.url, backend.public_key, backend.secret_key)
        }
        assert set(found) == {
            "chat gpt-4o-mini",
            "chat llama-3.1-8b",
            "invoke_agent claude",
            "read_file",
            "policy_chosen",
        }
        review = found["invoke_agent claude"]
        assert (review["type"], review["sessionId"], review["userId"]) == ("AGENT", "pr-17", "ada")
        assert review["metadata"]["task_type"] == "security"
        assert "find the bug" in review["input"]
        assert found["policy_chosen"]["type"] == "EVENT"


def test_the_metrics_of_the_table_are_emitted(agent_spans: AgentSpans) -> None:
    meters = agent_spans.runtime.meters
    usage = Usage(input=100, output=50, cache_read=10, cache_write=5, reasoning=20)
    streamed = CallRecord("chat", "openai", "gpt-4o-mini", usage=usage, cost=0.1, stream=True)
    streamed.time_to_first_chunk, streamed.chunk_gaps = 0.1, [0.1]
    meters.record_call(streamed)
    meters.record_call(CallRecord("chat", "openai", "gpt-4o-mini", unpriced_reason="no_usage"))
    meters.record_agent("a", "invoke_agent", 1.0, 1, 1, None, {}, None)
    meters.record_tool("t", "a", None, 1.0, None, {}, None)
    meters.record_score("quality", 0.5, "a", {}, None)
    meters.count_export("delivered", 1)
    emitted = {
        metric_name(
            one.name, one.unit, "histogram" if hasattr(one.data.data_points[0], "count") else "counter"
        )
        for one in agent_spans.metrics()
    }
    assert len(metric_names()) > 10
    assert set(metric_names()) <= emitted


def test_an_orchestrator_and_what_can_be_asked_of_it(app: Path, tmp_path: Path) -> None:
    with server.running() as backend:
        keys = {
            "LANGFUSE_PUBLIC_KEY": backend.public_key,
            "LANGFUSE_SECRET_KEY": backend.secret_key,
            "LANGFUSE_BASE_URL": backend.url,
            "OTEL_EXPORTER_PROMETHEUS_PORT": str(free_port()),
            "OTEL_AGENTS_CAPTURE_CONTENT": "all",
            "COLUMNS": "200",
        }
        env = environment(tmp_path, **keys)
        run([sys.executable, "orchestrator.py"], app, env)
        [task] = [
            one
            for one in observations(backend.url, backend.public_key, backend.secret_key)
            if one["type"] == "AGENT"
        ]
        assert task["metadata"]["task_type"] == "security"
        report = run([OTEL_AGENTS, "report", "--since", "30d", "--by", "agent"], app, env)
        assert "claude" in report
        assert "0.0046" in report
        assert "0.92" in report
        run([OTEL_AGENTS, "failures", "--since", "7d"], app, env)
        run([OTEL_AGENTS, "prices", "check"], app, env)
        run([OTEL_AGENTS, "spool", "show"], app, env)


@pytest.mark.collector
def test_the_collector_by_hand(tmp_path: Path) -> None:
    binary = require("collector")
    health = free_port()
    ports = {
        name: str(free_port())
        for name in ("OTELCOL_GRPC_PORT", "OTELCOL_HTTP_PORT", "OTELCOL_PROMETHEUS_PORT", "OTELCOL_SELF_PORT")
    }
    env = environment(
        tmp_path,
        **ports,
        OTELCOL_HEALTH_PORT=str(health),
        OTELCOL_STORAGE_DIR=str(tmp_path / "queues"),
        LANGFUSE_PUBLIC_KEY="pk-lf-x",
        LANGFUSE_SECRET_KEY="sk-lf-x",
        LANGFUSE_OTLP_ENDPOINT="http://127.0.0.1:9/api/public/otel",
    )
    command = [binary, "--config", ROOT / "otel-collector.yaml"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:

        def healthy() -> bool:
            try:
                with urlopen(f"http://127.0.0.1:{health}", timeout=1) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        wait_for(healthy, "the Collector to be healthy")
    finally:
        process.terminate()
        process.wait(10)


def test_the_settings_are_printed(tmp_path: Path) -> None:
    env = environment(tmp_path, LANGFUSE_PUBLIC_KEY="pk-lf-1", LANGFUSE_SECRET_KEY="sk-lf-very-secret")
    printed = run([OTEL_AGENTS, "config"], tmp_path, env)
    assert "pk-lf-1" in printed
    assert "very-secret" not in printed


def test_the_instrumentations_are_listed(tmp_path: Path) -> None:
    assert "httpx" in run([OTEL_AGENTS, "instrumentations"], tmp_path, environment(tmp_path))


def test_the_pytest_fixture(app: Path, tmp_path: Path) -> None:
    printed = run([sys.executable, "-m", "pytest", "-q", "test_agents.py"], app, environment(tmp_path))
    assert "1 passed" in printed
