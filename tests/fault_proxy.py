"""A proxy in front of a backend that can be told to misbehave, in the ways that networks and servers do."""

from __future__ import annotations

import gzip
import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_agents.stack.ports import free_port

Kind = Literal["pass", "slow", "answer", "hang", "reset", "cut", "truncate", "lost_answer"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to a request.

    Attributes:
        kind: ``pass`` it on, or ``slow``ly; ``answer`` in the backend's place; ``hang`` until the proxy is
            told otherwise; ``reset`` the connection instead of an answer, or ``cut`` it amid the request;
            ``truncate`` the backend's answer; ``lost_answer``: the backend gets it, the client hears
            nothing.
    """

    kind: Kind = "pass"
    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"{}"


PASS = Fault()
Decide = Callable[[list[Any]], Fault]


def answer(status: int, body: bytes = b"{}", **headers: str) -> Fault:
    return Fault("answer", status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


class FaultProxy:
    """``with FaultProxy(backend.url) as proxy:``; ``proxy.url`` stays the same through :meth:`refuse`."""

    def __init__(self, upstream: str, port: int = 0) -> None:
        self._upstream = urlsplit(upstream)
        self.fault: Fault | Decide = PASS
        #: Spans of each request that came, by name, whatever became of it.
        self.seen: list[list[str]] = []
        self.bodies: list[int] = []
        self.times: list[float] = []
        self._server: ThreadingHTTPServer | None = None
        self._port = port or free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> FaultProxy:
        self.accept()
        return self

    def __exit__(self, *_: object) -> None:
        self.fault = PASS
        self.refuse()

    def refuse(self) -> None:
        """Nobody listens any more."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def accept(self) -> None:
        """Listens (again), at the same port."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer._handle(self)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_: object) -> None:
                pass  # clients that give up

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("content-length", 0))
        if isinstance(self.fault, Fault) and self.fault.kind == "cut":
            handler.rfile.read(length // 2)
            _reset(handler)
            return
        raw = handler.rfile.read(length)
        spans: list[Any] = []
        if handler.path.endswith("/traces"):
            spans = spans_of(
                gzip.decompress(raw) if handler.headers.get("content-encoding") == "gzip" else raw
            )
            self.seen.append([span.name for span in spans])
            self.bodies.append(length)
            self.times.append(time.monotonic())
        fault = self.fault if isinstance(self.fault, Fault) else self.fault(spans)
        if fault.kind == "hang":
            started = self.fault
            while self.fault is started:
                time.sleep(0.02)
            fault = Fault("reset")
        if fault.kind == "slow":
            time.sleep(0.4)
        if fault.kind == "reset":
            _reset(handler)
        elif fault.kind == "answer":
            _reply(handler, fault.status, fault.headers, fault.body)
        else:
            status, headers, body = self._forward(handler, raw)
            if fault.kind == "lost_answer":
                _reset(handler)
            elif fault.kind == "truncate":
                handler.wfile.write(b"HTTP/1.0 200 OK\r\ncontent-length: 50\r\n\r\n{")
            else:
                _reply(handler, status, headers, body)

    def _forward(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        connection = http.client.HTTPConnection(
            self._upstream.hostname or "", self._upstream.port, timeout=30
        )
        headers = {name: value for name, value in handler.headers.items() if name.lower() != "host"}
        connection.request("POST", handler.path, body, headers)
        reply = connection.getresponse()
        content = reply.read()
        connection.close()
        return reply.status, {"content-type": reply.headers.get("content-type", "")}, content


def spans_of(body: bytes) -> list[Any]:
    request = ExportTraceServiceRequest.FromString(body)
    return [span for one in request.resource_spans for scope in one.scope_spans for span in scope.spans]


def _reply(handler: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str], body: bytes) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def _reset(handler: BaseHTTPRequestHandler) -> None:
    # Not an orderly end: RST, as from a crashed server or a firewall.
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()
