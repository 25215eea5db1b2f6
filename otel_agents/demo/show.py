"""The demo's result for people: a table of the accounts, and where to look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from urllib.parse import quote

from otel_agents.demo.accounts import Account
from otel_agents.stack.state import State


def show(found: Mapping[str, Account], different: Sequence[str]) -> None:
    """Prints the accounts side by side."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    wrong = {line.partition(":")[0] for line in different}
    table = Table(title=f"One run, counted {len(found)} times")
    table.add_column("")
    for name in found:
        table.add_column(name, justify="right")
    table.add_column("equal", justify="center")
    for one in fields(Account):
        cells = [_cell(one.name, getattr(account, one.name)) for account in found.values()]
        style = "bold red" if one.name in wrong else ""
        mark = Text("no", style=style) if one.name in wrong else Text("yes", style="green")
        label = "cost, USD" if one.name == "cost" else one.name.replace("_", " ")
        table.add_row(label, *(Text(cell, style=style) for cell in cells), mark)
    Console().print(table)


def addresses(state: State, run: str) -> list[str]:
    """Where to look at the run, one address a line."""
    lines = [f"traces      {state.ui}/sessions/{run}"]
    if state.prometheus:
        expression = "sum by (gen_ai_request_model) (otel_agents_cost_total)"
        lines += [
            f"dashboards  {state.ui}/dashboards/overview?range=15m",
            f"Prometheus  {state.prometheus}/graph?g0.expr={quote(expression)}&g0.tab=1",
        ]
    return [*lines, f"logs        {state.logs}"]


def _cell(name: str, value: object) -> str:
    return f"{value:.6f}" if name == "cost" else f"{value:,}"
