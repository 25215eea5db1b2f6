"""GET requests to Langfuse's public API: patient with a busy server, and plain about one that refuses.

Plain ``httpx`` and not the SDK's client: that is a singleton by public key, whose second maker gets the
first one's address, and its models fail on fields a server has not got yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from otel_agents.export.waits import pause, retry_after
from otel_agents.langfuse.unavailable import LangfuseUnavailable
from otel_agents.version import __version__

if TYPE_CHECKING:
    import httpx

#: Query parameters; a list may name one parameter several times.
Parameters = Sequence[tuple[str, str]]

#: Answers after which the same request may succeed.
_BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
#: Tries of a request that gets no connection: a server that is down is told soon.
_CONNECTIONS: Final = 3
_TRIES: Final = 7


class SlowAnswer(LangfuseUnavailable):
    """The server did not finish in time; it may when asked for less."""


class ReadApi:
    """A connection for reading. For one thread at a time.

    Args:
        base_url: Langfuse's address.
        public_key: of the project.
        secret_key: of the project.
        timeout: seconds for one request.
        patience: seconds that may be spent waiting between the tries of one request.
    """

    def __init__(
        self, base_url: str, public_key: str, secret_key: str, timeout: float = 30.0, patience: float = 120.0
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._auth = (public_key, secret_key)
        self._timeout = timeout
        self._patience = patience
        self._client: httpx.Client | None = None
        #: Waits between tries; tests put a clock of their own here.
        self.sleep: Callable[[float], None] = time.sleep

    def get(self, path: str, parameters: Parameters = ()) -> Mapping[str, Any]:
        """The JSON object at ``path``.

        Raises:
            SlowAnswer: no answer in time, or the server's own limit of time.
            LangfuseUnavailable: anything else that is no answer.
        """
        waited, failures = 0.0, 0
        while True:
            failures += 1
            asked: float | None = None
            try:
                answer = self._send(path, parameters)
            except LangfuseUnavailable as problem:
                if isinstance(problem, SlowAnswer) or failures >= _CONNECTIONS:
                    raise
                error = problem
            else:
                if answer.is_success:
                    return self._json(answer)
                if answer.status_code not in _BUSY:
                    raise self._refusal(path, answer)
                asked = retry_after(answer.headers)
                error = self._busy(answer, asked)
            wait = pause(failures, asked)
            if failures >= _TRIES or waited + wait > self._patience:
                raise error
            self.sleep(wait)
            waited += wait

    def close(self) -> None:
        """Closes the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _send(self, path: str, parameters: Parameters) -> httpx.Response:
        import httpx
        from opentelemetry.instrumentation.utils import suppress_http_instrumentation

        if self._client is None:
            self._client = httpx.Client(
                timeout=self._timeout,
                follow_redirects=True,
                auth=self._auth,
                headers={"user-agent": f"otel-agents/{__version__}"},
            )
        try:
            with suppress_http_instrumentation():  # reading traces should make none
                return self._client.get(self.base_url + path, params=list(parameters))
        except (httpx.ReadTimeout, httpx.WriteTimeout):
            raise SlowAnswer(
                f"Langfuse at {self.base_url} gave no answer in {self._timeout:g} s; ask for a shorter time, "
                "or try again when it is less busy"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            why = _connection_problem(error)
            raise LangfuseUnavailable(
                f"Langfuse at {self.base_url} is unreachable ({why}); check LANGFUSE_BASE_URL"
            ) from None

    def _json(self, answer: httpx.Response) -> Mapping[str, Any]:
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise LangfuseUnavailable(
                f"{self.base_url} does not answer as Langfuse (no JSON); check LANGFUSE_BASE_URL",
                answer.status_code,
            )
        return found

    def _busy(self, answer: httpx.Response, asked: float | None) -> LangfuseUnavailable:
        status = answer.status_code
        if status == 429:
            when = "later" if asked is None else f"in {asked:.0f} s"
            return LangfuseUnavailable(
                f"Langfuse at {self.base_url} limits the rate of reads (status 429); try again {when}, or "
                "ask for a shorter time",
                status,
            )
        return LangfuseUnavailable(
            f"Langfuse at {self.base_url} fails ({_said(answer)}); try again later, or see the server's log",
            status,
        )

    def _refusal(self, path: str, answer: httpx.Response) -> LangfuseUnavailable:
        status = answer.status_code
        if status in (401, 403):
            return LangfuseUnavailable(
                f"Langfuse at {self.base_url} refuses the keys (status {status}); check LANGFUSE_PUBLIC_KEY "
                "and LANGFUSE_SECRET_KEY, and that they belong to a project there",
                status,
            )
        if status == 404:
            return LangfuseUnavailable(
                f"{self.base_url} has no {path} (status 404); check LANGFUSE_BASE_URL; a Langfuse of one's "
                "own has to be version 4.59 or newer, not in legacy mode",
                status,
            )
        if status == 422:
            return SlowAnswer(
                f"Langfuse at {self.base_url} ran out of time ({_said(answer)}); ask for a shorter time",
                status,
            )
        return LangfuseUnavailable(
            f"Langfuse at {self.base_url} takes no {path} as this version asks it ({_said(answer)}); a "
            "Langfuse of one's own has to be version 4.59 or newer",
            status,
        )


def _said(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        body = None
    message = body.get("message") if isinstance(body, dict) else None
    text = " ".join(str(message).split())[:200] if message else ""
    return f"status {answer.status_code}{': ' if text else ''}{text}"


def _connection_problem(error: Exception) -> str:
    import socket

    if "Timeout" in type(error).__name__:
        return "no connection in time"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return "no such host"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        cause = cause.__cause__ or cause.__context__
    return " ".join(str(error).split())[:120].lower() or type(error).__name__
