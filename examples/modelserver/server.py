"""Running the server: in a thread for tests, or in the foreground."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from modelserver.app import create_app
from modelserver.delivery import LATENCIES, Latency
from modelserver.state import Received, State


class ModelServer:
    """Handle of a running server."""

    def __init__(self, state: State, url: str) -> None:
        self._state = state
        self.url = url

    def ledger(self, records: bool = True) -> dict[str, Any]:
        """Sums of the billed calls, as ``GET /ledger`` answers them."""
        return self._state.ledger.snapshot(records)

    def reset(self) -> None:
        """Forgets ledger, prompt caches, script and received requests."""
        self._state.reset()

    def script(self, *steps: str | Mapping[str, Any], path: str | None = None) -> None:
        """What happens to the next requests, one step each.

        A step is a scenario (``"429"``, ``"slow:0.2,gzip"``, ``"ok"``) or a mapping with any of
        ``scenario``, ``text``, ``thinking``, ``tool_calls`` (``[{"name", "arguments"}]``), ``finish``
        and ``usage`` (``input``, ``output``, ``cache_read``, ``cache_write``, ``cache_write_1h``,
        ``reasoning``). With ``path`` only requests whose path contains it take the steps.

        Raises:
            UnknownScenario: there is no such scenario.
        """
        self._state.script.add(*steps, path=path)

    def fail_next(self, n: int, status: int, path: str | None = None) -> None:
        """The next ``n`` requests are answered with the error ``status``."""
        self.script(*[str(status)] * n, path=path)

    @property
    def requests(self) -> list[Received]:
        """The last 2000 requests as they arrived, also those that were refused."""
        return list(self._state.requests)


@contextmanager
def running(latency: str | Latency = "fast", faults: bool = False, port: int = 0) -> Iterator[ModelServer]:
    """A server on the loopback interface, in a thread of its own, until the block ends.

    Args:
        latency: "none", "fast" (a few milliseconds), "realistic", or seconds as ``Latency``.
        faults: some requests fail, the same ones in every run (see ``scenario.planned``).
        port: 0 for a free one.

    Raises:
        OSError: the port is taken.
    """
    state = State(LATENCIES[latency] if isinstance(latency, str) else latency, faults)
    listener = _listen(port)
    server = uvicorn.Server(_config(state))
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="modelserver", daemon=True
    )
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the model server did not start")
        time.sleep(0.002)
    try:
        yield ModelServer(state, f"http://127.0.0.1:{listener.getsockname()[1]}")
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def serve(host: str, port: int, latency: str, faults: bool) -> None:
    """Serves in the foreground until Ctrl-C or SIGTERM.

    Raises:
        OSError: the port is taken.
    """
    state = State(LATENCIES[latency], faults)
    listener = _listen(port, host)
    print(f"model server on http://{host}:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(_config(state)).run(sockets=[listener])


def _config(state: State) -> uvicorn.Config:
    # Broken connections are wanted here; uvicorn would log each as an error.
    return uvicorn.Config(
        _with_transport(create_app(state)),
        log_level="critical",
        lifespan="off",
        timeout_graceful_shutdown=1,
        ws="none",
    )


def _with_transport(app: ASGIApp) -> ASGIApp:
    """Hands the connection to the application, which ASGI keeps from it, so that it can drop it."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        scope["modelserver.transport"] = getattr(getattr(send, "__self__", None), "transport", None)
        await app(scope, receive, send)

    return wrapped


def _listen(port: int, host: str = "127.0.0.1") -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    listener.listen(256)
    return listener
