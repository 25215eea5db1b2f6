"""Child processes of the local stack: started with a log file, waited for, stopped without remains.

Every child leads a process group of its own, so a Ctrl-C in the terminal reaches only the starter, which
then stops the children in order. A watchdog process (``watchdog``) ends them when the starter is killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from otel_agents.stack import watchdog
from otel_agents.stack.errors import StackError

#: Seconds a child may take to stop by itself.
STOP_GRACE = 10.0


@dataclass(slots=True)
class Child:
    """A running child process."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_words(self) -> str:
        """The last line of its log that says something."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, self.log.stat().st_size - 4096))
                lines = [line.strip() for line in log.read().decode(errors="replace").splitlines()]
        except OSError:
            return ""
        return next((line[:300] for line in reversed(lines) if line), "")


@dataclass(slots=True)
class Children:
    """The children of one stack, in the order they were started. Use as a context manager."""

    logs: Path
    """Folder of the log files, one a child."""
    grace: float = STOP_GRACE
    """Seconds a child may take to stop by itself before it is killed."""
    running: list[Child] = field(default_factory=list)
    _watchdog: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_all()

    def start(
        self,
        name: str,
        command: Sequence[str | os.PathLike[str]],
        environ: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> Child:
        """Starts ``command`` with its output in ``<logs>/<name>.log`` (the last run's log only).

        Raises:
            StackError: when the program cannot be started at all.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        path = self.logs / f"{name}.log"
        with path.open("wb") as log, _signals_later():
            try:
                process = subprocess.Popen(
                    [os.fspath(part) for part in command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=None if environ is None else dict(environ),
                    cwd=folder,
                    start_new_session=True,
                )
            except OSError as error:
                raise StackError(f"{name} cannot be started: {error.strerror}: {command[0]}") from None
            child = Child(name, process, path)
            self.running.append(child)
            self._tell_watchdog(f"+{process.pid}")
        return child

    def wait_ready(self, child: Child, ready: Callable[[], bool], timeout: float = 30.0) -> None:
        """Waits until ``ready()`` is true.

        Raises:
            StackError: when the child ends before, or ``timeout`` seconds are over.
        """
        deadline = time.monotonic() + timeout
        while not ready():
            if (status := child.process.poll()) is not None:
                raise StackError(f"{_ended(child, status)}; log: {child.log}")
            if time.monotonic() > deadline:
                raise StackError(f"{child.name} was not ready after {timeout:g} s; log: {child.log}")
            time.sleep(0.05)

    def ended(self) -> str | None:
        """One line about the first child that ended by itself, or None."""
        for child in self.running:
            if (status := child.process.poll()) is not None:
                return f"{_ended(child, status)}; log: {child.log}"
        return None

    def stop(self, child: Child) -> None:
        """Stops one child: SIGTERM to its group, then SIGKILL after ``grace`` seconds."""
        _signal_group(child, signal.SIGTERM)
        try:
            child.process.wait(self.grace)
        except subprocess.TimeoutExpired:
            pass
        # What the child itself started is in the group and may have outlived it.
        _signal_group(child, signal.SIGKILL)
        child.process.wait()
        self.running.remove(child)
        self._tell_watchdog(f"-{child.process.pid}")

    def stop_all(self) -> None:
        """Stops every child, the last started first; then the watchdog has nothing left to guard."""
        for child in reversed(list(self.running)):
            self.stop(child)
        if self._watchdog is not None:
            assert self._watchdog.stdin is not None
            self._watchdog.stdin.close()
            self._watchdog.wait()
            self._watchdog = None

    def _tell_watchdog(self, line: str) -> None:
        if self._watchdog is None:
            self._watchdog = subprocess.Popen(
                [sys.executable, "-I", "-S", watchdog.__file__, str(self.grace)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        assert self._watchdog.stdin is not None
        try:
            self._watchdog.stdin.write(f"{line}\n".encode())
            self._watchdog.stdin.flush()
        except BrokenPipeError:  # someone killed the watchdog; the stack still works without it
            pass


@contextmanager
def _signals_later() -> Iterator[None]:
    """Holds stop signals back until the block is done: a child is never started but unknown.

    Blocking them by mask would not do, because the child would inherit that.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for one in came:
            signal.raise_signal(one)


def _ended(child: Child, status: int) -> str:
    how = f"by signal {-status}" if status < 0 else f"with status {status}"
    words = child.last_words()
    return f"{child.name} ended {how}" + (f" ({words})" if words else "")


def _signal_group(child: Child, number: int) -> None:
    try:
        os.killpg(child.process.pid, number)
    except (ProcessLookupError, PermissionError):
        pass


#: The stack is on this machine: a proxy from the environment must not get between.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answers(url: str, timeout: float = 2.0) -> bool:
    """Whether a GET of ``url`` is answered with a status below 400."""
    try:
        with _opener.open(url, timeout=timeout) as answer:
            return bool(answer.status < 400)
    except (OSError, urllib.error.URLError, ValueError):
        return False


def fetch(url: str, timeout: float = 10.0, data: bytes | None = None) -> bytes:
    """Body of a GET (or, with ``data``, a POST) to a server on this machine.

    Raises:
        OSError: no answer, or a status of 400 and above.
    """
    with _opener.open(url, data=data, timeout=timeout) as answer:
        body: bytes = answer.read()
        return body
