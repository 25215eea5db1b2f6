"""The Collector: does it take data, what waits in its queues, what has it lost; and the bridge behind it."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from otel_agents.doctor.findings import Finding
from otel_agents.doctor.web import TIMEOUT, Unreachable, ask, place

if TYPE_CHECKING:
    from otel_agents.config import Otlp
    from otel_agents.doctor.subject import Subject

#: Share of a queue above which somebody should look, and above which data will soon be refused.
_FILLING: Final = 0.5
_FULL: Final = 0.8
_KINDS: Final = {"spans": "span(s)", "log_records": "log record(s)", "metric_points": "metric point(s)"}


@dataclass(slots=True)
class Vitals:
    """A Collector's metrics about itself.

    Attributes:
        address: of the page.
        queues: by exporter: what waits and what fits, in the queue's unit (bytes, here).
        lost: what exporters have given up, by ``exporter kind``.
        not_queued: what found no place in a queue.
        refused: what receivers have refused, by ``receiver kind``.
        sent: spans by exporter.
    """

    address: str
    queues: dict[str, tuple[float, float]] = field(default_factory=dict)
    lost: dict[str, float] = field(default_factory=dict)
    not_queued: dict[str, float] = field(default_factory=dict)
    refused: dict[str, float] = field(default_factory=dict)
    sent: dict[str, float] = field(default_factory=dict)

    def waiting(self) -> float:
        """Bytes in the queues of all exporters."""
        return sum(size for size, _ in self.queues.values())


def reachable(subject: Subject) -> Iterator[Finding]:
    """Whether the Collector takes OTLP where the settings say."""
    target = subject.settings.otlp("traces")
    if target is None:
        yield Finding("collector.reachable", "skip", "no Collector: spans go to Langfuse directly")
        return
    problem = _problem(target)
    if problem is None:
        yield Finding("collector.reachable", "ok", f"the Collector takes OTLP at {place(target.endpoint)}")
        return
    text, fix = problem
    yield Finding("collector.reachable", "fail", text, fix)


def _problem(target: Otlp) -> tuple[str, str] | None:
    where = place(target.endpoint) if "://" in target.endpoint else target.endpoint
    start = "start the Collector, or correct OTEL_EXPORTER_OTLP_ENDPOINT"
    if target.protocol == "grpc":
        parts = urlsplit(target.endpoint if "://" in target.endpoint else f"//{target.endpoint}")
        try:
            socket.create_connection((parts.hostname or "", parts.port or 4317), TIMEOUT).close()
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            return f"the Collector at {where} is unreachable ({why})", start
        return None
    # An export of nothing: valid, and changes nothing.
    headers = {"content-type": "application/x-protobuf", **target.headers}
    try:
        answer = ask(target.endpoint, headers=headers, body=b"")
    except Unreachable as error:
        return f"the Collector at {where} is unreachable ({error})", start
    if answer.status in (401, 403):
        return f"{where} refuses (status {answer.status})", "check OTEL_EXPORTER_OTLP_HEADERS"
    if not answer.ok:
        return (
            f"{where} takes no OTLP (status {answer.status}: {answer.text()})",
            "check OTEL_EXPORTER_OTLP_ENDPOINT, and that its port is the one for OTEL_EXPORTER_OTLP_PROTOCOL",
        )
    return None


def vitals(subject: Subject, scraped: Mapping[str, str]) -> Vitals | None:
    """The Collector's metrics about itself, from the first address that has them.

    Args:
        scraped: pages that Prometheus scrapes, by job; the Collector may be among them.
    """
    guess = f"http://{subject.otlp_host}:{subject.settings.collector_self_port}/metrics"
    # The stack's own Collector may have any port; somebody else's may have the usual one.
    addresses = [*scraped.values()] if subject.stack is not None else [guess, *scraped.values()]
    for address in dict.fromkeys(addresses):
        try:
            answer = ask(address)
        except Unreachable:
            continue
        if answer.ok and b"otelcol_" in answer.body:
            return parse(address, answer.body.decode("utf-8", "replace"))
    return None


def parse(address: str, page: str) -> Vitals:
    """What a page of metrics says of queues and losses."""
    from prometheus_client.parser import text_string_to_metric_families

    found = Vitals(address)
    capacity: dict[str, float] = {}
    sizes: dict[str, float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            name = sample.name.removesuffix("_total")
            exporter = sample.labels.get("exporter", "")
            if name == "otelcol_exporter_queue_size":
                sizes[exporter] = sizes.get(exporter, 0.0) + sample.value
            elif name == "otelcol_exporter_queue_capacity":
                capacity[exporter] = capacity.get(exporter, 0.0) + sample.value
            elif name == "otelcol_exporter_sent_spans":
                found.sent[exporter] = found.sent.get(exporter, 0.0) + sample.value
            for prefix, counts, who in (
                ("otelcol_exporter_send_failed_", found.lost, exporter),
                ("otelcol_exporter_enqueue_failed_", found.not_queued, exporter),
                ("otelcol_receiver_refused_", found.refused, sample.labels.get("receiver", "")),
            ):
                kind = _KINDS.get(name.removeprefix(prefix)) if name.startswith(prefix) else None
                if kind is not None and sample.value:
                    counts[f"{who} {kind}"] = counts.get(f"{who} {kind}", 0.0) + sample.value
    found.queues = {name: (size, capacity.get(name, 0.0)) for name, size in sizes.items()}
    return found


def health(subject: Subject, found: Vitals | None) -> Iterator[Finding]:
    """Queues and losses."""
    if found is None:
        port = subject.settings.collector_self_port
        yield Finding(
            "collector.queue",
            "warn",
            f"the Collector's metrics about itself are not at {subject.otlp_host}:{port}, so its queue and "
            "losses are unknown",
            "publish OTELCOL_SELF_PORT, or say by OTEL_AGENTS_COLLECTOR_SELF_PORT where it is",
        )
        return
    shares = {name: size / room for name, (size, room) in found.queues.items() if room}
    fullest = max(shares, key=lambda name: shares[name], default="")
    share = shares.get(fullest, 0.0)
    details = {name: {"size": size, "capacity": room} for name, (size, room) in found.queues.items()}
    if share > _FILLING:
        yield Finding(
            "collector.queue",
            "fail" if share > _FULL else "warn",
            f"the queue of {fullest} is {share:.0%} full",
            "see the Collector's log for what keeps it from sending; more room: OTELCOL_QUEUE_BYTES",
            details,
        )
    else:
        waits = f"{found.waiting():.0f} bytes wait" if found.waiting() else "nothing waits"
        yield Finding("collector.queue", "ok", f"{waits} in the Collector's queues", details=details)
    losses = {"lost": found.lost, "not_queued": found.not_queued, "refused": found.refused}
    if found.lost or found.not_queued:
        said = _listed({**found.lost, **found.not_queued})
        yield Finding(
            "collector.failures",
            "warn",
            f"since its start the Collector has lost {said}",
            "its log says why: status 400 and 413 are about the data, 401 and 403 about the keys in its "
            "environment (put the bridge between, so that these wait)",
            losses,
        )
    elif found.refused:
        yield Finding(
            "collector.failures",
            "warn",
            f"since its start the Collector has refused {_listed(found.refused)} (senders try again)",
            "give it more memory: OTELCOL_MEMORY_MIB",
            losses,
        )
    else:
        yield Finding("collector.failures", "ok", "the Collector has lost nothing since its start")


def bridge(subject: Subject) -> Iterator[Finding]:
    """The local stack's bridge."""
    if subject.stack is None or subject.stack.bridge is None:
        return
    address = subject.stack.bridge
    try:
        answer = ask(f"{address}/healthz")
    except Unreachable as error:
        yield Finding(
            "bridge.reachable",
            "fail",
            f"the bridge at {address} is unreachable ({error})",
            "`otel-agents down`, then `otel-agents up`; its log is in the stack's folder of logs",
        )
        return
    found = answer.json()
    waiting = found.get("waiting", 0) if isinstance(found, dict) else 0
    yield Finding(
        "bridge.reachable",
        "ok" if answer.ok else "fail",
        f"the bridge at {address} answers, {waiting} score(s) wait",
        "" if answer.ok else "see its log",
        {"waiting": waiting},
    )


def _listed(counts: Mapping[str, float]) -> str:
    return ", ".join(
        f"{count:.0f} {what.partition(' ')[2]} ({what.partition(' ')[0]})" for what, count in counts.items()
    )
