"""Prometheus: is it there, does it scrape the metrics as they have to be scraped, are there too many."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from otel_agents import metrics
from otel_agents.doctor.findings import Finding
from otel_agents.doctor.web import Unreachable, ask, place
from otel_agents.export.prometheus_names import metric_name
from otel_agents.promql import grown

if TYPE_CHECKING:
    from otel_agents.doctor.subject import Subject

#: Series of one installation above which dashboards get slow.
_MANY_SERIES: Final = 50_000
#: Seconds that Prometheus may take to find its targets (it looks every five) and to scrape.
_SETTLE: Final = 8.0
_NAMES: Final = '{__name__=~"gen_ai_.+|otel_agents_.+"}'


@dataclass(frozen=True, slots=True)
class Target:
    """A page that Prometheus scrapes."""

    job: str
    url: str
    health: str
    error: str


class Prometheus:
    """A server's API.

    Args:
        address: its base URL.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    def targets(self) -> list[Target]:
        """What it scrapes.

        Raises:
            Unreachable: no usable answer.
        """
        data = self._data("/api/v1/targets", {"state": "active"})
        return [
            Target(
                str(one.get("scrapePool") or one.get("labels", {}).get("job", "")),
                str(one.get("scrapeUrl", "")),
                str(one.get("health", "")),
                str(one.get("lastError", "")),
            )
            for one in data.get("activeTargets", [])
        ]

    def honors_labels(self, job: str) -> bool | None:
        """Whether ``job`` keeps the labels of what it scrapes; None when the configuration is not told."""
        return self.jobs().get(job)

    def jobs(self) -> dict[str, bool]:
        """The scrape jobs and whether they honour labels; none when the configuration is not told."""
        try:
            return honor_labels(str(self._data("/api/v1/status/config").get("yaml", "")))
        except Unreachable:
            return {}

    def values(self, query: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series that an instant query gives.

        Raises:
            Unreachable: no usable answer.
        """
        found = self._data("/api/v1/query", {"query": query}).get("result", [])
        return [(dict(one["metric"]), float(one["value"][1])) for one in found]

    def _data(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        answer = ask(f"{self.address}{path}", params=params)
        found = answer.json()
        if not answer.ok or not isinstance(found, dict) or not isinstance(found.get("data"), dict):
            raise Unreachable(f"status {answer.status}: {answer.text()}")
        data: dict[str, Any] = found["data"]
        return data


def honor_labels(configuration: str) -> dict[str, bool]:
    """By job: whether ``honor_labels`` is on, in the configuration as Prometheus prints it (its own form)."""
    jobs: dict[str, bool] = {}
    job = ""
    for line in configuration.splitlines():
        if line.startswith("- job_name: "):
            job = line.partition(": ")[2].strip().strip("'\"")
            jobs[job] = False
        elif line[:1] not in ("-", " "):
            job = ""
        elif job and line.strip() == "honor_labels: true":
            jobs[job] = True
    return jobs


def prometheus(subject: Subject) -> tuple[list[Finding], dict[str, str]]:
    """All checks, and the pages that are scraped by job."""
    server = Prometheus(subject.prometheus)
    named = "OTEL_AGENTS_PROMETHEUS_URL"
    if subject.stack is not None and subject.stack.prometheus is None and not subject.prometheus_named:
        text = "the local stack runs without Prometheus"
        return [Finding("prometheus.reachable", "skip", text)], {}
    try:
        ready = ask(f"{server.address}/-/ready")
        targets = _settled(server, subject.metrics_port)
    except Unreachable as error:
        return [
            Finding(
                "prometheus.reachable",
                "fail" if subject.prometheus_named else "warn",
                f"Prometheus at {place(server.address)} is unreachable ({error})",
                f"start it, or say by {named} (or --prometheus) where it is",
            )
        ], {}
    found = [
        Finding("prometheus.reachable", "ok", f"Prometheus at {place(server.address)} answers")
        if ready.ok
        else Finding(
            "prometheus.reachable",
            "warn",
            f"Prometheus at {place(server.address)} is not ready (status {ready.status})",
            "wait until it has read its data",
        )
    ]
    found += _scrape(subject, server, targets)
    found += labels(server)
    found += exported(server)
    return found, {one.job: one.url for one in targets}


def _settled(server: Prometheus, port: int) -> list[Target]:
    """The targets, once a server that has just started knows them and has scraped ours."""
    deadline = time.monotonic() + _SETTLE
    while True:
        found = server.targets()
        ours = [one for one in found if urlsplit(one.url).port == port]
        begun = bool(found) and all(one.health != "unknown" for one in ours)
        if begun or time.monotonic() > deadline or not (found or server.jobs()):
            return found
        time.sleep(0.25)


def _scrape(subject: Subject, server: Prometheus, targets: list[Target]) -> Iterator[Finding]:
    port = subject.metrics_port
    whose = "the Collector's metrics" if subject.settings.mode == "collector" else "the app's /metrics"
    ours = [one for one in targets if urlsplit(one.url).port == port]
    if not ours:
        host = subject.otlp_host
        yield Finding(
            "prometheus.scrape",
            "fail" if subject.prometheus_named else "warn",
            f"Prometheus does not scrape {whose} (no target with port {port})",
            "add to its scrape_configs: {job_name: agents, honor_labels: true, static_configs: "
            f'[{{targets: ["{host}:{port}"]}}]}}',
            {"targets": [one.url for one in targets]},
        )
        return
    up = [one for one in ours if one.health == "up"]
    details = {"job": ours[0].job, "url": ours[0].url}
    if not up:
        state = ours[0].health
        yield Finding(
            "prometheus.scrape",
            "warn" if state == "unknown" else "fail",
            f"Prometheus cannot scrape {ours[0].url} ({ours[0].error or state})",
            "wait for the first scrape"
            if state == "unknown"
            else "check that Prometheus reaches this address from where it runs (OTELCOL_HOST, firewalls)",
            details,
        )
    else:
        yield Finding(
            "prometheus.scrape", "ok", f"Prometheus scrapes {whose} (job {up[0].job})", details=details
        )
    job = (up or ours)[0].job
    honored = server.honors_labels(job)
    if honored is None:
        yield Finding("prometheus.honor_labels", "skip", "Prometheus does not tell how the job is configured")
    elif honored:
        yield Finding("prometheus.honor_labels", "ok", f"job {job} keeps the labels of each process")
    else:
        yield Finding(
            "prometheus.honor_labels",
            "fail",
            f"job {job} has no honor_labels: job and instance of each process are renamed, and panels "
            "stay empty",
            f"add `honor_labels: true` to the scrape job {job}",
        )


def exported(server: Prometheus) -> Iterator[Finding]:
    """What became of the apps' spans in the last day, as they have counted it themselves."""
    one = metrics.EXPORT_SPANS
    name = metric_name(one.name, one.unit, one.kind)
    try:
        found = server.values(f"sum by (outcome, reason) ({grown(name, '1d')}) > 0")
    except Unreachable:
        return  # said by another check
    counts: dict[str, float] = {}
    for labels_, value in found:
        named = " ".join(part for part in (labels_.get("outcome"), labels_.get("reason")) if part)
        counts[named] = counts.get(named, 0.0) + value
    dropped = {named: value for named, value in counts.items() if named.startswith("dropped")}
    if dropped:
        said = ", ".join(f"{value:.0f} {named}" for named, value in dropped.items())
        yield Finding(
            "export",
            "warn",
            f"apps have lost spans in the last 24 hours: {said}",
            "queue_full: raise OTEL_BSP_MAX_QUEUE_SIZE; other reasons: see the spool and the apps' logs",
            counts,
        )
    else:
        yield Finding("export", "ok", "no app has lost a span in the last 24 hours", details=counts)


def labels(server: Prometheus) -> Iterator[Finding]:
    """Whether labels have taken too many values."""
    one = metrics.LABEL_OVERFLOW
    name = metric_name(one.name, one.unit, one.kind)
    try:
        over = server.values(f"sum by (label) (max_over_time({name}[1d])) > 0")
        counted = server.values(f"count({_NAMES})")
    except Unreachable as error:
        yield Finding("labels", "skip", f"Prometheus does not answer queries ({error})")
        return
    series = counted[0][1] if counted else 0.0
    details = {"series": int(series), "overflow": {found.get("label", ""): value for found, value in over}}
    if over:
        names = ", ".join(sorted(found.get("label", "?") for found, _ in over))
        yield Finding(
            "labels",
            "warn",
            f"{names} took more values than OTEL_AGENTS_LABEL_LIMIT allows; the rest is counted as `other`",
            "use fewer values (no ids in agent or tool names), or raise OTEL_AGENTS_LABEL_LIMIT",
            details,
        )
    elif series > _MANY_SERIES:
        yield Finding(
            "labels",
            "warn",
            f"there are {series:.0f} series, enough to slow dashboards down",
            "lower OTEL_AGENTS_LABEL_LIMIT, or use fewer values",
            details,
        )
    else:
        yield Finding("labels", "ok", f"no label has overflowed, {series:.0f} series", details=details)
