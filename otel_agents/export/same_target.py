"""Exporters that others have set up for the same endpoint: silenced, so that each span goes there once.

Logfire, OpenLIT and the OpenTelemetry SDK itself all export to ``OTEL_EXPORTER_OTLP_ENDPOINT``. Of two
ways to one place ours has to be the one that is kept: model calls are completed after their spans have
ended (content, the usage of a stream), which nobody else's exporter sees.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

logger = logging.getLogger(__name__)

_said: set[str] = set()
#: Objects looked at in search of exporters; what wraps more than these is left alone.
_LIMIT: Final = 200
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_LANGFUSE: Final = "/api/public/otel/v1/traces"
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Target:
    """Where spans are sent, and as whom: two projects of one server are two targets.

    Attributes:
        place: host, port and path.
        authorization: value of that header, as sent.
    """

    place: tuple[str, int, str]
    authorization: str

    @classmethod
    def of(cls, endpoint: str, headers: Mapping[str, str]) -> Target:
        """The target at ``endpoint``, a URL or, for gRPC, host and port."""
        url = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
        host = url.hostname or ""
        place = ("localhost" if host in _LOOPBACK else host, url.port or _PORTS.get(url.scheme, 0), url.path)
        lowered = {name.lower(): value for name, value in headers.items()}
        return cls(place, lowered.get("authorization", ""))


def silence(provider: Any, target: Target) -> None:
    """Has every OTLP exporter to ``target`` that is behind ``provider``'s processors send nothing.

    What is added to ``provider`` later is looked at when it is added.
    """
    _silence_below(provider, target)
    add = getattr(provider, "add_span_processor", None)
    if add is None or isinstance(add, _Watched):
        return
    try:
        provider.add_span_processor = _Watched(provider, add, target)
    except AttributeError:
        pass  # slots


def restore(provider: Any) -> None:
    """Lets them all send again what ends from now on; what has ended by now went our way."""
    add = getattr(provider, "add_span_processor", None)
    if isinstance(add, _Watched):
        del provider.add_span_processor
    for exporter in _exporters(provider):
        if isinstance(silent := vars(exporter).get("export"), _Silent):
            silent.until = silent.until or time.time_ns()


def _silence_below(one: object, target: Target) -> None:
    try:
        for exporter in _exporters(one):
            if getattr(exporter, "_mask_otel_spans", None) is not None:
                _warn("the Langfuse SDK's mask_otel_spans does not see what otel-agents sends; give "
                      "configure(redact=...) a function that masks")  # fmt: skip
            if (theirs := _target(exporter)) != target:
                _warn_of_langfuse(theirs, target)
                continue
            if isinstance(export := exporter.export, _Silent):
                export.until = None
            else:
                exporter.export = _Silent(export)  # type: ignore[method-assign]
                logger.info(
                    "otel-agents: %s sends nothing more to %s: these spans go there through otel-agents",
                    type(exporter).__qualname__,
                    getattr(exporter, "_endpoint", ""),
                )
    except Exception:
        logger.debug("otel-agents: could not look for other exporters", exc_info=True)


def _warn_of_langfuse(theirs: Target | None, ours: Target) -> None:
    """Where our Collector sends is not known here; silencing the Langfuse SDK could lose spans."""
    if theirs is not None and theirs.place[2].endswith(_LANGFUSE) and not ours.place[2].endswith(_LANGFUSE):
        _warn(
            f"the Langfuse SDK sends this app's spans to {theirs.place[0]} itself; if the Collector sends "
            "them to the same project, set LANGFUSE_TRACING_ENABLED=false so that they arrive once"
        )


def _warn(text: str) -> None:
    if text not in _said:
        _said.add(text)
        logger.warning("otel-agents: %s", text)


class _Silent:
    """Stands before an exporter's ``export``; lets spans through that end after ``until`` (nanoseconds)."""

    def __init__(self, export: Callable[[Sequence[ReadableSpan]], SpanExportResult]) -> None:
        self._export = export
        self.until: int | None = None

    def __call__(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        until = self.until
        if until is None or not (later := [one for one in spans if (one.end_time or 0) > until]):
            return SpanExportResult.SUCCESS
        return self._export(later)


class _Watched:
    """Stands before a provider's ``add_span_processor``."""

    def __init__(self, provider: object, add: Any, target: Target) -> None:
        self._provider = provider
        self._add = add
        self._target = target

    def __call__(self, *arguments: Any, **keywords: Any) -> None:
        self._add(*arguments, **keywords)
        _silence_below(self._provider, self._target)


def _target(exporter: SpanExporter) -> Target | None:
    endpoint = getattr(exporter, "_endpoint", None)
    classes = type(exporter).__mro__
    if not isinstance(endpoint, str) or not any("OTLP" in one.__name__ for one in classes):
        return None
    # The exporter for HTTP leaves them to its client. Where they cannot be found, ours differ if there
    # are any: better a span twice than none.
    holders = (exporter, getattr(exporter, "_client", None))
    headers: Any = next((found for one in holders if (found := getattr(one, "_headers", None))), {})
    return Target.of(endpoint, dict(headers))


def _exporters(start: object) -> Iterator[SpanExporter]:
    """Exporters behind a provider, whatever wraps processors and exporters; ours is behind none."""
    from otel_agents.export.pipeline import SpanPipeline

    seen: set[int] = set()
    waiting = [start]
    while waiting and len(seen) < _LIMIT:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, SpanPipeline):
            continue
        seen.add(id(one))
        if isinstance(one, SpanExporter):
            yield one
        for value in list(getattr(one, "__dict__", {}).values()):
            parts = value if isinstance(value, (tuple, list)) else (value,)
            waiting.extend(part for part in parts if _leads_on(part))


def _leads_on(value: object) -> bool:
    if isinstance(value, (SpanProcessor, SpanExporter, TracerProvider)):
        return True
    # What the SDK's own batching processor keeps its exporter in.
    return isinstance(getattr(value, "__dict__", {}).get("_exporter"), SpanExporter)
