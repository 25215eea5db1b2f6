"""A provider, a runtime and the hooks for one test; the scripted model server for the module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from modelserver import running
from modelserver.server import ModelServer
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler
from wire_rig import Accounts, Wired

from otel_agents import runtime, wire
from otel_agents.config import Settings
from otel_agents.export.pipeline import SpanPipeline
from otel_agents.tracing.contexts import attributes


@pytest.fixture
def wired_with(clean_globals: None) -> Iterator[Callable[..., Wired]]:
    """Installs the hooks with the given settings; ``sampler=`` for the provider."""
    made: list[Wired] = []

    def install(sampler: Sampler | None = None, **settings: Any) -> Wired:
        seen, sent = InMemorySpanExporter(), InMemorySpanExporter()
        provider = TracerProvider(sampler=sampler)
        pipeline = SpanPipeline(sent, inherited=attributes, delay=60.0)
        pipeline._start()  # here, so that no test ends while a thread of its calls starts it
        provider.add_span_processor(SimpleSpanProcessor(seen))
        provider.add_span_processor(pipeline)
        trace.set_tracer_provider(provider)
        current = runtime.Runtime(Settings(**settings), pipeline=pipeline)
        accounts = Accounts()
        current.accountant = accounts  # type: ignore[assignment]
        runtime.replace(current)
        wire.install()
        made.append(Wired(current, provider, accounts, seen, sent))
        return made[-1]

    yield install
    wire.uninstall()
    for wired in made:
        wired.runtime.worker.stop()
        wired.provider.shutdown()


@pytest.fixture
def wired(wired_with: Callable[..., Wired]) -> Wired:
    """The hooks with default settings: no content."""
    return wired_with()


@pytest.fixture
def wired_all(wired_with: Callable[..., Wired]) -> Wired:
    """The hooks with all content captured."""
    return wired_with(capture="all")


@pytest.fixture(scope="module")
def shared_server() -> Iterator[ModelServer]:
    with running(latency="none") as server:
        yield server


@pytest.fixture
def server(shared_server: ModelServer) -> ModelServer:
    """The model server, as if just started."""
    shared_server.reset()
    return shared_server
