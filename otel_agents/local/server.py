"""Runs the local backend: in the foreground, or beside a test in a thread."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from otel_agents.local.app import create_app
from otel_agents.local.backend import Backend
from otel_agents.local.options import LocalError, LocalOptions
from otel_agents.local.store import Store

_START_TIMEOUT = 30.0
_STOP_SECONDS = 5
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(slots=True)
class Running:
    """A local backend that serves.

    Attributes:
        url: base URL, as for ``LANGFUSE_BASE_URL``.
        store: its data, to read directly.
    """

    url: str
    host: str
    port: int
    public_key: str
    secret_key: str
    store: Store
    backend: Backend


class _Server(uvicorn.Server):
    """Stops at SIGINT and SIGTERM and lets the caller go on (uvicorn raises the signal again)."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(options: LocalOptions, ready: Callable[[str], None] | None = None) -> None:
    """Serves until SIGINT or SIGTERM.

    Args:
        ready: called once with the base URL when requests are answered.

    Raises:
        LocalError: the port or the database cannot be used; one line.
    """
    with _listening(options) as listener:
        server, _ = _server(options, listener)
        if ready is not None:
            _call_when_started(server, lambda: ready(_url(listener)))
        server.run(sockets=[listener])


@contextlib.contextmanager
def running(options: LocalOptions | None = None) -> Iterator[Running]:
    """A backend in a thread, for tests: free port, and a database in a temporary folder without options.

    Raises:
        LocalError: the port or the database cannot be used.
    """
    with contextlib.ExitStack() as stack:
        if options is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="otel-agents-local-"))
            options = LocalOptions(db=Path(folder) / "local.db", port=0)
        listener = stack.enter_context(_listening(options))
        server, backend = _server(options, listener)
        thread = threading.Thread(
            target=server.run, args=([listener],), name="otel-agents-local", daemon=True
        )
        thread.start()
        try:
            _wait_started(server, thread)
            host, port = listener.getsockname()[:2]
            yield Running(
                _url(listener), host, port, options.public_key, options.secret_key, backend.store, backend
            )
        finally:
            server.should_exit = True
            thread.join()


def _server(options: LocalOptions, listener: socket.socket) -> tuple[uvicorn.Server, Backend]:
    host, port = listener.getsockname()[:2]
    app = create_app(dataclasses.replace(options, host=options.host, port=port))
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        lifespan="on",
        log_config=None,  # the process decides about logging
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_STOP_SECONDS,
        server_header=False,
    )
    return _Server(config), app.state.backend


@contextlib.contextmanager
def _listening(options: LocalOptions) -> Iterator[socket.socket]:
    """A bound socket: a port that is taken shows before the database is touched."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((options.host, options.port))
            listener.listen(2048)
        except (OSError, OverflowError) as error:
            raise LocalError(_bind_problem(options, error)) from error
        yield listener
    finally:
        listener.close()


def _bind_problem(options: LocalOptions, error: Exception) -> str:
    place = f"{options.host}:{options.port}"
    code = error.errno if isinstance(error, OSError) else None
    if code == errno.EADDRINUSE:
        return f"port {options.port} on {options.host} is in use; stop what uses it or choose another port"
    if code == errno.EACCES:
        return f"not allowed to listen on {place}; choose a port above 1023"
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"cannot listen on {place}: {reason}; choose another host or port"


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _wait_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise LocalError("the local backend did not start; see the log above")
        time.sleep(0.005)


def _call_when_started(server: uvicorn.Server, call: Callable[[], None]) -> None:
    def wait() -> None:
        while not server.started and not server.should_exit:
            time.sleep(0.01)
        if server.started:
            call()

    threading.Thread(target=wait, name="otel-agents-local-ready", daemon=True).start()
