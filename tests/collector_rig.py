"""A real Collector with ``otel-collector.yaml``, and a stub of what stands behind it.

The stub takes whatever is posted, answers what the test wants, and keeps every request, so that a test
sees what would have reached Langfuse (``/v1/traces``) and the bridge (``/v1/logs``).
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from parts import free_port, wait_for

from otel_agents.stack.collector import collector_command, collector_environment
from otel_agents.stack.ports import Ports

START = 1_763_900_000_123_456_789  # 2025-11-23T12:13:20.123456789Z
TRACE_ID = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


# --- values ---------------------------------------------------------------------------------------
def any_value(value: Any) -> AnyValue:
    """An OTLP value of any Python value, structured ones as structures."""
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case Mapping():
            return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))
        case None:
            return AnyValue()
        case _:
            return AnyValue(array_value=ArrayValue(values=[any_value(one) for one in value]))


def key_values(values: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in values.items()]


def plain(value: AnyValue) -> Any:
    """The Python value of an OTLP value."""
    match value.WhichOneof("value"):
        case "array_value":
            return [plain(one) for one in value.array_value.values]
        case "kvlist_value":
            return attributes(value.kvlist_value.values)
        case None:
            return None
        case kind:
            return getattr(value, kind)


def attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: plain(pair.value) for pair in pairs}


def span(
    name: str,
    span_id: str,
    given: Mapping[str, Any],
    *,
    parent: str = "",
    status: Status | None = None,
    events: Iterable[Span.Event] = (),
    start: int = START,
) -> Span:
    """An OTLP span; ids are hexadecimal."""
    return Span(
        trace_id=TRACE_ID,
        span_id=bytes.fromhex(span_id),
        parent_span_id=bytes.fromhex(parent),
        name=name,
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=start,
        end_time_unix_nano=start + 1_000_000_000,
        attributes=key_values(given),
        status=status,
        events=events,
    )


def traces(
    *spans: Span, resource: Mapping[str, Any] | None = None, scope: str = "otel_agents"
) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(key_values({"service.name": "app"} if resource is None else resource))
    scoped = group.scope_spans.add()
    scoped.scope.name = scope
    scoped.spans.extend(spans)
    return request


# --- what stands behind the Collector -------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Request:
    path: str
    headers: Mapping[str, str]
    body: bytes
    answered: int


@dataclass
class Backend:
    """Keeps what is posted to it; ``answer`` decides the status."""

    port: int = 0
    answer: Callable[[str], int] = lambda path: 200
    requests: list[Request] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Backend:
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                status = backend.answer(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                backend.requests.append(Request(self.path, headers, body, status))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def accepted(self, path: str) -> list[Request]:
        return [one for one in list(self.requests) if one.path.endswith(path) and one.answered == 200]

    def spans(self) -> list[Span]:
        """Every span that was accepted, in order, repeated ones repeatedly."""
        return [
            one
            for request in self.accepted("/v1/traces")
            for group in ExportTraceServiceRequest.FromString(request.body).resource_spans
            for scoped in group.scope_spans
            for one in scoped.spans
        ]

    def sizes(self) -> list[int]:
        """Spans of each request that was accepted."""
        return [
            sum(len(scoped.spans) for group in found.resource_spans for scoped in group.scope_spans)
            for found in (
                ExportTraceServiceRequest.FromString(one.body) for one in self.accepted("/v1/traces")
            )
        ]

    def by_id(self) -> dict[str, Span]:
        return {one.span_id.hex(): one for one in self.spans()}

    def log_records(self) -> list[Any]:
        return [
            one
            for request in self.accepted("/v1/logs")
            for group in ExportLogsServiceRequest.FromString(request.body).resource_logs
            for scoped in group.scope_logs
            for one in scoped.log_records
        ]


# --- the Collector --------------------------------------------------------------------------------
@dataclass
class Collector:
    """One Collector process; it can be killed and started again on the same queues."""

    binary: Path
    folder: Path
    backend: Backend
    ports: Ports
    extra: Mapping[str, str] = field(default_factory=dict)
    more: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "collector.log"

    def environment(self) -> dict[str, str]:
        made = collector_environment(
            self.ports,
            langfuse_endpoint=f"{self.backend.url}/api/public/otel",
            public_key="pk-lf-test",
            secret_key="sk-lf-test",
            bridge_endpoint=self.backend.url,
            storage=self.folder / "queues",
        )
        fast = {"OTELCOL_BATCH_DELAY": "50ms", "OTELCOL_RETRY_INITIAL": "50ms", "OTELCOL_RETRY_MAX": "200ms"}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTELCOL_")}
        return {**inherited, **made, **fast, "OTELCOL_HOST_METRICS_INTERVAL": "1s", **self.extra}

    def start(self) -> Collector:
        launch = collector_command(self.binary, {})
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*launch.command, *self.more], env=self.environment(), stdout=log, stderr=log, cwd=self.folder
            )
        wait_for(self._ready, f"the Collector to be ready; log: {self.log}")
        return self

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        try:
            return self.get(self.ports.collector_health_port, "/")[0] == 200
        except OSError:
            return False

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process = None

    def send(self, request: Any) -> None:
        """Posts an OTLP request; it is accepted, or the test fails."""
        signals = {
            ExportTraceServiceRequest: "traces",
            ExportMetricsServiceRequest: "metrics",
            ExportLogsServiceRequest: "logs",
        }
        url = f"http://127.0.0.1:{self.ports.otlp_http_port}/v1/{signals[type(request)]}"
        headers = {"content-type": "application/x-protobuf"}
        with _direct.open(
            urllib.request.Request(url, request.SerializeToString(), headers), timeout=10
        ) as got:
            assert got.status == 200

    def get(self, port: int, path: str = "/metrics", accept: str = "text/plain") -> tuple[int, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"accept": accept})
        with _direct.open(request, timeout=10) as got:
            return got.status, got.read().decode()

    def metrics(self) -> str:
        """What Prometheus would scrape, in the format that carries exemplars."""
        accept = "application/openmetrics-text; version=1.0.0"
        return self.get(self.ports.collector_metrics_port, accept=accept)[1]


@contextmanager
def running(binary: Path, folder: Path, **extra: str) -> Iterator[Collector]:
    """A Collector on free ports with a stub behind it; ``extra`` are variables for the configuration."""
    backend = Backend().start()
    names = ("otlp_grpc", "otlp_http", "collector_metrics", "collector_self", "collector_health")
    ports = Ports(
        **{f"{name}_port": free_port() for name in names}, backend_port=0, prometheus_port=0, bridge_port=0
    )
    collector = Collector(binary, folder, backend, ports, extra)
    try:
        yield collector.start()
    finally:
        collector.stop()
        backend.stop()


def parsed(value: Any) -> Any:
    """JSON text as what it says; everything else as it is."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
