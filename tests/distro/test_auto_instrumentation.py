"""``opentelemetry-instrument`` starts an app that knows nothing of us, and finds us by our entry points."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from textwrap import dedent

import pytest
from modelserver import running
from modelserver.server import ModelServer
from stub_backend import StubBackend

AGENT = Path(sys.executable).with_name("opentelemetry-instrument")
CALL = """
import openai
client = openai.OpenAI(base_url="{url}/v1", api_key="sk-any", max_retries=0)
client.chat.completions.create(model="gpt-4o", messages=[{{"role": "user", "content": "hi"}}])
print("answered")
"""

Start = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with running(latency="none") as server:
        yield server


@pytest.fixture
def backend() -> Iterator[StubBackend]:
    with StubBackend() as backend:
        yield backend


@pytest.fixture
def start(tmp_path: Path, backend: StubBackend, server: ModelServer) -> Start:
    """Runs the app by ``opentelemetry-instrument`` in a folder of its own; ``env`` on top."""

    def run(
        *options: str, env: dict[str, str] | None = None, app: str = CALL
    ) -> subprocess.CompletedProcess[str]:
        (tmp_path / "app.py").write_text(dedent(app).format(url=server.url))
        foreign = ("OTEL_", "LANGFUSE_", "OPENAI_", "ANTHROPIC_", "PYTHONPATH")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": backend.url, "OTEL_AGENTS_DOTENV": "off"}
        return subprocess.run(
            [AGENT, *options, sys.executable, "app.py"],
            cwd=tmp_path,
            env={**inherited, **endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", **(env or {})},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def names(backend: StubBackend) -> list[str]:
    return [span.name for span in backend.spans()]


def test_the_entry_points_are_there() -> None:
    for group in ("distro", "configurator", "instrumentor"):
        [found] = entry_points(group=f"opentelemetry_{group}", name="otel_agents")
        assert callable(found.load())


@pytest.mark.parametrize("options", [(), ("--traces_exporter", "otlp", "--service_name", "shop")])
def test_an_app_that_knows_nothing_of_us(
    start: Start, backend: StubBackend, options: tuple[str, ...]
) -> None:
    done = start(*options)
    assert (done.returncode, done.stdout) == (0, "answered\n"), done.stderr
    assert done.stderr == ""
    assert names(backend) == ["chat gpt-4o"]
    assert backend.resource()["telemetry.distro.name"] == "otel-agents"
    if options:
        assert backend.resource()["service.name"] == "shop"
    assert "gen_ai.client.inference.duration" in backend.metric_names()


def test_traces_can_be_switched_off_alone(start: Start, backend: StubBackend) -> None:
    done = start("--traces_exporter", "none")
    assert done.stdout == "answered\n", done.stderr
    assert backend.spans() == []
    assert "gen_ai.client.inference.duration" in backend.metric_names()


@pytest.mark.parametrize("listed", ["otel_agents", "flask, otel_agents", "*"])
def test_disabled_by_name(start: Start, backend: StubBackend, listed: str) -> None:
    done = start(env={"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": listed})
    assert (done.returncode, done.stdout) == (0, "answered\n"), done.stderr
    assert "chat gpt-4o" not in names(backend)
    assert "gen_ai.client.inference.duration" not in backend.metric_names()


def test_others_disabled_by_name(start: Start, backend: StubBackend) -> None:
    get = """
    import httpx
    httpx.get("{url}/ledger")
    print("answered")
    """
    start(app=get)
    assert names(backend) == ["GET"]
    done = start(env={"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "httpx"}, app=get)
    assert done.stdout == "answered\n", done.stderr
    assert names(backend) == ["GET"]  # no second one


def test_settings_that_cannot_be_used_are_one_line(start: Start, backend: StubBackend) -> None:
    done = start(env={"OTEL_AGENTS_CAPTURE_CONTENT": "everything"})
    assert (done.returncode, done.stdout) == (0, "answered\n"), done.stderr
    [line] = done.stderr.splitlines()
    assert "OTEL_AGENTS_CAPTURE_CONTENT" in line
    assert "runs without telemetry" in line
    assert backend.requests == []


def another_distro(folder: Path) -> dict[str, str]:
    """A distribution with a distro and a configurator of its own, and the variable that makes it known."""
    info = folder / "other" / "other_distro-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-distro\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[opentelemetry_distro]\nother = other_distro:Distro\n"
        "[opentelemetry_configurator]\nother = other_distro:Configurator\n"
    )
    (folder / "other" / "other_distro.py").write_text(
        dedent("""
        from opentelemetry import trace
        from opentelemetry.instrumentation.distro import BaseDistro
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor, ConsoleSpanExporter
        class Distro(BaseDistro):
            def _configure(self, **kwargs):
                print("other distro")
        class Configurator:
            def configure(self, **kwargs):
                print("other configurator")
                provider = TracerProvider()
                shown = ConsoleSpanExporter(formatter=lambda span: "span " + span.name + chr(10))
                provider.add_span_processor(SimpleSpanProcessor(shown))
                trace.set_tracer_provider(provider)
        """)
    )
    return {"PYTHONPATH": str(folder / "other")}


def test_another_distro_that_is_chosen(start: Start, backend: StubBackend, tmp_path: Path) -> None:
    env = {**another_distro(tmp_path), "OTEL_PYTHON_DISTRO": "other"}
    done = start(env=env)
    # It alone configures and exports; the model call is one more span of its own.
    assert done.stdout.splitlines() == ["other distro", "other configurator", "span chat gpt-4o", "answered"]
    assert backend.requests == []
    env["OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"] = "otel_agents"
    assert "span chat gpt-4o" not in start(env=env).stdout


def test_chosen_among_several(start: Start, backend: StubBackend, tmp_path: Path) -> None:
    done = start(env={**another_distro(tmp_path), "OTEL_PYTHON_DISTRO": "otel_agents"})
    assert done.stdout == "answered\n", done.stderr
    assert names(backend) == ["chat gpt-4o"]


def test_found_after_another(start: Start, backend: StubBackend, tmp_path: Path) -> None:
    """As in the operator's image, whose own distro comes first: it is in charge, and one line says so."""
    done = start(env=another_distro(tmp_path))
    assert done.stdout.splitlines() == ["other distro", "other configurator", "span chat gpt-4o", "answered"]
    assert "OTEL_PYTHON_DISTRO=otel_agents" in done.stderr
    assert backend.requests == []


def test_an_app_that_configures_itself_too(start: Start, backend: StubBackend) -> None:
    done = start(app="import otel_agents\notel_agents.configure()\n" + CALL)
    assert done.stdout == "answered\n", done.stderr
    assert names(backend) == ["chat gpt-4o"]


def test_an_instrumentor_that_fails(start: Start, backend: StubBackend, tmp_path: Path) -> None:
    info = tmp_path / "other" / "bad_instrumentor-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-instrumentor\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[opentelemetry_instrumentor]\nbad = bad_instrumentor:Bad\n")
    (tmp_path / "other" / "bad_instrumentor.py").write_text(
        "class Bad:\n    def instrument(self, **kwargs):\n        raise ValueError('no such method')\n"
    )
    done = start(env={"PYTHONPATH": str(tmp_path / "other")})
    assert done.stdout == "answered\n"
    [line] = done.stderr.splitlines()
    assert "bad could not be instrumented: ValueError: no such method" in line
    assert names(backend) == ["chat gpt-4o"]
