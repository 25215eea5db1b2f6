"""``otel-agents alerts``: thresholds as Prometheus rules, or checked against Langfuse from cron."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from otel_agents.alerts.check import Outcome
    from otel_agents.alerts.conditions import Thresholds, Window
    from otel_agents.config import Settings

#: Exit status when a threshold is passed: apart from 1 (could not look or tell) and 2 (wrong usage).
PASSED = 3

_TODAY = "today"


def add(app: typer.Typer) -> None:
    """Registers the commands."""
    group = typer.Typer(help="Tell when cost, quality or errors pass a threshold.", no_args_is_help=True)
    group.command("rules")(rules)
    group.command("check")(check)
    app.add_typer(group, name="alerts")


def rules(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write here instead.")] = None,
) -> None:
    """Print the settings' thresholds as a rules file for Prometheus."""
    from otel_agents.alerts.rules import rules_file
    from otel_agents.config import resolve

    settings = resolve({"mode": "disabled"})
    text = rules_file(settings)
    if not any(line.startswith("      - alert:") for line in text.splitlines()):
        print("warning: no threshold is set; see OTEL_AGENTS_ALERT_DAILY_COST", file=sys.stderr)
    if output is None:
        sys.stdout.write(text)
        return
    from otel_agents.cli.errors import CommandError

    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{output} cannot be written ({error.strerror}); give another --output") from None


def check(
    since: Annotated[str, typer.Option(help="Since when: today (UTC), or a length such as 24h.")] = _TODAY,
    cost: Annotated[
        float | None, typer.Option(min=0, help="US dollars. Default: OTEL_AGENTS_ALERT_DAILY_COST.")
    ] = None,
    min_quality: Annotated[
        float | None, typer.Option(min=0, help="Mean score. Default: OTEL_AGENTS_ALERT_QUALITY.")
    ] = None,
    max_error_share: Annotated[
        float | None, typer.Option(min=0, max=1, help="0 to 1. Default: OTEL_AGENTS_ALERT_ERROR_SHARE.")
    ] = None,
    min_tasks: Annotated[int, typer.Option(min=1, help="Fewer say nothing of quality and errors.")] = 5,
    webhook: Annotated[str | None, typer.Option(help="Default: OTEL_AGENTS_ALERT_WEBHOOK.")] = None,
    slack: Annotated[str | None, typer.Option(help="Default: OTEL_AGENTS_ALERT_SLACK.")] = None,
    email: Annotated[list[str] | None, typer.Option(help="Default: OTEL_AGENTS_ALERT_EMAIL.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look; tell nobody.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Hold Langfuse's figures against the thresholds; exit status 3 when one is passed."""
    from otel_agents.alerts import check as checking
    from otel_agents.cli.project import open_reader
    from otel_agents.config import resolve

    settings = resolve(
        {
            "mode": "disabled",
            "alert_quality": min_quality,
            "alert_error_share": max_error_share,
            "alert_webhook": webhook,
            "alert_slack": slack,
            "alert_email": tuple(email) if email else None,
        }
    )
    window = _window(since)
    thresholds = _thresholds(settings, window, cost, min_tasks)
    with open_reader(settings) as reader:
        outcome = checking.check(settings, reader, thresholds, window, dry_run)
    if as_json:
        print(json.dumps(_report(outcome, window), indent=2))
    else:
        _print(outcome, settings, dry_run)
    for problem in outcome.problems:
        print(f"error: {problem}", file=sys.stderr)
    if outcome.problems:
        raise typer.Exit(1)
    if outcome.passed:
        raise typer.Exit(PASSED)


def _window(since: str) -> Window:
    from otel_agents.alerts.conditions import Window
    from otel_agents.cli.periods import moment

    now = datetime.now(UTC)
    if since.strip().lower() == _TODAY:
        return Window(now.replace(hour=0, minute=0, second=0, microsecond=0), now, "today")
    start = moment(since, now=now)
    return Window(start, now, f"the time since {start:%Y-%m-%d %H:%M} UTC")


def _thresholds(settings: Settings, window: Window, cost: float | None, fewest: int) -> Thresholds:
    from otel_agents.alerts.conditions import Thresholds
    from otel_agents.cli.errors import CommandError

    if cost is None and settings.alert_daily_cost:
        day = window.label == "today" or window.until - window.since == timedelta(days=1)
        if not day:
            raise CommandError(
                "OTEL_AGENTS_ALERT_DAILY_COST is for a day; give --cost for another time (0: no threshold)", 2
            )
        cost = settings.alert_daily_cost
    thresholds = Thresholds(cost or None, settings.alert_quality, settings.alert_error_share, fewest)
    if thresholds.cost is None and thresholds.quality is None and thresholds.error_share is None:
        raise CommandError("no threshold is set; set OTEL_AGENTS_ALERT_DAILY_COST or give --cost", 2)
    return thresholds


def _report(outcome: Outcome, window: Window) -> dict[str, object]:
    return {
        "passed": bool(outcome.passed),
        "window": {"from": window.since.isoformat(), "to": window.until.isoformat()},
        "readings": [asdict(one) for one in outcome.readings],
        "told": outcome.told,
        "told_earlier": outcome.earlier,
        "problems": outcome.problems,
    }


def _print(outcome: Outcome, settings: Settings, dry_run: bool) -> None:
    for one in outcome.readings:
        print(f"{'ALERT' if one.passed else 'ok':<6} {one.text}")
    for name in outcome.told:
        print(f"told   {name}")
    for name in outcome.earlier:
        print(f"       {name} has been told already")
    if outcome.passed and not (settings.alert_webhook or settings.alert_slack or settings.alert_email):
        print(
            "nobody is told: set OTEL_AGENTS_ALERT_WEBHOOK, OTEL_AGENTS_ALERT_SLACK or "
            "OTEL_AGENTS_ALERT_EMAIL",
            file=sys.stderr,
        )
    elif outcome.passed and dry_run:
        from otel_agents.alerts.channels import channels

        for channel in channels(settings):
            print(f"would tell {channel.name}")
