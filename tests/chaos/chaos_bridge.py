"""A bridge process in front of what stands in for Langfuse."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from parts import free_port, wait_for

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextlib.contextmanager
def bridge(home: Path, langfuse: str) -> Iterator[str]:
    """Address of a bridge to ``langfuse`` that keeps its own things in ``home``."""
    port = free_port()
    inherited = {
        one: value for one, value in os.environ.items() if not one.startswith(("OTEL_", "LANGFUSE_"))
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "otel_agents.cli", "bridge", "--port", str(port)],
        env={
            **inherited,
            "LANGFUSE_BASE_URL": langfuse,
            "LANGFUSE_PUBLIC_KEY": "pk-lf-local",
            "LANGFUSE_SECRET_KEY": "sk-lf-local",
            "OTEL_AGENTS_HOME": str(home / "bridge"),
            "OTEL_AGENTS_DOTENV": "off",
        },
        stderr=subprocess.DEVNULL,
    )

    def healthy() -> bool:
        assert process.poll() is None
        try:
            return bool(_direct.open(f"http://127.0.0.1:{port}/healthz", timeout=2).status == 200)
        except OSError:
            return False

    try:
        wait_for(healthy, "the bridge", 60)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
