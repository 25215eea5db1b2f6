"""``otel-agents status``: whether a stack runs in this home, and how its parts are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from otel_agents.stack.state import State


def add(app: typer.Typer) -> None:
    """Registers the command."""
    app.command("status")(status)


def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Tell whether the local stack runs, and where; exit status 1 when it does not or a part is missing."""
    from otel_agents.config import resolve
    from otel_agents.stack import state

    home = resolve({"mode": "disabled"}).home
    found = state.read(home)
    parts = _parts(found) if found else []
    running = found is not None and all(ok for _, _, ok in parts)
    if as_json:
        report = {
            "running": running,
            "home": str(home),
            "pid": found.pid if found else None,
            "parts": {name: {"address": address, "answers": ok} for name, address, ok in parts},
        }
        print(json.dumps(report, indent=2))
    elif found is None:
        starting = state.is_held(home)
        print(
            "a stack is starting"
            if starting
            else f"no stack is running in {home}; `otel-agents up` starts one"
        )
    else:
        for name, address, ok in parts:
            print(f"{name:<11} {address:<28} {'ok' if ok else 'does not answer'}")
    if not running:
        raise typer.Exit(1)


def _parts(found: State) -> list[tuple[str, str, bool]]:
    """Name, address and whether it answers."""
    from otel_agents.stack.ports import accepts
    from otel_agents.stack.process import answers

    parts = [("UI", found.ui, answers(f"{found.ui}/api/public/health"))]
    if found.otlp:
        parts.append(("Collector", found.otlp, accepts(found.otlp)))
    if found.bridge:
        parts.append(("bridge", found.bridge, accepts(found.bridge)))
    if found.prometheus:
        parts.append(("Prometheus", found.prometheus, answers(f"{found.prometheus}/-/ready")))
    if found.alertmanager:
        parts.append(("Alerts", found.alertmanager, answers(f"{found.alertmanager}/-/ready")))
    return parts
