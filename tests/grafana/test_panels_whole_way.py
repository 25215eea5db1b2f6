"""SDK, Collector, scrape, Prometheus: what the panels ask for arrives under those names and labels."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from backfill import Prometheus
from expected import EXPECTED, View
from grafana_queries import BOARDS, ROOT, Target, filled, targets
from parts import require, wait_for
from stack_up import Up
from test_dashboard_lint import FOREIGN
from test_dashboard_queries import assert_same
from workload import Increment, Ledger, simulate

from otel_agents.stack.state import State, local_keys

pytestmark = [pytest.mark.collector, pytest.mark.prometheus]

#: Seconds that everything here takes at most; the whole of it is "the last hour".
HOUR = 3600.0
OURS = [
    target
    for board in BOARDS
    for target in targets(board)
    if not any(name in target.expression for name in FOREIGN)
    # What this process itself has told in the meantime is not in the ledger of the app.
    and "otel_agents_export_" not in target.expression
]


@dataclass(slots=True)
class World:
    prometheus: Prometheus
    state: State
    ledger: Ledger
    home: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    require("collector")
    require("prometheus")
    home = tmp_path_factory.mktemp("home")
    up = Up(home)
    app = None
    try:
        _, state = up.start("--scrape-interval", "1")
        assert state.prometheus
        keys = local_keys(home)
        app = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("grafana_app.py")],
            env={
                **up.environment,
                "OTEL_EXPORTER_OTLP_ENDPOINT": str(state.otlp),
                "LANGFUSE_PUBLIC_KEY": keys.public,
                "LANGFUSE_SECRET_KEY": keys.secret,
                "PYTHONPATH": f"{ROOT / 'tests' / 'grafana'}",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert app.stdout is not None
        counted = json.loads(app.stdout.readline())
        ledger = Ledger([Increment(0.0, name, labels, value) for name, labels, value in counted])
        prometheus = Prometheus(state.prometheus)
        wait_for(lambda: arrived(prometheus, ledger), "the app's metrics in Prometheus")
        yield World(prometheus, state, ledger, home)
    finally:
        if app is not None:
            app.communicate("\n", timeout=30)
        up.clean()


def arrived(prometheus: Prometheus, ledger: Ledger) -> bool:
    """Whether Prometheus has all of the app's model calls."""
    name = "gen_ai_client_inference_duration_seconds"
    wanted = sum(one.name == name for one in ledger.increments)
    return prometheus.instant(f"sum({name}_count)", time.time()) == {(): wanted}


@pytest.mark.parametrize("target", OURS, ids=str)
def test_panels_show_what_the_app_counted(world: World, target: Target) -> None:
    view = View(world.ledger, 1.0, HOUR, HOUR, {})
    given = {"__range": "1h", "__range_s": "3600", "__interval": "1h", "__rate_interval": "1h"}
    found = world.prometheus.instant(filled(target.expression, given, {}), time.time())
    shown = {
        frozenset(label for label in key if label[0] != "__name__"): value for key, value in found.items()
    }
    assert_same(target, shown, EXPECTED[target.board][target.title, target.letter](view))


def test_backfilled_series_have_the_names_and_labels_of_scraped_ones(world: World) -> None:
    """Else the tests with a made-up past would prove nothing."""
    _, samples = simulate()
    made_up: dict[str, set[frozenset[str]]] = {}
    for _, name, labels, _ in samples:
        made_up.setdefault(name, set()).add(frozenset(labels))
    names = {one.name for one in world.ledger.increments}
    scraped: dict[str, set[frozenset[str]]] = {}
    for series in world.prometheus.get("series", **{"match[]": '{job="orchestrator"}'}):
        scraped.setdefault(series.pop("__name__"), set()).add(frozenset(series))
    ours = {name for name in scraped if any(name.startswith(one) for one in names)}
    assert len(ours) > 60
    for name in sorted(ours):
        # The extra call of the app has labels of its own; the rest of them are the workload's.
        assert scraped[name] & made_up[name], (name, scraped[name] ^ made_up[name])


def test_what_others_emit_is_there(world: World) -> None:
    """Of the Collector, the bridge and the machine; the app's own process and HTTP have their own tests."""
    elsewhere = (
        "process_",
        "container_",
        "http_",
        "otelcol_exporter_send_failed",
        "otelcol_exporter_enqueue_failed",
    )
    wanted = {name for name in FOREIGN if not name.startswith(elsewhere)}

    def there() -> bool:
        known = set(world.prometheus.get("label/__name__/values"))
        return wanted <= known

    wait_for(there, f"{wanted} in Prometheus", timeout=60)


def test_from_a_point_to_its_trace(world: World) -> None:
    """An exemplar's trace id, in the address that the datasource is provisioned with, opens the trace."""
    source = yaml.safe_load((ROOT / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    (destination,) = source["datasources"][0]["jsonData"]["exemplarTraceIdDestinations"]
    for name in (
        "gen_ai_client_inference_duration_seconds_bucket",
        "gen_ai_client_inference_usage_input_tokens_total",
    ):

        def exemplars(name: str = name) -> list[dict[str, object]]:
            now = time.time()
            found = world.prometheus.get("query_exemplars", query=name, start=now - HOUR, end=now)
            return [one for series in found for one in series["exemplars"]]

        (first, *_) = wait_for(exemplars, f"exemplars of {name}")
        labels = first["labels"]
        assert isinstance(labels, dict)
        address = (
            destination["url"]
            .replace("${LANGFUSE_URL}", world.state.ui)
            .replace("${LANGFUSE_PROJECT}", "local")
            .replace("$${__value.raw}", labels[destination["name"]])
        )

        def page(address: str = address) -> str | None:
            try:
                with urllib.request.urlopen(address, timeout=10) as response:
                    return str(response.read().decode())
            except urllib.error.HTTPError:
                return None

        assert "invoke_agent claude" in wait_for(page, "the trace in the web UI")
