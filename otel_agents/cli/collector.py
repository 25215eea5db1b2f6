"""``otel-agents collector``: build the Collector, find it, check its configuration."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer


def add(app: typer.Typer) -> None:
    """Registers the commands."""
    group = typer.Typer(no_args_is_help=True, help="Build, find and check the OpenTelemetry Collector.")
    group.command("build")(build)
    group.command("path")(path)
    group.command("validate")(validate)
    app.add_typer(group, name="collector")


def build(
    full: Annotated[bool, typer.Option("--full", help="With what a gateway of many machines needs.")] = False,
) -> None:
    """Build the small Collector into the cache, or find it there; takes minutes the first time."""
    from otel_agents.config import resolve
    from otel_agents.stack.collector import build_collector

    manifest = "builder-full.yaml" if full else "builder.yaml"
    settings = resolve({"mode": "disabled"})
    print(build_collector(lambda line: print(line, file=sys.stderr, flush=True), settings, manifest))


def path() -> None:
    """Print which Collector would be run; exit status 1 when there is none."""
    print(_binary())


def validate(
    config: Annotated[Path | None, typer.Argument(help="Default: the project's otel-collector.yaml.")] = None,
) -> None:
    """Check a Collector configuration with the Collector itself."""
    from otel_agents.cli.errors import CommandError
    from otel_agents.stack.collector import config_path

    checked = config or config_path()
    if not checked.is_file():
        raise CommandError(f"{checked} is not a file; give the path of a Collector configuration", 2)
    done = subprocess.run(
        [_binary(), "validate", "--config", str(checked)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise CommandError(f"{checked} is not valid: {' '.join(said)[:1000] or 'no reason given'}")
    print(f"{checked} is valid")


def _binary() -> Path:
    from otel_agents.config import resolve
    from otel_agents.stack.collector import CollectorNotFound, find_collector

    found = find_collector(resolve({"mode": "disabled"}))
    if found is None:
        raise CollectorNotFound(
            "no Collector on this machine; `otel-agents collector build` makes one, or set OTELCOL_BIN"
        )
    return found
