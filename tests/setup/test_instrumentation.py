"""The official HTTP instrumentation is enabled for what is imported, in whatever order that happens."""

from __future__ import annotations

import subprocess
import sys

import pytest

REPORT = """
import logging, sys
logging.basicConfig(level=logging.WARNING)
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor, HTTPXClientInstrumentor
both = HTTPXClientInstrumentor(), HTTPX2ClientInstrumentor()
print(*(one.is_instrumented_by_opentelemetry for one in both))
"""


@pytest.mark.parametrize(
    "order",
    [
        "import httpx2; import otel_agents; otel_agents.instrument()",
        "import httpx; import otel_agents; otel_agents.instrument()",
        "import otel_agents; otel_agents.instrument(); import httpx2",
        "import otel_agents; otel_agents.instrument(); import openai",
        "import httpx, httpx2, otel_agents; otel_agents.instrument(); otel_agents.instrument()",
    ],
)
def test_both_clients_are_instrumented(order: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{order}\n{REPORT}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True True"  # enabling one imports both
    assert done.stderr == ""


def test_nothing_is_imported_for_an_app_without_them() -> None:
    code = "import sys, otel_agents; otel_agents.instrument(); print({'httpx', 'httpx2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
