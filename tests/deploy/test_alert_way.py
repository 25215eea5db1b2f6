"""From a cost that is too high to a message: Prometheus, our rules, Alertmanager, a webhook. All real."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from alert_receivers import Webhook, webhook
from compose_file import COLLECTOR, ROOT, SERVICES
from parts import free_port, require, wait_for
from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server
from stack_up import Up

from otel_agents.stack.process import Children, answers, fetch

pytestmark = [pytest.mark.prometheus]


def quick(rules: Path, target: Path) -> None:
    """The rules as they are, but for how long a fault has to last: nobody waits for that here."""
    target.mkdir()
    for path in rules.glob("*.yaml"):
        (target / path.name).write_text(re.sub(r"^( +for: )\w+$", r"\g<1>0s", path.read_text(), flags=re.M))


def app() -> tuple[CollectorRegistry, Counter]:
    """What the Collector would serve of an app's calls."""
    registry = CollectorRegistry()
    labels = ("job", "instance", "gen_ai_agent_name", "gen_ai_request_model")
    cost = Counter("otel_agents_cost", "cost", labels, registry=registry)
    breaker = Gauge("otel_agents_circuit_breaker_state", "state", labels[:3], registry=registry)
    breaker.labels("app", "1", "gemini").set(2)
    told_at = Gauge("otel_agents_collection_timestamp_seconds", "alive", labels[:2], registry=registry)
    told_at.labels("app", "1").set_to_current_time()
    return registry, cost.labels("app", "1", "claude", "gpt-5")


def start_alertmanager(children: Children, folder: Path, url: str | None) -> str:
    """As the container does it: by start.sh beside a copy of the file, which waits for nobody here."""
    folder.mkdir()
    text = (COLLECTOR / "alertmanager" / "alertmanager.yaml").read_text()
    text = re.sub(r"(group_wait|group_interval): \w+", r"\1: 1s", text)
    (folder / "alertmanager.yaml").write_text(text)
    (folder / "start.sh").write_bytes((COLLECTOR / "alertmanager" / "start.sh").read_bytes())
    port = free_port()
    children.start(
        "alertmanager",
        [
            "sh",
            folder / "start.sh",
            *[word for word in SERVICES["alertmanager"]["command"] if not word.startswith("--storage")],
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        {
            "PATH": os.environ["PATH"],
            "ALERTMANAGER_BIN": str(require("alertmanager")),
            "ALERTMANAGER_CONFIG": str(folder / "made.yaml"),
            **({"OTEL_AGENTS_ALERT_WEBHOOK": url} if url else {}),
        },
    )
    address = f"http://127.0.0.1:{port}"
    wait_for(lambda: answers(f"{address}/-/ready"), "Alertmanager")
    return address


def start_prometheus(children: Children, folder: Path, targets: dict[str, int], alertmanager: str) -> str:
    """As the container does it, with other addresses and a quicker clock."""
    folder.mkdir()
    config = yaml.safe_load((COLLECTOR / "prometheus" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"}
    [teller] = config["alerting"]["alertmanagers"]
    teller["static_configs"][0]["targets"] = [alertmanager.removeprefix("http://")]
    for job in config["scrape_configs"]:
        job["static_configs"][0]["targets"] = [f"127.0.0.1:{targets[job['job_name']]}"]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    quick(ROOT / "grafana" / "rules", folder / "rules")
    port = free_port()
    children.start(
        "prometheus",
        [
            require("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--enable-feature=exemplar-storage",
        ],
    )
    address = f"http://127.0.0.1:{port}"
    wait_for(lambda: answers(f"{address}/-/ready"), "Prometheus")
    return address


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    require("prometheus")
    require("alertmanager")
    with Children(tmp_path / "logs") as children:
        yield children


def told(hook: Webhook) -> dict[str, dict[str, Any]]:
    """The alerts that arrived, by name; the last word on each."""
    return {one["labels"]["alertname"]: one for body in hook.bodies for one in body["alerts"]}


def test_what_is_wrong_is_told_with_what_to_do(children: Children, tmp_path: Path) -> None:
    registry, cost = app()
    port = free_port()
    nobody = free_port()
    with ExitStack() as stack:
        hook = stack.enter_context(webhook())
        server, thread = start_http_server(port, "127.0.0.1", registry)
        stack.callback(thread.join, 5)
        stack.callback(server.shutdown)
        # An address with everything that a shell or sed could stumble over.
        url = f"{hook.url}?token=a%26b&c=$1&d=1|~,x"
        alertmanager = start_alertmanager(children, tmp_path / "alertmanager", url)
        targets = {"agents": port, "collector": nobody, "bridge": port}
        prometheus = start_prometheus(children, tmp_path / "prometheus", targets, alertmanager)

        cost.inc(4.5)
        wait_for(lambda: told(hook).get("CollectorDown"), "the Collector's absence to be told")
        assert "AgentsCostPerDay" not in told(hook)
        cost.inc(1.25)
        wait_for(lambda: told(hook).get("AgentsCostPerDay"), "the cost to be told")

        alert = told(hook)["AgentsCostPerDay"]
        assert alert["status"] == "firing"
        assert alert["labels"]["severity"] == "ticket"
        assert alert["annotations"] == {
            "summary": "Model calls of the last 24 hours cost 5.75 USD, more than 5",
            "runbook_url": "docs/runbooks.md#agentscostperday",
        }
        assert told(hook)["CollectorDown"]["annotations"] == {
            "summary": "The Collector does not answer",
            "runbook_url": "docs/runbooks.md#collectordown",
        }
        assert told(hook)["CollectorDown"]["labels"]["severity"] == "page"
        breaker = wait_for(lambda: told(hook).get("AgentsCircuitBreakerOpen"), "the breaker to be told")
        assert breaker["labels"]["gen_ai_agent_name"] == "gemini"

        # No rule fails to be evaluated, and nothing is told that is not wrong.
        groups = json.loads(fetch(f"{prometheus}/api/v1/rules"))["data"]["groups"]
        assert [rule["name"] for group in groups for rule in group["rules"] if rule["health"] == "err"] == []
        assert told(hook).keys() == {"AgentsCostPerDay", "CollectorDown", "AgentsCircuitBreakerOpen"}

        # The Collector comes back: told too.
        back, other = start_http_server(nobody, "127.0.0.1", CollectorRegistry())
        stack.callback(other.join, 5)
        stack.callback(back.shutdown)
        wait_for(lambda: told(hook)["CollectorDown"]["status"] == "resolved", "the end of it to be told", 60)


def test_every_runbook_that_is_named_is_there() -> None:
    text = (ROOT / "docs" / "runbooks.md").read_text()
    anchors = {f"docs/runbooks.md#{name.lower()}" for name in re.findall(r"^## (\w+)$", text, re.MULTILINE)}
    for path in (ROOT / "grafana" / "rules").glob("*.yaml"):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    assert rule["annotations"]["runbook_url"] in anchors, rule["alert"]


def test_without_an_address_alertmanager_starts_and_tells_nobody(children: Children, tmp_path: Path) -> None:
    address = start_alertmanager(children, tmp_path / "alertmanager", None)
    used = json.loads(fetch(f"{address}/api/v2/status"))["config"]["original"]
    route = yaml.safe_load(used)["route"]
    assert {route["receiver"], *(one["receiver"] for one in route["routes"])} == {"nobody"}


@pytest.mark.collector
def test_the_local_stack_loads_the_rules_and_tells_whom_it_is_told_to(tmp_path: Path) -> None:
    require("collector")
    require("prometheus")
    require("alertmanager")
    up = Up(tmp_path / "home")
    try:
        with webhook() as hook:
            up.environment |= {
                "OTEL_AGENTS_ALERT_WEBHOOK": hook.url,
                "OTEL_AGENTS_ALERT_DAILY_COST": "12.5",
                "OTEL_AGENTS_ALERT_QUALITY": "0.8",
            }
            _, found = up.start()
            assert found.alertmanager
            groups = json.loads(fetch(f"{found.prometheus}/api/v1/rules"))["data"]["groups"]
            rules = {rule["name"]: rule["query"] for group in groups for rule in group["rules"]}
            assert rules["AgentsCostPerDay"].endswith("> 12.5")
            assert {"AgentsQualityLow", "AgentsModelErrors", "CollectorDown"} <= rules.keys()
            assert "agent:quality:mean1h" in rules
            known = f"{found.prometheus}/api/v1/alertmanagers"
            active = wait_for(
                lambda: json.loads(fetch(known))["data"]["activeAlertmanagers"],
                "Prometheus to know Alertmanager",
            )
            assert [one["url"] for one in active] == [f"{found.alertmanager}/api/v2/alerts"]
            assert up.run("status").returncode == 0

            # Somebody is told: an alert given to it by hand arrives.
            server = f"--alertmanager.url={found.alertmanager}"
            posted = subprocess.run(
                [require("amtool"), server, "alert", "add", "ByHand", "severity=page"],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert posted.returncode == 0, posted.stderr
            alert = wait_for(lambda: told(hook).get("ByHand"), "the alert", 60)
            assert alert["labels"] == {"alertname": "ByHand", "severity": "page"}
    finally:
        up.clean()
