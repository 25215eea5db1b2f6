"""``otel-agents instrumentations``: what is installed for frameworks and SDKs, and what is made of it."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer


def add(app: typer.Typer) -> None:
    """Registers the command."""
    app.command("instrumentations")(instrumentations)


def instrumentations(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the instrumentors that are installed, which of them are enabled, and why."""
    from otel_agents import frameworks

    found = frameworks.survey()
    if as_json:
        shown = [
            {name: value for name, value in dataclasses.asdict(one).items() if name != "redundant"}
            for one in found
        ]
        print(json.dumps(shown, indent=2))
        return
    widths = [max(len(getattr(one, name)) for one in found) for name in ("name", "package")]
    for one in found:
        state = "missing" if one.missing else "enabled" if one.enabled else "skipped"
        print(f"{one.name:<{widths[0]}}  {one.package:<{widths[1]}}  {state}  {one.reason}")
