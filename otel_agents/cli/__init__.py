"""The ``otel-agents`` command: one file a command, imported when it is asked for.

What can be expected to go wrong is told in one line on standard error, ``error: what; what next``, with
exit status 2 for settings and usage and 1 for the rest.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final

from otel_agents.cli.errors import explain

if TYPE_CHECKING:
    import typer

#: What ``--help`` shows together; each command is the module of its name.
_COMMANDS: Final = {
    "Start": ("demo", "up", "down", "status", "run", "exec"),
    "Ask": ("report", "failures", "replay", "prompts", "prices", "reconcile", "dashboards", "alerts"),
    "Examine": ("doctor", "config", "instrumentations", "spool", "convert"),
    "Serve": ("collector", "bridge", "local"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; for ``run``, raises what the app raises."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given[:1] == ["run"] and given[1:2] not in ([], ["--help"]):
            # Past typer: the app that is run should find as little of ours imported as possible.
            from otel_agents.cli.run import run

            return run(given[1:])
        status = _app(given)(given, prog_name="otel-agents", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `otel-agents config | head`
        sys.stderr.close()
        return 1
    except Exception as error:
        explained = explain(error)
        if explained is None:
            raise
        message, status = explained
        if message:
            print(f"error: {message}", file=sys.stderr)
        return status


def _app(arguments: Sequence[str]) -> typer.Typer:
    """The command line with the one command that was asked for, or with all of them for help."""
    import typer

    app = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        help="OpenTelemetry for LLM agents, into Langfuse and Prometheus.",
    )

    @app.callback(invoke_without_command=True)
    def options(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
        if version:
            from otel_agents.version import __version__

            print(__version__)
            raise typer.Exit

    first = arguments[0] if arguments else ""
    known = {name for names in _COMMANDS.values() for name in names}
    for title, names in _COMMANDS.items():
        for name in names:
            if first == name or first not in known:
                import_module(f"otel_agents.cli.{name}").add(app)
        for command in app.registered_commands:
            if command.name in names:
                command.rich_help_panel = title
        for group in app.registered_groups:
            if group.name in names:
                group.rich_help_panel = title
    return app
