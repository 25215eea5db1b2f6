"""What the tests of this folder look at: spans, records, and what our own pipeline sends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_agents import runtime
from otel_agents.accounting import CallRecord


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
    own pipeline sends, with content and what else is added late. Looking at them is like a flush:
    calls that failed and wait for another attempt are over then.
    """

    runtime: runtime.Runtime
    provider: TracerProvider
    accounts: Accounts
    _seen: InMemorySpanExporter
    _sent: InMemorySpanExporter

    @property
    def spans(self) -> list[ReadableSpan]:
        self.runtime.settle()
        return list(self._seen.get_finished_spans())

    @property
    def records(self) -> list[CallRecord]:
        self.runtime.settle()
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
        self.runtime.settle()
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
