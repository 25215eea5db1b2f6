"""What the stack of a home folder leaves for other commands: who runs it, where it listens, its keys."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from otel_agents.stack.errors import StackError


@dataclass(frozen=True, slots=True)
class Keys:
    """The local backend's project keys."""

    public: str
    secret: str


@dataclass(frozen=True, slots=True)
class State:
    """A running stack, as written to ``<home>/stack.json``."""

    pid: int
    """The process that keeps the stack."""
    ui: str
    """Address of the local backend and its web UI."""
    otlp: str | None
    """Address of the Collector's OTLP/HTTP receiver; None in direct mode."""
    prometheus: str | None
    bridge: str | None
    collector: str
    """Where the Collector came from, or why there is none."""
    logs: str
    scrape_interval: float
    """Seconds between two scrapes."""
    metrics_page: str
    """Where the apps' metrics are served: by the Collector, or in direct mode by the app."""
    children: dict[str, int] = field(default_factory=dict)
    """Process ids by name."""
    alertmanager: str | None = None
    """Started only when a webhook is set and Alertmanager is on this machine."""


def local_keys(home: Path) -> Keys:
    """The keys of this home's local backend, made on first use and readable by the user alone."""
    path = home / "keys.json"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)  # prompts and keys are in there
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        try:
            found = json.loads(path.read_text())
            return Keys(found["public"], found["secret"])
        except (ValueError, KeyError, TypeError, OSError):
            raise StackError(f"{path} cannot be read; remove it to get new keys") from None
    keys = Keys(f"pk-lf-local-{secrets.token_hex(8)}", f"sk-lf-local-{secrets.token_hex(16)}")
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(keys), file)
    return keys


@contextmanager
def held(home: Path) -> Iterator[None]:
    """Holds the home folder for one stack. The lock goes with the process, however that ends.

    Raises:
        StackError: when another stack runs in this home, or the folder cannot be written.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)  # prompts and keys are in there
        file = (home / "stack.lock").open("a+")
    except OSError as error:
        raise StackError(
            f"{home} cannot be written ({error.strerror}); set OTEL_AGENTS_HOME to another folder"
        ) from None
    with file:
        if not _locked(file):
            raise StackError(
                f"a stack already runs in {home}; see `otel-agents status`, stop it with `otel-agents down`"
            )
        try:
            yield
        finally:
            (home / "stack.json").unlink(missing_ok=True)


def _locked(file: IO[str]) -> bool:
    for _ in range(5):  # `otel-agents status` holds the lock for an instant, to look
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False


def is_held(home: Path) -> bool:
    """Whether a stack runs (or is starting) in this home."""
    try:
        with (home / "stack.lock").open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def write(home: Path, state: State) -> None:
    """Publishes a stack that is ready, in one step."""
    temporary = home / f"stack.json.{os.getpid()}"
    temporary.write_text(json.dumps(asdict(state), indent=2))
    temporary.replace(home / "stack.json")


def read(home: Path) -> State | None:
    """The stack that runs in this home and is ready; None when there is none."""
    if not is_held(home):
        return None
    try:
        return State(**json.loads((home / "stack.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
