"""Requests of the examination: short, without a proxy on this machine, and plain about what went wrong."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from otel_agents.stack.ports import is_loopback

#: Seconds for one request; somebody is waiting.
TIMEOUT: Final = 5.0


class Unreachable(Exception):
    """No answer. The text says why, in a few words."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of a server.

    Attributes:
        status: of HTTP.
        headers: names in lower case.
        body: of the answer.
        seconds: that it took.
        at: when half of that was over, seconds since 1970 by this machine's clock.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    at: float

    @property
    def ok(self) -> bool:
        """A status of 2xx."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON; None when it is none."""
        import json

        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def text(self) -> str:
        """The body's beginning in one line, for a message."""
        found = self.json()
        if isinstance(found, dict) and (said := found.get("message") or found.get("error")):
            return " ".join(str(said).split())[:200]
        return " ".join(self.body.decode("utf-8", "replace").split())[:200]


def ask(
    url: str,
    *,
    auth: tuple[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float = TIMEOUT,
) -> Answer:
    """A GET, or with ``body`` a POST.

    Raises:
        Unreachable: there is no answer.
    """
    import httpx

    try:
        with httpx.Client(timeout=timeout, trust_env=not is_loopback(url), follow_redirects=True) as client:
            before, started = time.time(), time.monotonic()
            answer = client.request(
                "GET" if body is None else "POST",
                url,
                auth=auth,
                params=dict(params) if params else None,
                headers=dict(headers or {}),
                content=body,
            )
            took = time.monotonic() - started
            named = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status_code, named, answer.content, took, before + took / 2)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise Unreachable(_why(error, timeout)) from None


def place(url: str) -> str:
    """Scheme, host and port: an address without what could be a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _why(error: Exception, timeout: float) -> str:
    import socket
    import ssl

    if "Timeout" in type(error).__name__:
        return f"no answer in {timeout:g} s"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return "no such host"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        if isinstance(cause, ssl.SSLError):
            return f"TLS: {cause.reason or cause}"
        cause = cause.__cause__ or cause.__context__
    return " ".join(str(error).split())[:150].lower() or type(error).__name__
