"""A child process and everything that it starts: output by lines, within limits, ended as a whole."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from otel_agents import endings

#: Seconds between SIGTERM and SIGKILL.
GRACE = 3.0
#: Seconds for which output is awaited after the process has ended: what it left running keeps pipes open.
_AFTER: Final = 1.0
#: Bytes of a line that is too long which are read.
_HEAD: Final = 65_536
#: Seconds that agents have when this process ends itself.
_LAST_GRACE: Final = 1.0
#: Process → who started it; a forked child inherits this, and none of the processes.
_running: Final[dict[int, int]] = {}
_CHUNK: Final = 65_536
_STDERR: Final = 20_000


@dataclass(slots=True)
class Ended:
    """How a process ended.

    Attributes:
        code: exit status; negative is the number of the signal that ended it.
        timed_out: it was ended because its time was up.
        raw: standard output; the middle is left out when it is too long.
        stderr: the last of standard error.
        odd: lines that are not UTF-8.
        too_long: lines that were longer than the limit, and were left out.
    """

    code: int | None = None
    timed_out: bool = False
    raw: str = ""
    stderr: str = ""
    odd: int = 0
    too_long: int = 0


class Kept:
    """The beginning and the end of a stream of text, with at most ``limit`` characters."""

    __slots__ = ("_head", "_left", "_limit", "_size", "_tail")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left = limit // 2
        self._head: list[str] = []
        self._tail: list[str] = []
        self._size = 0

    def add(self, text: str) -> None:
        """Takes text in."""
        if self._left > 0:
            self._head.append(text[: self._left])
            text, self._left = text[self._left :], self._left - len(text)
        if not text:
            return
        self._tail.append(text)
        self._size += len(text)
        if self._size > 2 * self._limit:
            self._shrink()

    def _shrink(self) -> str:
        joined = "".join(self._tail)
        kept = joined[-(self._limit // 2) :] if self._limit > 1 else ""
        self._tail, self._size = [kept], len(kept)
        return joined

    def __str__(self) -> str:
        head, tail = "".join(self._head), "".join(self._tail)
        if len(tail) > self._limit // 2 or self._size < sum(map(len, self._tail)):
            tail = "\n[...]\n" + tail[-(self._limit // 2) :]
        return head + tail


class Lines:
    """Bytes in, lines out; never keeps more than one line of ``limit`` bytes.

    Args:
        limit: bytes of a line.
        take: called with each line.
        beginning: called with what a line that is too long begins with.
    """

    __slots__ = ("_beginning", "_limit", "_line", "_skipping", "_take", "odd", "too_long")

    def __init__(self, limit: int, take: Callable[[str], None], beginning: Callable[[str], None]) -> None:
        self._limit = limit
        self._take = take
        self._beginning = beginning
        self._line = bytearray()
        self._skipping = False
        self.odd = 0
        self.too_long = 0

    def feed(self, data: bytes) -> None:
        """Takes a piece in; hands on the lines that it completes."""
        *whole, rest = data.split(b"\n")
        for part in whole:
            self._keep(part)
            self._end()
        self._keep(rest)

    def finish(self) -> None:
        """Hands on what has no end of line."""
        if self._line or self._skipping:
            self._end()

    def _keep(self, part: bytes) -> None:
        if self._skipping:
            return
        if len(self._line) + len(part) > self._limit:
            self._skipping = True
            self._line += part[:_HEAD]
            del self._line[_HEAD:]  # says what it was about
            return
        self._line += part

    def _end(self) -> None:
        line, skipped = bytes(self._line), self._skipping
        self._line.clear()
        self._skipping = False
        if skipped:
            self.too_long += 1
            self._beginning(line.decode(errors="ignore"))
            return
        try:
            text = line.decode()
        except UnicodeDecodeError:
            self.odd += 1
            text = line.decode(errors="replace")
        self._take(text + "\n")


@dataclass(slots=True)
class Command:
    """What is to be run. ``max_output`` is characters of ``raw``, and bytes of one line."""

    words: Sequence[str]
    env: Mapping[str, str]
    cwd: str | os.PathLike[str] | None = None
    stdin: bytes | None = None
    timeout: float | None = None
    max_output: int = 16 << 20
    grace: float = field(default_factory=lambda: GRACE)


async def run(
    command: Command, line: Callable[[str], None], beginning: Callable[[str], None] = lambda text: None
) -> Ended:
    """Runs a command in a process group of its own, and gives each line of its output to ``line``.

    Of a line that is too long its ``beginning`` is told.

    When the time is up, or when the caller is cancelled, the whole group gets SIGTERM, and SIGKILL
    after the grace period.

    Raises:
        OSError: it cannot be started.
    """
    endings.ends_with_us(ask_all)
    process = await asyncio.create_subprocess_exec(
        *command.words,
        stdin=asyncio.subprocess.DEVNULL if command.stdin is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=command.cwd,
        env=dict(command.env),
        start_new_session=True,
    )
    _running[process.pid] = os.getpid()
    kept, told = Kept(command.max_output), Kept(_STDERR)

    def take(text: str) -> None:
        kept.add(text)
        line(text)

    lines = Lines(command.max_output, take, beginning)
    assert process.stdout is not None
    assert process.stderr is not None
    readers = [
        asyncio.ensure_future(_read(process.stdout, lines.feed)),
        asyncio.ensure_future(_read(process.stderr, lambda data: told.add(data.decode(errors="replace")))),
    ]
    if command.stdin is not None:
        readers.append(asyncio.ensure_future(_write(process, command.stdin)))
    ended = Ended()
    try:
        ended.timed_out = not await _until_over(process, readers, command.timeout)
    except BaseException:
        await _end(process, command.grace)
        raise
    finally:
        if ended.timed_out:
            await _end(process, command.grace)
            await asyncio.wait(readers, timeout=_AFTER)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        lines.finish()
        _close(process)
        _running.pop(process.pid, None)
    ended.code = process.returncode
    ended.raw, ended.stderr = str(kept), str(told)
    ended.odd, ended.too_long = lines.odd, lines.too_long
    return ended


async def _until_over(
    process: asyncio.subprocess.Process, readers: Sequence[asyncio.Future[None]], limit: float | None
) -> bool:
    deadline = None if limit is None else time.monotonic() + limit
    over: float | None = None
    while True:
        now = time.monotonic()
        if process.returncode is not None:
            over = over or now
            if all(reader.done() for reader in readers) or now - over >= _AFTER:
                return True
        if deadline is not None and now >= deadline:
            return process.returncode is not None
        step = 0.1 if deadline is None else min(0.1, max(deadline - now, 0.01))
        waiting = [reader for reader in readers if not reader.done()]
        if waiting:
            await asyncio.wait(waiting, timeout=step, return_when=asyncio.ALL_COMPLETED)
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), step)


async def _read(stream: asyncio.StreamReader, take: Callable[[bytes], None]) -> None:
    while data := await stream.read(_CHUNK):
        take(data)


async def _write(process: asyncio.subprocess.Process, data: bytes) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(data)
        await process.stdin.drain()
    process.stdin.close()


def _close(process: asyncio.subprocess.Process) -> None:
    """Closes our ends of the pipes, which something that the process left may still hold open."""
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()


async def _end(process: asyncio.subprocess.Process, grace: float) -> None:
    """Ends a process and all that it started."""
    members = family(process.pid)
    send(process.pid, members, signal.SIGTERM)
    deadline = time.monotonic() + grace
    try:
        while time.monotonic() < deadline:
            if process.returncode is not None and not alive(process.pid, members):
                return
            await asyncio.sleep(0.02)
    finally:  # also when whoever waits has no more patience
        send(process.pid, members | family(process.pid), signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), 2.0)


def ask_all() -> Callable[[], None]:
    """Sends SIGTERM to all that runs, as this process ends; answers with what kills the rest.

    Agents are leaders of sessions of their own, so no terminal and no supervisor would reach them.
    """
    ours = {pid: family(pid) for pid, owner in list(_running.items()) if owner == os.getpid()}
    for pid, members in ours.items():
        send(pid, members, signal.SIGTERM)

    def kill() -> None:
        deadline = time.monotonic() + _LAST_GRACE
        left = dict(ours)
        while left and time.monotonic() < deadline:
            left = {pid: members for pid, members in left.items() if _left(pid, members)}
            time.sleep(0.02 if left else 0)
        for pid, members in ours.items():
            send(pid, members | family(pid), signal.SIGKILL)

    return kill


def _left(pid: int, members: set[int]) -> bool:
    """Whether it runs; nobody reaps it any more, so one that has ended is there still."""
    if sys.platform.startswith("linux"):
        return any(_session(one) is not None for one in {pid, *members, *family(pid)})
    return alive(pid, members)


def send(pid: int, members: set[int], number: int) -> None:
    """Sends a signal to the group that ``pid`` leads, and to members that left the group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
    for member in members:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(member, number)


def alive(pid: int, members: set[int]) -> bool:
    """Whether any process of the group, or any of the members, still runs."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, 0)
        return True
    return any(_session(member) is not None for member in members)


def family(pid: int) -> set[int]:
    """Processes outside of the group that belong to it: same session, or descendants. On Linux only.

    Agents give the commands that they run process groups of their own.
    """
    if not sys.platform.startswith("linux"):
        return set()
    parents: dict[int, int] = {}
    found: set[int] = set()
    for name in os.listdir("/proc"):
        if name.isdigit() and (told := _session(int(name))) is not None:
            parent, group, session = told
            parents[int(name)] = parent
            if session == pid and group != pid:
                found.add(int(name))
    for one in parents:
        above, seen = parents[one], 0
        while above > 1 and seen < 64:
            if above == pid:
                found.add(one)
                break
            above, seen = parents.get(above, 0), seen + 1
    found.discard(os.getpid())
    return found


def _session(pid: int) -> tuple[int, int, int] | None:
    """Parent, group and session of a process that has not ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state, parent, group, session = file.read().rpartition(b")")[2].split()[:4]
    except (OSError, ValueError):
        return None
    return None if state in (b"Z", b"X") else (int(parent), int(group), int(session))
