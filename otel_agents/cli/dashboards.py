"""``otel-agents dashboards``: the Grafana dashboards, shown without Grafana or copied for one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from otel_agents.config import Settings


def add(app: typer.Typer) -> None:
    """Registers the commands."""
    commands = typer.Typer(no_args_is_help=True, help="The Grafana dashboards, with or without Grafana.")
    commands.command("list")(list_)
    commands.command("preview")(preview)
    commands.command("export")(export)
    app.add_typer(commands, name="dashboards")


def list_() -> None:
    """Name the dashboards and say what they show."""
    from otel_agents.dashboards import boards

    for name in boards.names():
        board = boards.load(name)
        print(f"{name:<14} {board.title}: {board.description}")


def preview(
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    prometheus: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Default: OTEL_AGENTS_PROMETHEUS_URL, or the local stack's."),
    ] = None,
    langfuse: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="The project's address in Langfuse, for links; default: the local UI."
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
) -> None:
    """Show the dashboards in the browser, drawn from their JSON and Prometheus, until Ctrl-C."""
    from otel_agents.config import resolve
    from otel_agents.stack import packages, state

    packages.require_server()
    settings = resolve({"mode": "disabled"})
    running = state.read(settings.home)
    leading_to = _address(langfuse)
    asked = prometheus or settings.prometheus_url or (running and running.prometheus) or _default(settings)
    from otel_agents.local.ui.dashboards.alone import serve

    def ready(url: str) -> None:
        print(f"{url}  (Ctrl-C stops it)", file=sys.stderr, flush=True)
        if open_:
            import webbrowser

            webbrowser.open(url)

    serve(asked, leading_to or (running.ui.rstrip("/") if running else ""), port, ready)


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Made when it is missing.")],
    langfuse: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="The project's address in Langfuse, for links; can be changed on each page."
        ),
    ] = None,
    runbooks: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where you keep docs/runbooks.md, for the links of alerts."),
    ] = None,
) -> None:
    """Copy dashboards, data source, provisioning and Prometheus' rules into a folder, for your Grafana."""
    from otel_agents.dashboards import boards

    written = boards.export(
        folder, _address(langfuse), _address(runbooks, "runbooks", "https://HOST/runbooks")
    )
    for path in written:
        print(path)


def _address(given: str | None, option: str = "langfuse", example: str = "https://HOST/project/ID") -> str:
    from otel_agents.cli.errors import CommandError

    if given is not None and not given.startswith(("http://", "https://")):
        raise CommandError(f"{given!r} is no address; give --{option} {example}", 2)
    return (given or "").rstrip("/")


def _default(settings: Settings) -> str:
    return f"http://127.0.0.1:{settings.prometheus_port}"
