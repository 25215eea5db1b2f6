"""Everything that can be expected to go wrong is one line, and a status that scripts can use."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

UP = ("up", "--no-build", "--no-prometheus")


@pytest.mark.parametrize(
    ("arguments", "env", "status", "message"),
    [
        (("config",), {"LANGFUSE_SECRET_KEY": "sk-lf-1"}, 2, "LANGFUSE_PUBLIC_KEY is not set"),
        (("config",), {"OTEL_AGENTS_DOTENV": "/"}, 2, "/ cannot be read (is a directory)"),
        (("config",), {"OTEL_AGENTS_DOTENV": "missing.env"}, 2, "missing.env does not exist"),
        (("config",), {"OTEL_AGENTS_UI_PORT": "x"}, 2, "OTEL_AGENTS_UI_PORT must be a whole number"),
        (("config", "--nonsense"), {}, 2, "see `otel-agents config --help`"),
        (("nonsense",), {}, 2, "see `otel-agents --help`"),
        (("run", "missing.py"), {}, 2, "no script or Python command missing.py"),
        (("run", "--", "-x"), {}, 2, "-x is no program to run"),
        (("run", "ls"), {}, 2, "no script or Python command ls"),
        (("up", "--ui-port", "99999"), {}, 2, "see `otel-agents up --help`"),
        (UP, {"OTELCOL_BIN": "/nonexistent"}, 1, "OTELCOL_BIN=/nonexistent is not an executable file"),
        (("up",), {"PROMETHEUS_BIN": "/nonexistent"}, 1, "PROMETHEUS_BIN=/nonexistent is not an executable"),
        (("up",), {"OTEL_AGENTS_HOME": "/dev/null/x"}, 1, "set OTEL_AGENTS_HOME to another folder"),
        (
            ("up", "--detach"),
            {"OTEL_AGENTS_HOME": "/dev/null/x"},
            1,
            "set OTEL_AGENTS_HOME to another folder",
        ),
        (("collector", "path"), {"OTELCOL_BIN": "/nonexistent"}, 1, "OTELCOL_BIN=/nonexistent"),
        (("collector", "validate", "missing.yaml"), {}, 2, "missing.yaml is not a file"),
        (("demo", "--live"), {}, 2, "--live needs OPENAI_API_KEY and ANTHROPIC_API_KEY"),
        (("local", "--host", "203.0.113.1"), {}, 1, "cannot listen on 203.0.113.1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_one_line(
    cli: Run, arguments: tuple[str, ...], env: dict[str, str], status: int, message: str
) -> None:
    done = cli(*arguments, env=env)
    assert done.returncode == status, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line


@pytest.mark.parametrize(
    ("arguments", "setting"),
    [
        ((*UP, "--ui-port"), "OTEL_AGENTS_UI_PORT"),
        (("local", "--port"), "OTEL_AGENTS_UI_PORT"),
        (("bridge", "--port"), "OTEL_AGENTS_BRIDGE_PORT"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_port_in_use(cli: Run, arguments: tuple[str, ...], setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = cli(*arguments, str(port))
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert line.startswith(f"error: port {port} (")
    assert setting in line


def test_missing_go_and_nothing_else_to_build_with(cli: Run, tmp_path: Path) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    done = cli(
        "collector",
        "build",
        env={
            "PATH": str(empty),
            "OTEL_AGENTS_CACHE_DIR": str(tmp_path / "cache"),
            # No pip either: PyPI's Go would be tried.
            "PIP_NO_INDEX": "1",
            "PIP_CONFIG_FILE": "/dev/null",
            "UV_OFFLINE": "1",
        },
    )
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: ")
    assert "Go" in line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [("up",), ("local", "--port", "0"), ("dashboards", "preview")], ids=" ".join
)
def test_without_the_extra_for_servers(cli: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    # Python starts with this, and then finds no package of the extra.
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util, sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('starlette', 'uvicorn', 'jinja2'):\n"
        "            raise ModuleNotFoundError(name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name in "
        "('starlette', 'uvicorn', 'jinja2') else found(name, *more)\n"
    )
    done = cli(*arguments, env={"PYTHONPATH": str(tmp_path)}, timeout=60)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: starlette, uvicorn")
    assert line.endswith("not installed; `pip install 'otel-agents[server]'`")


def test_help_names_every_command(cli: Run) -> None:
    done = cli("--help", env={"COLUMNS": "200"})
    assert done.returncode == 0
    for command in ("run", "config", "up", "down", "status", "collector", "bridge", "local", "demo"):
        assert f" {command} " in done.stdout


def test_version(cli: Run) -> None:
    from otel_agents import __version__

    assert cli("--version").stdout == f"{__version__}\n"


def test_nothing_runs(cli: Run) -> None:
    status, down = cli("status"), cli("down")
    assert (status.returncode, down.returncode) == (1, 0)
    assert "no stack is running" in status.stdout
    assert down.stdout == "no stack is running\n"


def test_help_is_quick(cli: Run) -> None:
    """No command's own imports are paid for by the list of commands."""
    code = (
        "import sys; from otel_agents.cli import main; main(['--help']);"
        "heavy = {'starlette', 'uvicorn', 'langfuse', 'httpx', 'grpc', 'opentelemetry', 'genai_prices'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = cli("run", "-c", "pass")
    assert done.returncode == 0
    import sys

    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert listed.stdout.splitlines()[-1] == "[]"


def test_help_names_every_command_once_and_in_a_group(cli: Run) -> None:
    from otel_agents.cli import _COMMANDS

    shown = cli("--help", env={"COLUMNS": "100"}).stdout
    assert [title for title in _COMMANDS if f" {title} " not in shown] == []
    assert " Commands " not in shown  # where typer puts what is in no group
    first_words = [line.split()[1] for line in shown.splitlines() if line.startswith("│ ") and line[2] != " "]
    named = [word for word in first_words if not word.startswith("-")]
    assert sorted(named) == sorted(name for names in _COMMANDS.values() for name in names)
