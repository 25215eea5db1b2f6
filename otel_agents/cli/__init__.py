"""The ``otel-agents`` command: one file a command, imported when it is asked for.

What can be expected to go wrong is told in one line on standard error, ``error: what; what next``, with
exit status 2 for settings and usage and 1 for the rest.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from otel_agents.cli.errors import explain

if TYPE_CHECKING:
    import typer

#: Command and module, in the order of ``--help``.
_COMMANDS = {
    "run": "run",
    "exec": "exec",
    "config": "config",
    "instrumentations": "instrumentations",
    "demo": "demo",
    "doctor": "doctor",
    "report": "report",
    "up": "up",
    "down": "down",
    "status": "status",
    "spool": "spool",
    "alerts": "alerts",
    "collector": "collector",
    "bridge": "bridge",
    "local": "local",
    "dashboards": "dashboards",
    "prompts": "prompts",
    "failures": "failures",
    "replay": "replay",
    "prices": "prices",
    "reconcile": "reconcile",
    "convert": "convert",
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
    for module in [_COMMANDS[first]] if first in _COMMANDS else _COMMANDS.values():
        import_module(f"otel_agents.cli.{module}").add(app)
    return app
