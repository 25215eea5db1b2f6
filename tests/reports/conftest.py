"""A local backend with a month of work in it, and readers of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import report_history as history
from report_rig import Report, client_of

from otel_agents.local.options import LocalOptions
from otel_agents.local.server import Running, running

COMMAND = Path(sys.executable).with_name("otel-agents")


@pytest.fixture(scope="session")
def month(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The backend with the month of `report_history`; tests only read it."""
    path = tmp_path_factory.mktemp("history") / "local.db"
    with running(LocalOptions(db=path, port=0, orphan_grace_s=0.0)) as backend:
        with client_of(backend) as client:
            history.write(client)
        yield backend


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Running]:
    """An empty backend of the test's own."""
    with running(LocalOptions(db=tmp_path / "local.db", port=0, orphan_grace_s=0.0)) as found:
        yield found


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """``report("--by", "agent", backend=month)`` runs ``otel-agents report`` as a process of its own."""

    def run(
        *arguments: str | Path,
        backend: Running | None = None,
        env: dict[str, str] | None = None,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        foreign = ("OTEL_", "LANGFUSE_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        environment |= {"OTEL_AGENTS_HOME": str(tmp_path / "home"), "OTEL_AGENTS_DOTENV": "off"}
        if backend is not None:
            environment |= {
                "LANGFUSE_BASE_URL": backend.url,
                "LANGFUSE_PUBLIC_KEY": backend.public_key,
                "LANGFUSE_SECRET_KEY": backend.secret_key,
            }
        return subprocess.run(
            [COMMAND, "report", *arguments],
            cwd=tmp_path,
            env={**environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run
