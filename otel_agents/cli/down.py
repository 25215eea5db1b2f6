"""``otel-agents down``: stops the stack of this home, wherever it was started."""

from __future__ import annotations

import os
import signal
import time

import typer

#: Seconds the stack may take to stop; each part has its own, shorter, limit.
_STOP = 60.0


def add(app: typer.Typer) -> None:
    """Registers the command."""
    app.command("down")(down)


def down() -> None:
    """Stop the local stack that `otel-agents up` started."""
    from otel_agents.cli.errors import CommandError
    from otel_agents.config import resolve
    from otel_agents.stack import state

    home = resolve({"mode": "disabled"}).home
    found = state.read(home)
    if found is None:
        if state.is_held(home):
            raise CommandError(f"the stack in {home} is still starting; try again when it is ready")
        print("no stack is running")
        return
    os.kill(found.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP
    while state.is_held(home):
        if time.monotonic() > deadline:
            raise CommandError(
                f"the stack did not stop in {_STOP:g} s; kill process {found.pid}, logs: {found.logs}"
            )
        time.sleep(0.05)
    print("stopped")
