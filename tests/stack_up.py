"""A stack started as a user starts it, on free ports, in a home of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from parts import wait_for

from otel_agents.stack import state
from otel_agents.stack.state import State

COMMAND = Path(sys.executable).with_name("otel-agents")
PORTS = (
    "ui-port",
    "otlp-http-port",
    "otlp-grpc-port",
    "collector-metrics-port",
    "collector-self-port",
    "collector-health-port",
    "prometheus-port",
    "bridge-port",
)
FREE = tuple(word for name in PORTS for word in (f"--{name}", "0"))


class Up:
    """``otel-agents up`` and its friends, in one home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        foreign = ("OTEL_", "LANGFUSE_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self.environment = {**inherited, "OTEL_AGENTS_HOME": str(home), "OTEL_AGENTS_DOTENV": "off"}
        self.processes: list[subprocess.Popen[str]] = []

    def run(self, *arguments: str, timeout: float = 90) -> subprocess.CompletedProcess[str]:
        """One command, to its end."""
        return subprocess.run(
            [COMMAND, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *arguments: str) -> tuple[subprocess.Popen[str], State]:
        """``up`` in the foreground; answers when the stack is ready."""
        process = subprocess.Popen(
            [COMMAND, "up", *FREE, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes.append(process)
        return process, wait_for(lambda: self._ready(process), "the stack", timeout=90)

    def _ready(self, process: subprocess.Popen[str]) -> State | None:
        assert process.poll() is None, process.communicate()[0]
        return state.read(self.home)

    def clean(self) -> None:
        """Ends what a failed test has left."""
        if (left := state.read(self.home)) is not None:
            os.kill(left.pid, signal.SIGTERM)
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=60)
