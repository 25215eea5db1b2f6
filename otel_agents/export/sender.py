"""One attempt to send spans, and what the answer means. Nothing here repeats anything.

The exporters of OpenTelemetry answer success or failure, after retries of their own. To keep what may
be sent again, to part what may not, and to say what was lost, the answer itself is needed.
"""

from __future__ import annotations

import gzip
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol
from urllib.parse import urlsplit

from otel_agents.export.entries import Entry, request_of
from otel_agents.export.waits import retry_after
from otel_agents.version import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

logger = logging.getLogger(__name__)

#: Statuses that say something about the spans; every other 4xx is about the address, keys or limits.
_REFUSED: Final = frozenset({400, 415, 422})
_AGENT: Final = f"otel-agents/{__version__}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request.

    Attributes:
        kind: ``taken``; ``later`` (it may work later); ``refused`` (this will never be taken);
            ``too_large`` (it may work in parts).
        reason: short and one of few, for counters: ``status_503``, ``unreachable``, ``timeout``.
        message: for people, one line.
        wait: seconds that the server asked to wait.
        rejected: spans that a server which took the request says it threw away (partial success).
    """

    kind: Literal["taken", "later", "refused", "too_large"]
    reason: str = ""
    message: str = ""
    wait: float | None = None
    rejected: int = 0


class Sender(Protocol):
    """Sends spans once."""

    def send(self, entries: Sequence[Entry], timeout: float | None = None) -> Answer:
        """Sends ``entries`` (none: an empty request) in one request. Never raises."""

    def close(self) -> None:
        """Ends connections."""


class HttpSender:
    """OTLP over HTTP, protobuf.

    Args:
        url: full address.
        headers: of every request.
        timeout: seconds for one request.
        compression: ``gzip`` or ``none``.
        signal: ``traces``, ``metrics`` or ``logs``; for its variables, the address says it already.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        timeout: float,
        compression: str,
        signal: str = "traces",
    ) -> None:
        self._url = url
        parts = urlsplit(url)
        self._shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()  # without a password
        self._timeout = timeout
        self._gzip = compression == "gzip"
        self._headers = {
            "Content-Type": "application/x-protobuf",
            "User-Agent": _AGENT,
            **({"Content-Encoding": "gzip"} if self._gzip else {}),
            **headers,
        }
        self._session = _session(signal)

    def send(self, entries: Sequence[Entry], timeout: float | None = None) -> Answer:
        return self.post(request_of(entries), len(entries), timeout)

    def post(self, body: bytes, spans: int = 0, timeout: float | None = None) -> Answer:
        """Sends a request that is encoded already. Never raises."""
        import requests

        limit = self._timeout if timeout is None else min(timeout, self._timeout)
        try:
            answer = self._session.post(
                self._url,
                data=gzip.compress(body, 5) if self._gzip else body,
                headers=self._headers,
                auth=_as_it_is,
                timeout=limit,
                allow_redirects=False,
            )
        except requests.Timeout:
            return Answer("later", "timeout", f"no answer from {self._shown} within {limit:g} s")
        except (requests.RequestException, OSError, ValueError) as error:
            reason = "cut_off" if _was_connected(error) else "unreachable"
            return Answer("later", reason, one_line(f"{self._shown}: {_why(error)}"))
        return _read(answer, spans)

    def close(self) -> None:
        self._session.close()


class ExporterSender:
    """Any exporter of the SDK's kind: the console, memory in tests. What it refuses is tried again."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def send(self, entries: Sequence[Entry], timeout: float | None = None) -> Answer:
        from opentelemetry.sdk.trace.export import SpanExportResult

        try:
            result = self._exporter.export([one.span for one in entries if one.span is not None])
        except Exception as error:
            logger.exception("otel-agents: the exporter failed")
            return Answer("later", "export_failed", one_line(repr(error)))
        if result is SpanExportResult.SUCCESS:
            return Answer("taken")
        return Answer("later", "export_failed", "the exporter said no")

    def close(self) -> None:
        self._exporter.shutdown()


def _why(error: BaseException) -> str:
    """The system's own words where there are some; those of the libraries tell of their pools and retries."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        inner = inner.__cause__ or inner.__context__
    return f"{type(error).__name__}: {error}"


def _as_it_is(request: Any) -> Any:
    """Instead of what ``~/.netrc`` says of this host, which would replace the header that was set."""
    return request


def tls_variable(signal: str, what: str) -> str | None:
    """A file of OpenTelemetry's TLS variables: the signal's own, else that of all signals."""
    prefix = "OTEL_EXPORTER_OTLP"
    return os.environ.get(f"{prefix}_{signal.upper()}_{what}") or os.environ.get(f"{prefix}_{what}")


def _session(signal: str) -> Any:
    """A client that nothing traces (threads of ours suppress it), with OpenTelemetry's TLS variables."""
    import requests

    session = requests.Session()
    if authority := tls_variable(signal, "CERTIFICATE"):
        session.verify = authority
    if certificate := tls_variable(signal, "CLIENT_CERTIFICATE"):
        key = tls_variable(signal, "CLIENT_KEY")
        session.cert = (certificate, key) if key else certificate
    return session


def _read(answer: Any, spans: int) -> Answer:
    status = answer.status_code
    if 200 <= status < 300:
        if _is_page(answer):
            message = f"status {status} and a web page from {answer.url}: no OTLP endpoint, check the address"
            return Answer("later", "no_otlp", message)
        rejected, message = partial(answer.content, answer.headers.get("content-type", ""))
        rejected = min(rejected, spans)
        return Answer("taken", "rejected" if rejected else "", message, rejected=rejected)
    reason = f"status_{status}"
    message = one_line(f"status {status}: {answer.text[:500]}")
    if status == 413:
        return Answer("too_large", reason, message)
    if status in _REFUSED:
        return Answer("refused", reason, message)
    if 300 <= status < 400:
        message = f"status {status}: redirected to {answer.headers.get('location')}; use that address"
    return Answer("later", reason, message, retry_after(answer.headers))


def _was_connected(error: Exception) -> bool:
    """Whether a connection was there, and somebody has cut it: perhaps for what was sent."""
    from urllib3.exceptions import ProtocolError

    return any(isinstance(one, ProtocolError) for one in error.args)


def _is_page(answer: Any) -> bool:
    """Whether the answer is for people: of a captive portal, a login, or a server at a mistaken address.

    What takes OTLP answers with nothing, protobuf or JSON, whatever it says that it is.
    """
    start = answer.content[:64].lstrip().lower()
    said = "html" in answer.headers.get("content-type", "").lower()
    return bool(start) and (said or start.startswith((b"<!doctype", b"<html")))


def partial(body: bytes, kind: str = "application/x-protobuf") -> tuple[int, str]:
    """Spans that were thrown away, and why, of an answer's ``partial_success``.

    Langfuse answers with JSON of its own to everything; what is not understood means that all is well.
    """
    try:
        if "json" in kind:
            import json

            said = json.loads(body or b"{}").get("partialSuccess") or {}
            return max(int(said.get("rejectedSpans") or 0), 0), one_line(str(said.get("errorMessage") or ""))
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

        partial = ExportTraceServiceResponse.FromString(body).partial_success
        return max(partial.rejected_spans, 0), one_line(partial.error_message)
    except Exception:
        return 0, ""


def one_line(text: str) -> str:
    """``text`` for a log: one line, and not too long."""
    return " ".join(text.split())[:300]
