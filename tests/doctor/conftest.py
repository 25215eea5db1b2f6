"""``otel-agents doctor`` as a user runs it, in an environment of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from parts import free_port

from otel_agents.local.options import LocalOptions
from otel_agents.local.server import Running, running

COMMAND = Path(sys.executable).with_name("otel-agents")
#: Variables whose defaults are ports that something else may use on this machine.
PORTS = (
    "OTEL_AGENTS_PROMETHEUS_PORT",
    "OTEL_AGENTS_COLLECTOR_SELF_PORT",
    "OTEL_AGENTS_COLLECTOR_METRICS_PORT",
)


@dataclass(frozen=True, slots=True)
class Examined:
    """What an examination came to."""

    status: int
    report: Mapping[str, Any]
    printed: str

    def found(self, check: str) -> dict[str, Any]:
        """The one finding of ``check``."""
        matching = [one for one in self.report["findings"] if one["check"] == check]
        assert len(matching) == 1, (check, [one["check"] for one in self.report["findings"]])
        found: dict[str, Any] = matching[0]
        return found

    def statuses(self) -> dict[str, str]:
        return {one["check"]: one["status"] for one in self.report["findings"]}

    def failed(self) -> list[str]:
        return [check for check, status in self.statuses().items() if status == "fail"]


@dataclass(frozen=True, slots=True)
class Doctor:
    """Runs the command with a home of the test's own and nothing of the machine's settings."""

    home: Path

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        foreign = ("OTEL_", "LANGFUSE_", "LANGSMITH_", "LANGCHAIN_", "DD_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        closed = {name: str(free_port()) for name in PORTS}
        own = {"OTEL_AGENTS_HOME": str(self.home), "OTEL_AGENTS_DOTENV": "off"}
        return {**inherited, **closed, **own, **environ}

    def run(self, *arguments: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, "doctor", *arguments],
            env=self.environment(environ),
            cwd=self.home.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def __call__(self, *arguments: str, **environ: str) -> Examined:
        done = self.run("--json", *arguments, environ=environ)
        assert done.stderr == "", done.stderr
        report = json.loads(done.stdout)
        assert report["ok"] is (done.returncode == 0)
        for one in report["findings"]:
            # Whatever is wrong, there is something to do about it.
            assert bool(one["fix"]) or one["status"] in ("ok", "skip"), one
            assert "\n" not in one["text"] + one["fix"]
        return Examined(done.returncode, report, done.stdout)


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    return Doctor(tmp_path / "home")


@pytest.fixture
def langfuse(tmp_path: Path) -> Iterator[Running]:
    with running(LocalOptions(db=tmp_path / "local.db", port=0)) as found:
        yield found
