"""A small OTLP/HTTP receiver of one run: what a coding agent exports is read here.

It listens on a free port of the loopback interface for as long as the agent runs. JSON and protobuf,
compressed or not, whole or in chunks; which signal it is says the content, since agents differ in the
paths that they append.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import gzip
import json
import threading
import zlib
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from otel_agents.tracing import spans

#: Bytes of one request, and of all requests of a run.
_MAX_REQUEST: Final = 64 << 20
_MAX_TOTAL: Final = 512 << 20
_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})

Take = Callable[[Mapping[str, Any]], None]


class Receiver:
    """Listens from its making to :meth:`close`.

    Args:
        take: called with each request as OTLP JSON, on the receiver's threads.

    Attributes:
        url: base of the endpoints, such as ``http://127.0.0.1:41234``.

    Raises:
        OSError: there is no port to be had.
    """

    def __init__(self, take: Take) -> None:
        self._take = take
        self._left = _MAX_TOTAL
        self._busy = 0
        self._idle = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_POST(self) -> None:
                outer._handle(self)

            def log_message(self, *_: object) -> None:
                """Nothing of this belongs in the app's standard error."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: object) -> None:
                spans.note("receive telemetry")

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        ).start()

    def close(self, patience: float = 2.0) -> None:
        """Stops listening, after what is being read has been read."""
        with self._idle:
            self._idle.wait_for(lambda: not self._busy, patience)
        self._server.shutdown()
        self._server.server_close()

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        with self._idle:
            self._busy += 1
        try:
            body = _body(handler)
            kind = handler.headers.get("content-type", "")
            status = 413 if body is None else 200
            if body is None or len(body) > self._left:
                handler.close_connection = True
                status = 413
            else:
                self._left -= len(body)
                request = _request(body, "json" in kind, handler.path)
                if request is None:
                    status = 400
                else:
                    self._take(request)
            answer = b"{}" if "json" in kind else b""
            handler.send_response(status)
            handler.send_header("content-type", kind or "application/json")
            handler.send_header("content-length", str(len(answer)))
            handler.end_headers()
            with contextlib.suppress(OSError):
                handler.wfile.write(answer)
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()


def _body(handler: BaseHTTPRequestHandler) -> bytes | None:
    if handler.headers.get("transfer-encoding", "").lower() == "chunked":
        data = _chunks(handler)
    else:
        try:
            length = int(handler.headers.get("content-length", 0))
        except ValueError:
            return None
        data = handler.rfile.read(length) if 0 <= length <= _MAX_REQUEST else None
    if data is None:
        return None
    encoding = handler.headers.get("content-encoding", "").lower()
    try:
        if encoding == "gzip":
            return _inflated(data, 16 + zlib.MAX_WBITS)
        return _inflated(data, zlib.MAX_WBITS) if encoding == "deflate" else data
    except (zlib.error, gzip.BadGzipFile):
        return b""


def _inflated(data: bytes, bits: int) -> bytes | None:
    decoder = zlib.decompressobj(bits)
    made = decoder.decompress(data, _MAX_REQUEST)
    return None if decoder.unconsumed_tail else made


def _chunks(handler: BaseHTTPRequestHandler) -> bytes | None:
    made = bytearray()
    while True:
        try:
            size = int(handler.rfile.readline(100).split(b";")[0], 16)
        except ValueError:
            return None
        if size == 0:
            while handler.rfile.readline(10_000) not in (b"\r\n", b"\n", b""):
                pass
            return bytes(made)
        if len(made) + size > _MAX_REQUEST:
            return None
        made += handler.rfile.read(size)
        handler.rfile.readline(10)


def _request(body: bytes, is_json: bool, path: str) -> Mapping[str, Any] | None:
    if is_json or body[:1] == b"{":
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None
    return _from_protobuf(body, path)


def _from_protobuf(body: bytes, path: str) -> Mapping[str, Any] | None:
    from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    kinds: dict[str, Any] = {
        "traces": ExportTraceServiceRequest,
        "logs": ExportLogsServiceRequest,
        "metrics": ExportMetricsServiceRequest,
    }
    kind = next((kinds[name] for name in kinds if path.rstrip("/").endswith(name)), None)
    if kind is None:
        return None
    try:
        made: dict[str, Any] = MessageToDict(kind.FromString(body), use_integers_for_enums=True)
    except Exception:  # protobuf's own, of which each of its implementations has another
        return None
    _hexadecimal(made)
    return made


def _hexadecimal(value: Any) -> None:
    """Ids are hexadecimal in OTLP JSON, unlike other bytes of protobuf."""
    for one in value if isinstance(value, list) else ():
        _hexadecimal(one)
    if isinstance(value, dict):
        for key, one in value.items():
            if key in _IDS and isinstance(one, str):
                with contextlib.suppress(binascii.Error, ValueError):
                    value[key] = base64.b64decode(one).hex()
            else:
                _hexadecimal(one)
