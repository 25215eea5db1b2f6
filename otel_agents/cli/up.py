"""``otel-agents up``: the local stack, in the foreground until Ctrl-C, or detached."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from otel_agents.config import Settings
    from otel_agents.stack.state import Keys, State

#: Seconds a detached stack may take: a build of the Collector can be among it.
_DETACHED_START = 900.0


def add(app: typer.Typer) -> None:
    """Registers the command."""
    app.command("up")(up)


def _port(name: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        f"--{name}", min=0, max=65535, metavar="PORT", help="0 takes a free one."
    )
    return option


def up(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Go on in the background.")] = False,
    free_ports: Annotated[
        bool, typer.Option("--free-ports", help="Replace taken ports by free ones.")
    ] = False,
    ui_port: Annotated[int | None, _port("ui-port")] = None,
    otlp_http_port: Annotated[int | None, _port("otlp-http-port")] = None,
    otlp_grpc_port: Annotated[int | None, _port("otlp-grpc-port")] = None,
    collector_metrics_port: Annotated[int | None, _port("collector-metrics-port")] = None,
    collector_self_port: Annotated[int | None, _port("collector-self-port")] = None,
    collector_health_port: Annotated[int | None, _port("collector-health-port")] = None,
    prometheus_port: Annotated[int | None, _port("prometheus-port")] = None,
    bridge_port: Annotated[int | None, _port("bridge-port")] = None,
    prometheus: Annotated[bool, typer.Option(help="Start Prometheus.")] = True,
    collector: Annotated[
        bool, typer.Option(help="Start the Collector; without it apps send directly.")
    ] = True,
    build: Annotated[bool, typer.Option(help="Build the Collector when there is none.")] = True,
    scrape_interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two scrapes.")] = 5.0,
) -> None:
    """Start the local stack: Langfuse-compatible backend with web UI, bridge, Collector, Prometheus."""
    from otel_agents.config import resolve
    from otel_agents.stack import services

    settings = resolve(
        {
            "mode": "disabled",  # the stack's own commands send no telemetry
            "backend_port": ui_port,
            "otlp_http_port": otlp_http_port,
            "otlp_grpc_port": otlp_grpc_port,
            "collector_metrics_port": collector_metrics_port,
            "collector_self_port": collector_self_port,
            "collector_health_port": collector_health_port,
            "prometheus_port": prometheus_port,
            "bridge_port": bridge_port,
        }
    )
    if detach:
        _detach(settings)
        return
    options = services.Options(
        free_ports=free_ports,
        with_prometheus=prometheus,
        with_collector=collector,
        build=build,
        scrape_interval=scrape_interval,
    )
    from otel_agents.stack.waiting import until_told_to_stop

    with until_told_to_stop() as told, services.running(settings, options, _say) as stack:
        _print_addresses(stack.state, stack.keys)
        _say("Ctrl-C stops it")
        told.wait(stack.children)
        _say("stopping")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print_addresses(state: State, keys: Keys) -> None:
    for line in addresses(state, keys):
        print(line, flush=True)


def addresses(state: State, keys: Keys) -> list[str]:
    """Where the parts of a running stack are, and what an app's environment has to say."""
    from otel_agents.stack.services import app_environment

    lines = [f"UI          {state.ui}"]
    if state.otlp:
        lines.append(f"Collector   {state.otlp} (OTLP/HTTP)")
    if state.prometheus:
        lines.append(f"Prometheus  {state.prometheus}")
    if state.alertmanager:
        lines.append(f"Alerts      {state.alertmanager}, told to OTEL_AGENTS_ALERT_WEBHOOK")
    lines.append(f"logs        {state.logs}")
    lines.append("")
    lines.append("For your app:")
    environment = app_environment(state, keys)
    lines.extend(f"  export {name}={value}" for name, value in environment.items())
    return lines


def _detach(settings: Settings) -> None:
    """Starts the same command in the background, and waits until its stack is ready."""
    from otel_agents.cli.errors import CommandError
    from otel_agents.stack import state

    with state.held(settings.home):
        pass  # refused as in the foreground, before the log of a stack that runs is overwritten
    log = settings.home / "up.log"
    command = [argument for argument in sys.argv[1:] if argument not in ("--detach", "-d")]
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "otel_agents.cli", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OTEL_AGENTS_HOME": str(settings.home)},
            start_new_session=True,
        )
    deadline = time.monotonic() + _DETACHED_START
    seen = 0
    while True:
        found = state.read(settings.home)
        ready = found is not None and found.pid == child.pid
        text = log.read_text(errors="replace")
        complete = text[seen : text.rfind("\n") + 1]
        seen += len(complete)
        for line in complete.splitlines():
            if line.startswith("error: "):
                raise CommandError(line.removeprefix("error: "))
            if not ready and found is None:
                _say(line)
        if ready and found is not None:
            _print_addresses(found, state.local_keys(settings.home))
            _say("`otel-agents down` stops it")
            return
        if child.poll() is not None:
            raise CommandError(f"the stack ended with status {child.returncode}; log: {log}")
        if time.monotonic() > deadline:
            child.terminate()
            raise CommandError(f"the stack was not ready after {_DETACHED_START:g} s; log: {log}")
        time.sleep(0.1)
