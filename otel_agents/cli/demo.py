"""``otel-agents demo``: a real agent run, and the proof that every count agrees."""

from __future__ import annotations

import sys
from typing import Annotated

import typer


def add(app: typer.Typer) -> None:
    """Registers the command."""
    app.command("demo")(demo)


def demo(
    as_json: Annotated[bool, typer.Option("--json", help="Print the three accounts as JSON.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the stack until Ctrl-C, also with --json.")
    ] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Stop the stack at the end.")] = False,
    live: Annotated[bool, typer.Option("--live", help="Call the real providers; this costs money.")] = False,
    collector: Annotated[
        bool, typer.Option(help="Use the Collector; without it the app sends directly.")
    ] = True,
    build: Annotated[bool, typer.Option(help="Build the Collector when there is none.")] = True,
) -> None:
    """Run the example orchestrator against the local stack and compare provider, Langfuse and Prometheus."""
    from otel_agents.demo.session import Wish, hold

    keep = keep or (not no_wait and not as_json and sys.stdout.isatty())
    wish = Wish(as_json=as_json, keep=keep, live=live, collector=collector, build=build)
    raise typer.Exit(hold(wish))
