"""OTLP over gRPC: one attempt, and what the answer means."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from otel_agents.export.entries import Entry, request_of
from otel_agents.export.sender import Answer, one_line, partial, tls_variable

logger = logging.getLogger(__name__)

_SERVICES: Final = {
    "traces": "trace.v1.TraceService",
    "metrics": "metrics.v1.MetricsService",
    "logs": "logs.v1.LogsService",
}


class GrpcSender:
    """OTLP over gRPC.

    Args:
        endpoint: ``http://host:port`` (no TLS) or ``https://host:port``.
        headers: sent as metadata.
        timeout: seconds for one request.
        compression: ``gzip`` or ``none``.
        signal: ``traces``, ``metrics`` or ``logs``.
    """

    def __init__(
        self,
        endpoint: str,
        headers: Mapping[str, str],
        timeout: float,
        compression: str,
        signal: str = "traces",
    ) -> None:
        import grpc

        plain = endpoint.startswith("http://")
        target = endpoint.removeprefix("http://").removeprefix("https://").rstrip("/")
        kind = grpc.Compression.Gzip if compression == "gzip" else grpc.Compression.NoCompression
        if plain:
            self._channel = grpc.insecure_channel(target, compression=kind)
        else:
            self._channel = grpc.secure_channel(target, _grpc_credentials(signal), compression=kind)
        self._call = self._channel.unary_unary(
            f"/opentelemetry.proto.collector.{_SERVICES[signal]}/Export",
            request_serializer=None,  # we have the bytes already
            response_deserializer=None,
        )
        self._metadata = tuple((name.lower(), value) for name, value in headers.items())
        self._timeout = timeout

    def send(self, entries: Sequence[Entry], timeout: float | None = None) -> Answer:
        return self.post(request_of(entries), len(entries), timeout)

    def post(self, body: bytes, spans: int = 0, timeout: float | None = None) -> Answer:
        """Sends a request that is encoded already. Never raises."""
        import grpc

        limit = self._timeout if timeout is None else min(timeout, self._timeout)
        try:
            answer = self._call(body, timeout=limit, metadata=self._metadata)
        except grpc.RpcError as error:
            return _grpc_answer(error)
        except ValueError as error:  # a closed channel
            return Answer("later", "unreachable", str(error))
        rejected, message = partial(answer)
        rejected = min(rejected, spans)
        return Answer("taken", "rejected" if rejected else "", message, rejected=rejected)

    def close(self) -> None:
        self._channel.close()


def _grpc_answer(error: Any) -> Answer:
    import grpc

    code = error.code()
    details = error.details() or ""
    reason = f"grpc_{code.name.lower()}"
    message = one_line(f"{code.name}: {details}")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in details:
        return Answer("too_large", reason, message)
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        return Answer("refused", reason, message)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        reason = "timeout"
    elif code is grpc.StatusCode.UNAVAILABLE:
        reason = "unreachable"
    return Answer("later", reason, message, _grpc_wait(error))


def _grpc_wait(error: Any) -> float | None:
    """Seconds of a ``RetryInfo`` in the error's details, as the Collector sends it under pressure."""
    try:
        from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
        from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

        for name, value in error.trailing_metadata() or ():
            if name == "grpc-status-details-bin":
                for detail in Status.FromString(value).details:
                    info = RetryInfo()
                    if detail.Unpack(info):
                        return float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)
    except Exception:
        return None
    return None


def _grpc_credentials(signal: str) -> Any:
    import grpc

    def content(what: str) -> bytes | None:
        path = tls_variable(signal, what)
        if not path:
            return None
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            logger.warning("otel-agents: %s cannot be read: %s", path, error.strerror)
            return None

    return grpc.ssl_channel_credentials(
        content("CERTIFICATE"), content("CLIENT_KEY"), content("CLIENT_CERTIFICATE")
    )
