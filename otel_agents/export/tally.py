"""How many spans a process has ended, and of how many the fate is decided: kept where a kill leaves it.

What SIGKILL takes with it nobody can send, but it can be counted. Two numbers are in the file whose lock
says that the process lives, mapped into memory, so that the kernel keeps them whatever happens to the
process. Whoever gets the lock later knows what is missing: ended, minus decided, minus what is on disk.
It may say too much by what was under way in that moment, never too little.

Who finds such a loss adds it to its own numbers until its metrics have told of it, so that the next one
finds it again should the finder be killed first.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import secrets
import struct
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Final

from otel_agents.export import locks

_MAGIC: Final = b"oatally1"
_NUMBER: Final = struct.Struct("<Q")
_NUMBERS: Final = struct.Struct("<QQ")
_ENDED: Final = len(_MAGIC)
_SETTLED: Final = _ENDED + _NUMBER.size
_SIZE: Final = _ENDED + _NUMBERS.size

_living: weakref.WeakSet[Tally] = weakref.WeakSet()
#: Whether this process has metrics that tell of losses.
_is_told = False


class Tally:
    """The two numbers of this process's spans to one destination. Safe for threads and signal handlers.

    Args:
        folder: of the destination; None counts nothing.

    Attributes:
        path: of the spool file that this process may make; None while the tally has no file.
        lock: descriptor that holds the lock of ``path``.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._guard = threading.RLock()  # a signal handler may end spans amid the end of another one
        self._ended = self._settled = 0
        self._numbers: mmap.mmap | None = None
        self._found = self._about_to_be_told = 0
        _living.add(self)
        self.path: Path | None = None
        self.lock: int | None = None

    def open(self) -> None:
        """Makes the file if there is none yet. Without one (no disk, no locks) a kill is not counted."""
        with self._guard:
            if self._folder is not None and self._numbers is None:
                self._make(self._folder)

    def _make(self, folder: Path) -> None:
        path = folder / f"spans-{time.time_ns():x}-{os.getpid()}-{secrets.token_hex(3)}.db"
        lock = None
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = locks.take(path, create=True)
            if lock is None:
                return
            # Written before it is mapped: a page that a full disk has no room for would end the process.
            if os.pwrite(lock, _MAGIC + bytes(_NUMBERS.size), 0) != _SIZE:
                raise OSError("the disk is full")
            self._numbers = mmap.mmap(lock, _SIZE)
        except (OSError, ValueError):
            if lock is not None:
                locks.path_of(path).unlink(missing_ok=True)
                locks.release(lock)
            return
        self.path, self.lock = path, lock
        _NUMBERS.pack_into(self._numbers, _ENDED, self._ended, self._settled)

    def end(self) -> None:
        """A span has ended."""
        with self._guard:
            self._ended += 1
            if self._numbers is not None:
                _NUMBER.pack_into(self._numbers, _ENDED, self._ended)

    def settle(self, spans: int) -> None:
        """The fate of so many is decided. To be said after they were deleted from the disk."""
        with self._guard:
            self._settled += spans
            if self._numbers is not None:
                _NUMBER.pack_into(self._numbers, _SETTLED, self._settled)

    def found(self, spans: int) -> None:
        """A process that was killed took so many with it: to be said before its own numbers are cleared."""
        if not _is_told or spans <= 0:
            return
        self.open()
        with self._guard:
            self._found += spans
            self._ended += spans
            if self._numbers is not None:
                _NUMBER.pack_into(self._numbers, _ENDED, self._ended)

    def told(self) -> None:
        """Metrics have gone out. They hold what was found before those that went out before them."""
        with self._guard:
            if self._about_to_be_told:
                self.settle(self._about_to_be_told)
            self._about_to_be_told, self._found = self._found, 0

    def close(self, left: int) -> None:
        """An orderly end: nothing is missing but the ``left`` spans that wait on disk."""
        with self._guard:
            numbers, self._numbers = self._numbers, None
            path, lock, self.lock = self.path, self.lock, None
            self._folder = None
        if numbers is None or path is None or lock is None:
            return
        _NUMBERS.pack_into(numbers, _ENDED, left, 0)
        numbers.close()
        if left <= 0 and not path.exists():
            with contextlib.suppress(OSError):
                locks.path_of(path).unlink()
        locks.release(lock)

    def abandon(self) -> None:
        """In a forked child: lets go of what is the parent's."""
        numbers, self._numbers = self._numbers, None
        if numbers is not None:
            numbers.close()
        if self.lock is not None:
            locks.release(self.lock)


def will_be_told() -> None:
    """Metrics of this process will go out; each time they have, :func:`told` is called."""
    global _is_told
    _is_told = True


def told() -> None:
    """The metrics of this process have gone out."""
    for one in list(_living):
        one.told()


def open_fates(lock: int) -> int:
    """Spans that a process had ended and not settled, by the file of its lock; 0 when it kept no tally."""
    try:
        found = os.pread(lock, _SIZE, 0)
    except OSError:
        return 0
    if len(found) < _SIZE or not found.startswith(_MAGIC):
        return 0
    ended, settled = _NUMBERS.unpack_from(found, _ENDED)
    return max(int(ended) - int(settled), 0)


def clear(lock: int) -> None:
    """Has nobody count the same loss again."""
    with contextlib.suppress(OSError):
        if os.fstat(lock).st_size >= _SIZE:
            os.pwrite(lock, bytes(_NUMBERS.size), _ENDED)


def collect(folder: Path, found: Callable[[int], object] = lambda _: None) -> int:
    """Spans that processes took with them that were killed and had nothing on disk; forgets the tallies.

    Args:
        folder: of the destination.
        found: told of each process's, before its tally is forgotten.
    """
    lost = 0
    with contextlib.suppress(OSError):
        for lock in folder.glob("spans-*.lock"):
            lost += _collect(lock, found)
    return lost


def is_any_left(folder: Path) -> bool:
    """Whether there is the tally of a process that is gone."""
    with contextlib.suppress(OSError):
        for path in folder.glob("spans-*.lock"):
            if path.stat().st_size >= _SIZE and (lock := locks.take_file(path)) is not None:
                locks.release(lock)
                return True
    return False


def _collect(path: Path, found: Callable[[int], object]) -> int:
    try:
        # Without a size it is a lock that is just being taken: not to be touched.
        if path.stat().st_size < _SIZE or path.with_suffix(".db").exists():
            return 0
        lock = locks.take_file(path)
        if lock is None:
            return 0
        try:
            if path.with_suffix(".db").exists():
                return 0  # its process had something on disk after all
            lost = open_fates(lock)
            found(lost)
            path.unlink()
            return lost
        finally:
            locks.release(lock)
    except OSError:
        return 0
