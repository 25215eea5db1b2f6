"""The tables' cases: spans of other dialects and what is to become of them, for every runner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from collector_rig import Backend, Collector, attributes, key_values, parsed, span, traces
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from parts import free_port, wait_for

from otel_agents.normalize.dialect import NORMALIZED
from otel_agents.stack.ports import Ports

HERE = Path(__file__).parent
OVERLAY = HERE.parents[1] / "collector" / "normalize.yaml"


@dataclass(frozen=True)
class Json:
    """Text that is this JSON."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and parsed(other) == self.value

    __hash__ = None  # type: ignore[assignment]


class Loader(yaml.SafeLoader):
    pass


def _json(loader: Loader, node: yaml.Node) -> Json:
    if isinstance(node, yaml.SequenceNode):
        return Json(loader.construct_sequence(node, deep=True))
    assert isinstance(node, yaml.MappingNode)
    return Json(loader.construct_mapping(node, deep=True))


Loader.add_constructor("!json", _json)


@dataclass(frozen=True, slots=True)
class Case:
    """One span.

    Attributes:
        made: attributes that are added or changed, by name.
        gone: originals that are removed when originals are; those of ``always_gone`` also when they
            are kept, because they would be taken for something else.
        only_python: of ``made``, what the Collector cannot do; it then keeps the originals named in
            ``collector_keeps``.
    """

    dialect: str
    title: str
    scope: str
    name: str
    given: Mapping[str, Any]
    events: tuple[tuple[str, Mapping[str, Any]], ...]
    made: Mapping[str, Any]
    gone: tuple[str, ...] = ()
    always_gone: tuple[str, ...] = ()
    only_python: tuple[str, ...] = ()
    collector_keeps: tuple[str, ...] = ()
    collector_makes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.dialect}: {self.title}"

    def python(self) -> dict[str, Any]:
        """Every attribute that the span is to have."""
        kept = {key: value for key, value in self.given.items() if key not in self.gone}
        return {**kept, **self._mark(), **self.made}

    def collector(self) -> dict[str, Any]:
        """Every attribute that it is to have behind a Collector."""
        kept = {
            key: value
            for key, value in self.given.items()
            if key not in self.gone or key in self.collector_keeps
        }
        made = {key: value for key, value in self.made.items() if key not in self.only_python}
        return {**kept, **self._mark(), **made, **self.collector_makes}

    def _mark(self) -> dict[str, Any]:
        return {} if self.dialect in ("older", "inclusive", "none") else {NORMALIZED: self.dialect}


def cases() -> list[Case]:
    """All of them, in the order of files and lines."""
    found = []
    for path in sorted((HERE / "cases").glob("*.yaml")):
        for one in yaml.load(path.read_text(encoding="utf-8"), Loader):
            found.append(
                Case(
                    dialect=one.get("dialect", path.stem),
                    title=one["case"],
                    scope=one.get("scope", "somebody.else"),
                    name=one.get("name", "a span"),
                    given=one["given"],
                    events=tuple(
                        (name, given) for event in one.get("events", ()) for name, given in event.items()
                    ),
                    made=one.get("made", {}),
                    gone=tuple(one.get("gone", ())),
                    always_gone=tuple(one.get("always_gone", ())),
                    only_python=tuple(one.get("only_python", ())),
                    collector_keeps=tuple(one.get("collector_keeps", ())),
                    collector_makes=one.get("collector_makes", {}),
                )
            )
    return found


def otlp(case: Case, span_id: str) -> Span:
    """The case as an OTLP span."""
    events = [Span.Event(name=name, attributes=key_values(given)) for name, given in case.events]
    return span(case.name, span_id, case.given, events=events)


_BASE = """
receivers:
  otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}
exporters:
  otlp_http: {{traces_endpoint: "{target}/v1/traces", compression: none}}
extensions:
  health_check: {{endpoint: "127.0.0.1:{health}"}}
service:
  extensions: [health_check]
  pipelines:
    traces: {{receivers: [otlp], processors: [transform/normalize], exporters: [otlp_http]}}
  telemetry: {{metrics: {{level: none}}}}
"""


@dataclass
class Overlaid(Collector):
    """A Collector of somebody's own with the overlay."""

    def arguments(self) -> list[str]:
        base = self.folder / "base.yaml"
        base.write_text(
            _BASE.format(
                port=self.ports.otlp_http_port,
                health=self.ports.collector_health_port,
                target=self.backend.url,
            )
        )
        return [str(self.binary), "--config", str(base), "--config", str(OVERLAY)]


@contextmanager
def overlaid(binary: Path, folder: Path, **extra: str) -> Iterator[Overlaid]:
    """A running one, with a stub behind it."""
    import os
    import subprocess

    backend = Backend().start()
    ports = Ports(
        otlp_grpc_port=0, otlp_http_port=free_port(), collector_metrics_port=0, collector_self_port=0,
        collector_health_port=free_port(), backend_port=0, prometheus_port=0, bridge_port=0,
    )  # fmt: skip
    collector = Overlaid(binary, folder, backend, ports, extra)
    try:
        with collector.log.open("ab") as log:
            collector.process = subprocess.Popen(
                collector.arguments(), env={**os.environ, **extra}, stdout=log, stderr=log, cwd=folder
            )
        wait_for(collector._ready, f"the Collector to be ready; log: {collector.log}")
        yield collector
    finally:
        collector.stop()
        backend.stop()


def through(collector: Collector, many: list[Case]) -> list[dict[str, Any]]:
    """The attributes of every case's span behind the Collector, in order."""
    ids = [f"{number:016x}" for number in range(0x2000, 0x2000 + len(many))]
    for case, span_id in zip(many, ids, strict=True):
        collector.send(traces(otlp(case, span_id), scope=case.scope))
    found = wait_for(
        lambda: collector.backend.by_id() if set(ids) <= collector.backend.by_id().keys() else None,
        "all spans to come out of the Collector",
    )
    return [attributes(found[one].attributes) for one in ids]
