"""A stand-in for whatever takes OTLP: keeps every request, answers 200 or what it is told to."""

from __future__ import annotations

import contextlib
import gzip
import threading
from collections.abc import Iterator, Mapping
from concurrent import futures
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)


@dataclass(frozen=True, slots=True)
class Request:
    path: str
    headers: Mapping[str, str]
    body: bytes


class StubBackend:
    """``with StubBackend() as backend:`` listens on a free loopback port."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.requests.append(Request(self.path, headers, body))
                self.send_response(outer.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> StubBackend:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @contextlib.contextmanager
    def grpc(self) -> Iterator[str]:
        """Also takes traces by gRPC, at the address that it yields."""
        import grpc

        outer = self

        class Traces(TraceServiceServicer):
            def Export(self, request: Any, context: Any) -> ExportTraceServiceResponse:
                outer.requests.append(Request("/v1/traces", {}, request.SerializeToString()))
                return ExportTraceServiceResponse()

        server = grpc.server(futures.ThreadPoolExecutor(2))
        add_TraceServiceServicer_to_server(Traces(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(0)

    def _trace_requests(self) -> list[ExportTraceServiceRequest]:
        return [
            ExportTraceServiceRequest.FromString(one.body)
            for one in self.requests
            if one.path.endswith("/v1/traces")
        ]

    def spans(self) -> list[Any]:
        """Every span received, in order of arrival."""
        return [
            span
            for request in self._trace_requests()
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def resource(self) -> dict[str, str]:
        """The first span's resource attributes."""
        attributes = self._trace_requests()[0].resource_spans[0].resource.attributes
        return {one.key: one.value.string_value for one in attributes}

    def metric_names(self) -> set[str]:
        """Names of all metrics received."""
        return {
            metric.name
            for one in self.requests
            if one.path.endswith("/v1/metrics")
            for resource in ExportMetricsServiceRequest.FromString(one.body).resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def agent_runs(self) -> set[tuple[str, str, int]]:
        """Latest counts of agent runs: service.instance.id, agent, runs."""
        latest: dict[tuple[str, str], int] = {}
        for one in self.requests:
            if not one.path.endswith("/v1/metrics"):
                continue
            for resource in ExportMetricsServiceRequest.FromString(one.body).resource_metrics:
                named = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        if metric.name != "gen_ai.invoke_agent.duration":
                            continue
                        for point in metric.histogram.data_points:
                            labels = {pair.key: pair.value.string_value for pair in point.attributes}
                            key = (named["service.instance.id"], labels["gen_ai.agent.name"])
                            latest[key] = point.count
        return {(instance, agent, count) for (instance, agent), count in latest.items()}

    def log_records(self) -> list[Any]:
        """Every log record received."""
        return [
            record
            for one in self.requests
            if one.path.endswith("/v1/logs")
            for resource in ExportLogsServiceRequest.FromString(one.body).resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]
