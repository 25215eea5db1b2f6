"""``otel-agents reconcile``: a provider's invoice against what was recorded."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from otel_agents.accounting.reconciling import Reconciliation, Row

#: Exit status when they differ; 1 and 2 are errors.
DIFFERS = 3


def add(app: typer.Typer) -> None:
    """Registers the command."""
    app.command("reconcile")(reconcile)


def reconcile(
    file: Annotated[Path, typer.Argument(metavar="INVOICE.CSV", help="Export of usage or cost.")],
    provider: Annotated[
        str | None, typer.Option(help="openai, anthropic or generic; by default told by the columns.")
    ] = None,
    tolerance: Annotated[float, typer.Option(help="Percent by which a row may differ.")] = 1.0,
    every: Annotated[bool, typer.Option("--all", help="Also print rows that agree.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare a provider's export with Langfuse, by day (UTC) and model; exit status 3 when they differ."""
    from otel_agents.accounting import invoices, plans
    from otel_agents.accounting import reconciling as sums
    from otel_agents.cli.errors import CommandError
    from otel_agents.cli.progress import counting
    from otel_agents.cli.project import open_reader
    from otel_agents.config import resolve

    if provider is not None and provider not in invoices.PROVIDERS:
        raise CommandError(f"--provider must be one of {', '.join(invoices.PROVIDERS)}, not {provider!r}", 2)
    if not 0 <= tolerance <= 100:
        raise CommandError(f"--tolerance must be a percentage from 0 to 100, not {tolerance:g}", 2)
    try:
        invoice = invoices.read(file, provider)
    except invoices.InvoiceError as error:
        raise CommandError(str(error), 2) from None
    days = [line.day for line in invoice.lines]
    since = datetime.combine(min(days), time(), UTC)
    until = datetime.combine(max(days), time(), UTC) + timedelta(days=1)
    with open_reader(resolve({"mode": "disabled"})) as reader, counting("observations") as progress:
        calls = [
            one
            for one in reader.observations(
                since=since, until=until, fields=("core", "basic", "model", "usage"), progress=progress
            )
            if one.type in ("GENERATION", "EMBEDDING")
        ]
    found = sums.reconcile(invoice, calls, tolerance=tolerance / 100, maker=plans.maker)
    if as_json:
        print(json.dumps({"provider": invoice.provider, **_plain(found)}, indent=2))
    else:
        _print(found, every, invoice.provider)
    if not found.agrees:
        raise typer.Exit(DIFFERS)


def _plain(found: Reconciliation) -> dict[str, Any]:
    def one(row: Row) -> dict[str, Any]:
        share = row.share("cost")
        return {
            **asdict(row),
            "day": row.day.isoformat(),
            "cost_difference": row.difference("cost"),
            "share": share,
        }

    return {"agrees": found.agrees, "rows": [one(row) for row in found.rows], "total": one(found.total)}


def _print(found: Reconciliation, every: bool, provider: str) -> None:
    from otel_agents.cli.output import counted, print_table, visible

    shown = [row for row in found.rows if every or row.status != "ok"]
    with_cost = found.total.billed.cost is not None
    titles = ("day", "model", *(_COST if with_cost else _TOKENS), "status")
    cells = [
        (row.day.isoformat(), visible(row.model), *_figures(row, with_cost), row.status) for row in shown
    ]
    total = found.total
    print_table(titles, [*cells, ("", "total", *_figures(total, with_cost), total.status)])
    off = sum(row.status != "ok" for row in found.rows)
    print(f"\n{provider}: {counted(len(found.rows), 'row')} of day and model, {off or 'none'} off")


_COST = ("billed", "recorded", "difference", "share", "calls")
_TOKENS = ("billed in/out", "recorded in/out", "difference", "share", "calls")


def _figures(row: Row, with_cost: bool) -> tuple[str, ...]:
    from otel_agents.cli.output import dollars, percent, whole

    if with_cost:
        return (
            dollars(row.billed.cost),
            dollars(row.recorded.cost),
            dollars(row.difference("cost")),
            percent(row.share("cost")),
            whole(row.recorded.calls),
        )
    return (
        f"{whole(row.billed.input)} / {whole(row.billed.output)}",
        f"{whole(row.recorded.input)} / {whole(row.recorded.output)}",
        f"{whole(row.difference('input'))} / {whole(row.difference('output'))}",
        f"{percent(row.share('input'))} / {percent(row.share('output'))}",
        whole(row.recorded.calls),
    )
