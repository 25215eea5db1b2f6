"""Who owns a file: an ``flock`` on a second file beside it, which goes with its process however that ends."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing to lock with, so nothing is kept on disk
    fcntl = None  # type: ignore[assignment]


def take(path: Path, create: bool) -> int | None:
    """A descriptor that holds the lock of the file ``path``; None when another holds it, or it is gone.

    Args:
        path: of the file.
        create: the file is about to be made; else there is no lock without it.

    Raises:
        OSError: the file system has no locks, or the file cannot be opened.
    """
    if fcntl is None:
        raise OSError("this system has no file locks")
    lock_path = path_of(path)
    descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its holder may have deleted it since it was opened: then the lock is of no file.
        if os.fstat(descriptor).st_ino == os.stat(lock_path).st_ino and (create or path.exists()):
            return descriptor
        if not create and not path.exists():
            lock_path.unlink(missing_ok=True)  # made by this very look, or left without its file
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def take_file(lock_path: Path) -> int | None:
    """A descriptor that holds an existing lock file itself; None when another holds it.

    Raises:
        OSError: there is no such file, or the file system has no locks.
    """
    if fcntl is None:
        raise OSError("this system has no file locks")
    descriptor = os.open(lock_path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == os.stat(lock_path).st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def path_of(path: Path) -> Path:
    return path.with_suffix(".lock")


def is_held(path: Path) -> bool:
    """Whether a live process holds the file."""
    try:
        lock = take(path, create=False)
    except OSError:
        return True
    if lock is None:
        return path_of(path).exists()
    release(lock)
    return False


def release(descriptor: int) -> None:
    """Lets go of a lock. In a forked child this leaves the parent's hold on it as it is."""
    with contextlib.suppress(OSError):
        os.close(descriptor)
