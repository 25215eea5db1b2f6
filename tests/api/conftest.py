"""No test of the API may leave a trace in the log: neither a failed detach nor an error of ours."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from opentelemetry import context as otel_context

from otel_agents.tracing import spans

#: What bridges of other tests started may still be at work: threads that wait for an answer.
_OF_OTHER_TESTS = "otel_agents.bridge"


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test after which the log holds what nobody expected, or the context is not as before.

    Records that a test expects are cleared by it (``caplog.clear()``).
    """
    monkeypatch.setattr(spans, "_noted", set())  # what is logged once is logged once a test
    caplog.set_level(logging.DEBUG, "otel_agents")
    before = otel_context.get_current()
    yield
    assert otel_context.get_current() == before, "the caller's context was changed"
    unexpected = [
        record.getMessage()
        for record in caplog.get_records("call")
        if "detach" in record.getMessage()
        or (record.name.startswith("otel_agents") and not record.name.startswith(_OF_OTHER_TESTS))
        or record.levelno >= logging.ERROR
    ]
    assert unexpected == []
