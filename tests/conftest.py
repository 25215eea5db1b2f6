"""Fixtures that every test may use."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.metrics import _internal as metrics_internal
from opentelemetry.util._once import Once


def pytest_configure() -> None:
    """Programs under test take signals as at a terminal, though nohup and background jobs ignore some."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def spool_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What a test's process cannot deliver waits in a folder of the test run, not in the user's."""
    folder = tmp_path_factory.mktemp("spool")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_AGENTS_SPOOL_DIR", str(folder))
        yield folder


@pytest.fixture
def clean_globals(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """OpenTelemetry as if nobody had set a provider yet, and no variable or file of the machine's."""
    import os

    from otel_agents import runtime, setup

    for name in list(os.environ):
        if name.startswith(("OTEL_EXPORTER", "OTEL_AGENTS_", "OTEL_SERVICE", "OTEL_RESOURCE", "LANGFUSE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_AGENTS_DOTENV", "off")
    monkeypatch.setenv("OTEL_AGENTS_SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())
    monkeypatch.setattr(metrics_internal, "_METER_PROVIDER", None)
    monkeypatch.setattr(metrics_internal, "_METER_PROVIDER_SET_ONCE", Once())
    before = runtime.replace(None)
    yield
    setup.shutdown(timeout=1.0)
    runtime.replace(before)


@pytest.fixture(autouse=True)
def nothing_of_earlier_tests() -> Iterator[None]:
    """Async clients that other tests left to the garbage collector log an error whenever it finds them."""
    logger = logging.getLogger("asyncio")
    logger.addFilter(_of_this_test)
    yield
    logger.removeFilter(_of_this_test)


def _of_this_test(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return str(error) != "Event loop is closed"


def pytest_make_parametrize_id(val: object) -> str | None:
    """Names byte cases by their length: their content may hold the time (gzip) and differ between workers."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None
