"""A report for a terminal, by rich."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from otel_agents.reports import words
from otel_agents.reports.figures import Figures
from otel_agents.reports.report import Report

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def show(report: Report, console: Console) -> None:
    """Prints the report."""
    from rich.text import Text

    total = report.total
    where = f", {', '.join(report.environments)}" if report.environments else ""
    console.print(
        Text.assemble(
            ("Agents' work", "bold"),
            f"  {report.since:%Y-%m-%d %H:%M} to {report.until:%Y-%m-%d %H:%M} UTC "
            f"({words.length(report.projection.days)}{words.printable(where)})",
        ),
        Text(words.printable(report.source), style="dim"),
        sep="\n",
    )
    console.print()
    console.print(_summary(report))
    if report.groups:
        console.print()
        console.print(_costs(report))
        console.print()
        console.print(_groups(report))
    if report.plans:
        console.print()
        console.print(_plans(report))
    if report.insights:
        console.print()
        console.print(Text("Insights", style="bold"))
        for insight in report.insights:
            console.print(Text(f"• {words.printable(insight.text)}"))
    if report.notes:
        console.print()
        for note in report.notes:
            console.print(Text(f"note: {words.printable(note)}", style="yellow" if total.tasks else ""))


def _table(columns: Sequence[tuple[str, bool]]) -> Table:
    """A table with columns of numbers (True) and words."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title, numeric in columns:
        table.add_column(title, justify="right" if numeric else "left", no_wrap=numeric, overflow="ellipsis")
    return table


def _summary(report: Report) -> Table:
    from rich.table import Table

    total, projection = report.total, report.projection
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column()

    def cost(period: float | None, month: float | None, year: float | None) -> str:
        return (
            f"{words.money(period)}   a month {words.money(month)}   a year {words.money(year)}"
            if period is not None
            else words.NONE
        )

    table.add_row(
        "tasks",
        f"{words.count(total.tasks)}   succeeded {words.share(total.success_rate)}   "
        f"attempts {words.count(total.attempts)}   model calls {words.count(total.calls)}",
    )
    table.add_row(
        "cost by the token",
        cost(total.cost.metered, projection.metered_month, projection.metered_year)
        + f"   a task {words.money(total.cost.metered_mean)}",
    )
    if report.plans:
        table.add_row("cost with plans", cost(total.cost.paid, projection.paid_month, projection.paid_year))
    times = total.response_time
    table.add_row(
        "response time",
        f"mean {words.seconds(times.mean)}   p50 {words.seconds(times.p50)}   p95 {words.seconds(times.p95)}",
    )
    table.add_row("quality", f"{words.quality(total.quality.mean)}   of {total.quality.scored} scored tasks")
    tokens = total.tokens
    table.add_row(
        "tokens",
        f"{words.count(tokens.total)}   in {words.count(tokens.input)}   out {words.count(tokens.output)}   "
        f"a successful task {words.count(tokens.per_success)}",
    )
    if total.compression.events:
        table.add_row(
            "compression",
            f"{words.times(total.compression.ratio)}   "
            f"{words.share(total.compression.reduction)} fewer tokens",
        )
    if total.switches.count:
        table.add_row(
            "agent switches",
            f"{total.switches.count}   quality gained {words.change(total.switches.quality_gained)} "
            f"of {total.switches.measured}",
        )
    return table


def _rows(report: Report) -> list[tuple[str, Figures, str]]:
    rows = [(group.key or "(none)", group.figures, "") for group in report.groups]
    return [*rows, ("total", report.total, "bold")]


def _costs(report: Report) -> Table:
    with_plans = bool(report.plans)
    calls = report.by == "model"
    table = _table(
        [
            (words.by(report.by), False),
            ("calls" if calls else "tasks", True),
            ("by the token", True),
            ("each", True),
            *([("with plans", True), ("each", True)] if with_plans and not calls else []),
            ("of failures", True),
            ("tokens", True),
            ("each", True),
        ]
    )
    for name, figures, style in _rows(report):
        cost, tokens = figures.cost, figures.tokens
        units = figures.calls if calls else figures.tasks
        each = cost.metered / units if units else None
        table.add_row(
            _plain(name),
            words.count(units),
            words.money(cost.metered),
            words.money(each),
            *([words.money(cost.paid), words.money(cost.paid_mean)] if with_plans and not calls else []),
            words.money(cost.failed),
            words.count(tokens.total),
            words.count(tokens.total / units if units else None),
            style=style,
        )
    return table


def _groups(report: Report) -> Table:
    table = _table(
        [
            (words.by(report.by), False),
            ("succeeded", True),
            ("mean", True),
            ("p50", True),
            ("p95", True),
            ("quality", True),
            ("scored", True),
            ("switches", True),
            ("gained", True),
            ("compression", True),
        ]
    )
    for name, figures, style in _rows(report):
        times = figures.response_time
        table.add_row(
            _plain(name),
            words.share(figures.success_rate),
            words.seconds(times.mean),
            words.seconds(times.p50),
            words.seconds(times.p95),
            words.quality(figures.quality.mean),
            words.count(figures.quality.scored),
            words.count(figures.switches.count),
            words.change(figures.switches.quality_gained),
            words.times(figures.compression.ratio),
            style=style,
        )
    return table


def _plans(report: Report) -> Table:
    table = _table(
        [
            ("plan", False),
            ("a month", True),
            ("this period", True),
            ("tasks", True),
            ("each", True),
            ("by the token", True),
            ("saved", True),
            ("room on the busiest day", True),
        ]
    )
    for plan in report.plans:
        table.add_row(
            _plain(plan.name),
            words.money(plan.fee_month),
            words.money(plan.fee),
            words.count(plan.tasks),
            words.money(plan.paid_mean),
            words.money(plan.metered),
            words.money(plan.saved),
            words.share(plan.room),
        )
    return table


def _plain(text: str) -> str:
    """Text in which rich finds no markup, and a terminal no commands."""
    from rich.markup import escape

    return escape(words.printable(text))
