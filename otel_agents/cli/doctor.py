"""``otel-agents doctor``: is everything there and right, and does a span get through."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_agents.config import Settings
    from otel_agents.doctor.findings import Report

_MARKS: Final = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red"), "skip": ("–", "dim")}


def add(app: typer.Typer) -> None:
    """Registers the command."""
    app.command("doctor")(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    self_hosted: Annotated[
        bool, typer.Option("--self-hosted", help="Also look at Langfuse's containers on this machine.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for the probe.")] = 60.0,
    probe: Annotated[bool, typer.Option(help="Send one span and one count, and wait for them.")] = True,
    prometheus: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Default: OTEL_AGENTS_PROMETHEUS_URL, the local stack's."),
    ] = None,
) -> None:
    """Examine settings, Langfuse, Collector and Prometheus; exit status 1 when something fails."""
    import logging

    from otel_agents.config import ConfigError, export_dotenv
    from otel_agents.doctor.examine import Options, examine
    from otel_agents.doctor.findings import Finding, Report
    from otel_agents.doctor.subject import subject

    logging.getLogger("otel_agents").setLevel(logging.ERROR)  # what matters is a finding
    try:
        found = subject(prometheus=prometheus)
    except ConfigError as error:
        said, _, fix = str(error).partition("; ")
        report = Report([Finding("settings", "fail", said, fix or "see `otel-agents config --docs`")])
    else:
        export_dotenv()  # for the OpenTelemetry SDK, as configure() does it
        say = _progress if sys.stderr.isatty() and not as_json else (lambda what: None)
        report = examine(found, _shown(found.settings), Options(timeout, probe, self_hosted), say)
        say("")
    if as_json:
        from otel_agents.version import __version__

        print(json.dumps({"version": __version__, **report.as_json()}, indent=2, ensure_ascii=False))
    elif sys.stdout.isatty():
        _print_rich(report)
    else:
        _print_plain(report)
    if not report.ok:
        raise typer.Exit(1)


def _shown(settings: Settings) -> Mapping[str, Mapping[str, str]]:
    from otel_agents.cli.settings_table import rows

    return {row.name: {"value": row.value, "from": row.origin} for row in rows(settings)}


def _progress(what: str) -> None:
    sys.stderr.write(f"\r\x1b[K{f'looking at {what} ...' if what else ''}")
    sys.stderr.flush()


def _print_plain(report: Report) -> None:
    """One line a finding, for grep and diff."""
    for one in report.findings:
        fix = f"; fix: {one.fix}" if one.fix else ""
        print(f"{one.status:<4} {one.check:<24} {one.text}{fix}")
    for hop in report.hops:
        print(f"hop  {hop.name:<24} {_time(hop.seconds)}")


def _print_rich(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for one in report.findings:
        mark, style = _MARKS[one.status]
        text = Text(one.text, style="dim" if one.status == "skip" else "")
        grid.add_row(Text(mark, style=style), Text(one.check, style="bold"), text)
        if one.fix:
            grid.add_row("", "", Text(f"→ {one.fix}", style=style))
    console = Console()
    console.print(grid)
    if report.hops:
        way = Table.grid(padding=(0, 2))
        for hop in report.hops:
            way.add_row(
                "", hop.name, Text(_time(hop.seconds), style="" if hop.seconds is not None else "red")
            )
        console.print()
        console.print(way)
    count = {status: sum(one.status == status for one in report.findings) for status in _MARKS}
    verdict = (
        f"{count['fail']} failed, {count['warn']} to look at, {count['ok']} well, {count['skip']} skipped"
    )
    console.print(Text(f"\n{verdict}", style="bold red" if count["fail"] else "bold green"))


def _time(seconds: float | None) -> str:
    return "did not arrive" if seconds is None else f"{seconds:.2f} s"
