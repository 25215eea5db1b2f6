"""``otel-agents config``: the settings in force, where each came from, and whether they work."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from otel_agents.cli.settings_table import Row


def add(app: typer.Typer) -> None:
    """Registers the command."""
    app.command("config")(show)


def show(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only try whether telemetry would arrive.")] = False,
    as_example: Annotated[bool, typer.Option("--example", help="Print .env.example and stop.")] = False,
    as_docs: Annotated[bool, typer.Option("--docs", help="Print docs/configuration.md and stop.")] = False,
) -> None:
    """Print the settings in force and where each came from, secrets masked."""
    from otel_agents.cli import settings_table
    from otel_agents.config import resolve

    if as_example or as_docs:
        sys.stdout.write(settings_table.example() if as_example else settings_table.markdown())
        return
    settings = resolve()
    if check:
        from otel_agents.cli.check import check as try_it

        print(try_it(settings))
        return
    rows = settings_table.rows(settings)
    if as_json:
        found = {row.name: {"value": row.value, "from": row.origin} for row in rows}
        print(json.dumps({"settings": found, "warnings": list(settings.warnings)}, indent=2))
        return
    if sys.stdout.isatty():
        _print_table(rows)
    else:  # one line a setting, for grep and diff
        for row in rows:
            print(f"{row.name:<26} {row.value:<40} {row.origin}".rstrip())
    for warning in settings.warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _print_table(rows: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False)
    for title in ("setting", "value", "from"):
        grid.add_column(title, overflow="fold")
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            grid.add_row("", "", "")
            grid.add_row(Text(group, style="bold"), "", "")
        style = "dim" if row.origin == "default" else ""
        grid.add_row(Text(row.name, style=style), Text(row.value, style=style), Text(row.origin, style=style))
    Console().print(grid)
