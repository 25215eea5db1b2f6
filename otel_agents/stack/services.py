"""The local stack as a whole: which parts, in which order, and what each is told.

Local backend, bridge, Collector, Prometheus, all on the loopback interface. The data goes
app → Collector → bridge → backend (traces) and app → Collector ← Prometheus (metrics). Without a
Collector apps talk to the backend themselves and Prometheus scrapes their own ``/metrics``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from otel_agents.config import Settings
from otel_agents.stack import alertmanager, collector, packages, prometheus, state
from otel_agents.stack import ports as port_choice
from otel_agents.stack.obtain import Obtained, none, obtain
from otel_agents.stack.ports import LOOPBACK, Ports
from otel_agents.stack.process import Child, Children, answers
from otel_agents.stack.state import Keys, State

Say = Callable[[str], None]
#: A child, and what tells whether it is ready.
Started = tuple[Child, Callable[[], bool]]


@dataclass(frozen=True, slots=True)
class Options:
    """How the stack is started."""

    free_ports: bool = False
    """Take a free port where the wanted one is taken, instead of failing."""
    with_prometheus: bool = True
    with_collector: bool = True
    build: bool = True
    """Build the Collector when there is none; False goes on without."""
    scrape_interval: float = 5.0
    """Seconds between two scrapes."""


@dataclass(slots=True)
class Stack:
    """A running stack: its state as published, and its children."""

    state: State
    keys: Keys
    children: Children


@contextmanager
def running(settings: Settings, options: Options, say: Say) -> Iterator[Stack]:
    """Starts the stack, waits until every part is ready, and stops all of it at the end of the block.

    Args:
        say: gets one line about each step.

    Raises:
        StackError: a port is taken, a part cannot be started, or a stack runs in this home already.
    """
    packages.require_server()
    home = settings.home
    with state.held(home), Children(home / "logs") as children:
        keys = state.local_keys(home)
        binary = prometheus.find(settings) if options.with_prometheus else None
        if binary is None and options.with_prometheus:
            say(prometheus.how_to_get())
        obtained = obtain(settings, options.build, say) if options.with_collector else none("switched off")
        ports = port_choice.choose(
            Ports.of(settings), _needed_ports(obtained.found, binary is not None), options.free_ports
        )
        metrics_port = ports.collector_metrics_port if obtained.found else _direct_port(settings, options)
        # All at once, since each takes its time to be ready and none needs another before data flows.
        waits = [_start_backend(children, home, ports, keys)]
        if obtained.found:
            waits.append(_start_bridge(children, home, ports, keys))
        alerts_port: int | None = None
        if binary is not None:
            if (teller := alertmanager.find(settings)) is not None:
                alerts_port = port_choice.free_port(set(astuple(ports)))
                waits.append(_start_alertmanager(children, home, teller, settings, alerts_port))
            config = _prometheus_configuration(
                settings, ports, options, obtained.found, metrics_port, alerts_port
            )
            waits.append(_start_prometheus(children, home, ports, binary, config))
        if obtained.found:
            _start_collector(children, home, ports, keys, obtained)
        for child, ready in waits:
            children.wait_ready(child, ready, timeout=60.0)
        published = _published(
            options, ports, obtained, binary is not None, metrics_port, children, alerts_port
        )
        state.write(home, published)
        yield Stack(published, keys, children)


def app_environment(stack: State, keys: Keys) -> dict[str, str]:
    """What an app needs in its environment to send its telemetry to the stack."""
    langfuse = {
        "LANGFUSE_BASE_URL": stack.ui,
        "LANGFUSE_PUBLIC_KEY": keys.public,
        "LANGFUSE_SECRET_KEY": keys.secret,
        "OTEL_AGENTS_CAPTURE_CONTENT": "all",
    }
    if stack.otlp is None:
        return {**langfuse, "OTEL_EXPORTER_PROMETHEUS_PORT": str(urlsplit(stack.metrics_page).port)}
    return {
        **langfuse,
        "OTEL_EXPORTER_OTLP_ENDPOINT": stack.otlp,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }


def _needed_ports(with_collector: bool, with_prometheus: bool) -> frozenset[str]:
    needed = {"backend_port"}
    if with_collector:
        needed |= {
            "bridge_port",
            "otlp_grpc_port",
            "otlp_http_port",
            "collector_metrics_port",
            "collector_self_port",
            "collector_health_port",
        }
    if with_prometheus:
        needed.add("prometheus_port")
    return frozenset(needed)


def _start_backend(children: Children, home: Path, ports: Ports, keys: Keys) -> Started:
    arguments = ["--port", str(ports.backend_port), "--prometheus", url(ports.prometheus_port)]
    child = _start_command(children, "local", arguments, _langfuse(ports, keys), home)
    return child, lambda: answers(f"{url(ports.backend_port)}/api/public/health")


def _start_bridge(children: Children, home: Path, ports: Ports, keys: Keys) -> Started:
    child = _start_command(
        children, "bridge", ["--port", str(ports.bridge_port)], _langfuse(ports, keys), home
    )
    return child, lambda: answers(f"{url(ports.bridge_port)}/health")


def _langfuse(ports: Ports, keys: Keys) -> dict[str, str]:
    return {
        "LANGFUSE_BASE_URL": url(ports.backend_port),
        "LANGFUSE_PUBLIC_KEY": keys.public,
        "LANGFUSE_SECRET_KEY": keys.secret,
    }


def _start_command(
    children: Children, name: str, arguments: list[str], environ: Mapping[str, str], home: Path
) -> Child:
    """Starts one of our own commands as a child, with the stack's keys and without the user's exporters."""
    inherited = {
        key: value for key, value in os.environ.items() if not key.startswith(("OTEL_EXPORTER_", "LANGFUSE_"))
    }
    return children.start(
        name,
        [sys.executable, "-m", "otel_agents.cli", name, *arguments],
        {**inherited, **environ, "OTEL_AGENTS_HOME": str(home), "OTEL_AGENTS_DOTENV": "off"},
    )


def _start_collector(children: Children, home: Path, ports: Ports, keys: Keys, obtained: Obtained) -> None:
    bridge = url(ports.bridge_port)
    environment = collector.collector_environment(
        ports,
        langfuse_endpoint=f"{bridge}/api/public/otel",
        public_key=keys.public,
        secret_key=keys.secret,
        bridge_endpoint=bridge,
        storage=home / "collector",
    )
    # Docker may have to get the image first.
    collector.start_collector(
        children, obtained.launch(environment), timeout=600.0 if obtained.docker else 30.0
    )


def _direct_port(settings: Settings, options: Options) -> int:
    """Direct mode: the port of the app's own /metrics. The app comes later, so nobody listens there yet."""
    port = settings.metrics_port
    if port == 0 or (options.free_ports and not port_choice.is_free(port)):
        return port_choice.free_port()
    return port


def _start_alertmanager(
    children: Children, home: Path, binary: Path, settings: Settings, port: int
) -> Started:
    folder = home / "alertmanager"
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "alertmanager.yaml"
    alertmanager.write_configuration(config, settings.alert_webhook or "")
    child = children.start("alertmanager", alertmanager.command(binary, config, folder / "data", port))
    return child, lambda: answers(f"{url(port)}/-/ready")


def _prometheus_configuration(
    settings: Settings,
    ports: Ports,
    options: Options,
    with_collector: bool,
    metrics_port: int,
    alerts_port: int | None,
) -> Path:
    folder = settings.home / "prometheus"
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "prometheus.yml"
    rules = prometheus.rule_files(settings, folder, with_collector)
    config.write_text(
        prometheus.configuration(
            ports, options.scrape_interval, with_collector, metrics_port, rules, alerts_port
        )
    )
    return config


def _start_prometheus(children: Children, home: Path, ports: Ports, binary: Path, config: Path) -> Started:
    folder = home / "prometheus"
    command = prometheus.command(binary, config, folder / "data", ports.prometheus_port)
    child = children.start("prometheus", command)
    return child, lambda: answers(f"{url(ports.prometheus_port)}/-/ready")


def _published(
    options: Options,
    ports: Ports,
    obtained: Obtained,
    with_prometheus: bool,
    metrics_port: int,
    children: Children,
    alerts_port: int | None,
) -> State:
    return State(
        pid=os.getpid(),
        ui=url(ports.backend_port),
        otlp=url(ports.otlp_http_port) if obtained.found else None,
        prometheus=url(ports.prometheus_port) if with_prometheus else None,
        bridge=url(ports.bridge_port) if obtained.found else None,
        collector=obtained.where,
        logs=str(children.logs),
        scrape_interval=options.scrape_interval,
        metrics_page=f"{url(metrics_port)}/metrics",
        children={child.name: child.process.pid for child in children.running},
        alertmanager=url(alerts_port) if alerts_port else None,
    )


def url(port: int) -> str:
    """The address of one of the stack's servers."""
    return f"http://{LOOPBACK}:{port}"
