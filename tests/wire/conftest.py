"""A provider, a runtime and the hooks for one test; the scripted model server for the module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from modelserver import running
from modelserver.server import ModelServer
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler

from otel_agents import runtime, wire
from otel_agents.accounting import CallRecord
from otel_agents.config import Settings
from otel_agents.context import attributes
from otel_agents.export.pipeline import SpanPipeline


class Accounts:
    """Stands in for the accountant: keeps the records instead of counting them."""

    def __init__(self) -> None:
        self.records: list[CallRecord] = []

    def submit(self, record: CallRecord) -> None:
        self.records.append(record)


@dataclass
class Wired:
    """What became of the calls of a test.

    ``spans`` are as any processor of the app's sees them when they end; ``exported`` is what our
    own pipeline sends, with content and what else is added late.
    """

    runtime: runtime.Runtime
    provider: TracerProvider
    accounts: Accounts
    _seen: InMemorySpanExporter
    _sent: InMemorySpanExporter

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._seen.get_finished_spans())

    @property
    def records(self) -> list[CallRecord]:
        return self.accounts.records

    def span(self) -> ReadableSpan:
        """The only span."""
        (span,) = self.spans
        return span

    def attributes(self) -> Mapping[str, Any]:
        """Attributes of the only span when it ended."""
        return dict(self.span().attributes or {})

    def record(self) -> CallRecord:
        """The only record."""
        (record,) = self.records
        return record

    def exported(self) -> list[ReadableSpan]:
        assert self.runtime.pipeline is not None
        self.runtime.pipeline.flush(5.0)
        return list(self._sent.get_finished_spans())

    def sent(self) -> Mapping[str, Any]:
        """Attributes of the only span that our pipeline sent."""
        (span,) = self.exported()
        found = dict(span.attributes or {})
        return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}

    def clear(self) -> None:
        self.exported()
        self._seen.clear()
        self._sent.clear()
        self.accounts.records.clear()


@pytest.fixture
def wired_with(clean_globals: None) -> Iterator[Callable[..., Wired]]:
    """Installs the hooks with the given settings; ``sampler=`` for the provider."""
    made: list[Wired] = []

    def install(sampler: Sampler | None = None, **settings: Any) -> Wired:
        seen, sent = InMemorySpanExporter(), InMemorySpanExporter()
        provider = TracerProvider(sampler=sampler)
        pipeline = SpanPipeline(sent, inherited=attributes, delay=60.0)
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
