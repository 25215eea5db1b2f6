"""Whether telemetry would arrive: the Collector answers, or Langfuse answers and takes the keys."""

from __future__ import annotations

import base64
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

from otel_agents.cli.errors import CommandError
from otel_agents.config import Otlp, Settings

#: Seconds for one attempt; whoever asks is waiting.
_TIMEOUT = 5.0


def check(settings: Settings) -> str:
    """One line about what answers.

    Raises:
        CommandError: nothing does, or it refuses; the line says what to correct.
    """
    if settings.mode == "collector" and (otlp := settings.otlp("traces")) is not None:
        return _check_collector(otlp)
    if settings.mode == "direct":
        return _check_langfuse(settings)
    raise CommandError(
        "nothing says where telemetry goes; set OTEL_EXPORTER_OTLP_ENDPOINT, or LANGFUSE_PUBLIC_KEY and "
        "LANGFUSE_SECRET_KEY"
    )


def _check_collector(otlp: Otlp) -> str:
    setting = "OTEL_EXPORTER_OTLP_ENDPOINT"
    if otlp.protocol == "grpc":
        parts = urlsplit(otlp.endpoint)
        try:
            socket.create_connection((parts.hostname or "", parts.port or 4317), _TIMEOUT).close()
        except OSError as error:
            raise _unreachable(otlp.endpoint, error, setting) from None
        return f"{otlp.endpoint} takes connections"
    # An export of nothing: valid, and changes nothing.
    headers = {"Content-Type": "application/x-protobuf", **otlp.headers}
    status = _status(otlp.endpoint, headers, setting, b"")
    if status in (401, 403):
        raise CommandError(f"{otlp.endpoint} refuses (status {status}); check OTEL_EXPORTER_OTLP_HEADERS")
    if status >= 300:
        raise CommandError(f"{otlp.endpoint} takes no OTLP (status {status}); check {setting}")
    return f"{otlp.endpoint} takes OTLP"


def _check_langfuse(settings: Settings) -> str:
    base = settings.langfuse_base_url
    pair = f"{settings.langfuse_public_key}:{settings.langfuse_secret_key}"
    headers = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    status = _status(f"{base}/api/public/projects", headers, "LANGFUSE_BASE_URL", None)
    if status in (401, 403):
        raise CommandError(
            f"Langfuse at {base} refuses the keys (status {status}); check LANGFUSE_PUBLIC_KEY and "
            "LANGFUSE_SECRET_KEY, and that they belong to a project there"
        )
    if status >= 300:
        raise CommandError(f"{base} does not answer as Langfuse (status {status}); check LANGFUSE_BASE_URL")
    return f"Langfuse at {base} takes the keys"


def _status(url: str, headers: Mapping[str, str], setting: str, data: bytes | None) -> int:
    request = urllib.request.Request(url, data=data, headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError as error:
        raise _unreachable(url, error, setting) from None


def _unreachable(url: str, error: OSError, setting: str) -> CommandError:
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        why = f"no answer in {_TIMEOUT:g} s"
    elif isinstance(reason, socket.gaierror):
        why = "no such host"
    elif isinstance(reason, ssl.SSLError):
        why = f"TLS: {reason.reason or reason}"
    else:
        why = (getattr(reason, "strerror", None) or str(reason)).lower()
    parts = urlsplit(url)
    return CommandError(
        f"{parts.scheme}://{parts.netloc.rpartition('@')[2]} is unreachable ({why}); check {setting}"
    )
