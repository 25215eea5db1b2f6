"""``otel-agents report``: what agents' work cost and was worth, from Langfuse's data."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from otel_agents.cli.periods import Since

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_agents.reports.report import Report

_FORMATS: Final = ("table", "json", "csv", "html")


def add(app: typer.Typer) -> None:
    """Registers the command."""
    app.command("report")(report)


def report(
    since: Since = "30d",
    until: Annotated[str | None, typer.Option(help="Until when, exclusive; now by default.")] = None,
    by: Annotated[
        str,
        typer.Option(help="agent, task_type, model, project, user, prompt_version or experiment."),
    ] = "agent",
    form: Annotated[str, typer.Option("--format", help="table, json, csv or html.")] = "table",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write here instead.")
    ] = None,
    environment: Annotated[
        list[str] | None,
        typer.Option("--environment", help="Only this environment of Langfuse's; may be given again."),
    ] = None,
) -> None:
    """Report tasks, cost with projection and plans, success, speed, quality, tokens, and what follows."""
    from otel_agents.accounting import plans
    from otel_agents.cli.errors import CommandError
    from otel_agents.cli.output import one_of
    from otel_agents.cli.project import open_reader
    from otel_agents.config import resolve
    from otel_agents.langfuse.reading import environment_filter
    from otel_agents.reports.period import BadPeriod, period
    from otel_agents.reports.report import BY, build

    one_of("--by", by, BY)
    one_of("--format", form, _FORMATS)
    now = datetime.now(UTC)
    try:
        start, end = period(since, until, now)
    except BadPeriod as error:
        raise CommandError(str(error), 2) from None
    if output is not None and not output.parent.is_dir():  # told before minutes of reading
        raise CommandError(f"{output} cannot be written (no such file or directory); give -o another file")
    settings = resolve({"mode": "disabled"})
    known = plans.load(settings)
    environments = [name for name in environment or [] if name]
    filters = [environment_filter(environments)] if environments else []
    with open_reader(settings) as reader, _progress() as progress:
        rollup = reader.roll_up(since=start, until=end, filters=filters, progress=progress)
        source = reader.base_url
    made = build(
        rollup,
        since=start,
        until=end,
        by=by,
        plans=known,
        source=source,
        environments=environments,
        generated=now,
    )
    if output is None:
        _print(made, form)
        return
    try:
        output.write_text(_text(made, form), encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or "cannot be written").lower()
        raise CommandError(f"{output} cannot be written ({reason}); give -o another file") from None
    print(f"{output} written: {made.total.tasks} tasks", file=sys.stderr)


def _print(made: Report, form: str) -> None:
    if form == "table":
        from rich.console import Console

        from otel_agents.reports.as_table import show

        # Into a file or a pipe, tables keep their width instead of being folded to 80 columns.
        show(made, Console(width=None if sys.stdout.isatty() else 160, highlight=False))
    else:
        sys.stdout.write(_text(made, form))


def _text(made: Report, form: str) -> str:
    if form == "html":
        from otel_agents.reports.as_html import to_html

        return to_html(made)
    if form == "table":
        import io

        from rich.console import Console

        from otel_agents.reports.as_table import show

        text = io.StringIO()
        show(made, Console(file=text, width=160, highlight=False))
        return text.getvalue()
    from otel_agents.reports.as_json import to_csv, to_json

    return to_json(made) if form == "json" else to_csv(made)


@contextmanager
def _progress() -> Iterator[Callable[[int], None] | None]:
    """A bar on a terminal's standard error, with the rows read so far; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("reading from Langfuse"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        row = bar.add_task("reading", total=None)
        yield lambda count: bar.update(row, completed=count)
