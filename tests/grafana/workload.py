"""Twenty known minutes: processes that count through the real instruments, scraped by the clock.

Among them what usually makes panels lie: a process that lives for seconds, one that was there long before
the window, one that appears in the middle of it, an agent whose name is a regular expression, and six
minutes in which nothing could be scraped. The ledger keeps every single increment, with the time at which
Prometheus can first know of it; what a panel should show is added up from that.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_agents import metrics
from otel_agents.accounting import CallRecord, Usage
from otel_agents.cli_agents import own_metrics as own
from otel_agents.export import snapshots
from otel_agents.export.prometheus_names import label_name, label_value, metric_name
from otel_agents.instruments import Instruments
from otel_agents.metrics import Definition

SCRAPE = 15.0
MINUTE = 60.0
#: Seconds from the start of the window: nothing is scraped in between.
GAP = (8 * MINUTE, 14.5 * MINUTE)
START = -10 * MINUTE
END = 20 * MINUTE
#: When it was scraped, name, labels, value.
Sample = tuple[float, str, dict[str, str], float]
ODD_AGENT = "c++ (fast)|.*"


@dataclass(frozen=True, slots=True)
class Increment:
    """One value on one metric, as Prometheus sees it: names, labels, and the time of the scrape."""

    at: float
    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(slots=True)
class Ledger:
    """Everything that was counted, and the buckets of the histograms."""

    increments: list[Increment] = field(default_factory=list)


class Counting(Instruments):
    """The package's instruments, with a witness."""

    def __init__(self, process: Process) -> None:
        meter = process.provider.get_meter("otel_agents")
        super().__init__(meter, 1000, clock=lambda: process.told)
        self._record |= {one: meter.create_counter(one.name, one.unit).add for one in own.DEFINITIONS}
        self._process = process

    def add(self, definition: Definition, value: float, labels, context=None) -> None:  # type: ignore[no-untyped-def]
        super().add(definition, value, labels, context)
        shown = {label_name(key): label_value(one) for key, one in labels.items()}
        name = metric_name(definition.name, definition.unit, definition.kind)
        self._process.note(name, {**shown, **self._process.identity}, value)


class Process:
    """One process of an app, from ``born`` on."""

    def __init__(self, ledger: Ledger, job: str, instance: str, environment: str, born: float) -> None:
        self.resource = {
            "service.name": job,
            "service.instance.id": instance,
            "deployment.environment.name": environment,
        }
        self.identity = {"job": job, "instance": instance, "deployment_environment_name": environment}
        self.born = born
        self.now = born
        #: When it collected last. A process that is gone does not; the Collector serves it all the same.
        self.told = born
        self.until = END
        self._ledger = ledger
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader])
        self.count = Counting(self)
        self._memory = snapshots.ExemplarMemory()

    def note(self, name: str, labels: Mapping[str, str], value: float) -> None:
        self._ledger.increments.append(Increment(next_scrape(self.now), name, labels, value))

    def scraped(self, at: float) -> list[tuple[str, dict[str, str], float]]:
        """Every sample of this process, as /metrics and the Collector show it."""
        self.told = max(self.told, min(at, self.until))
        snapshot = snapshots.make(self.resource, self._reader.get_metrics_data(), self._memory)
        samples = []
        for family in snapshot.families:
            for series in family.series:
                labels = {**series.labels, **self.identity}
                if family.kind != "histogram":
                    samples.append((family.name, labels, series.value))
                    continue
                for bound, count in zip([*series.bounds, None], series.counts, strict=True):
                    le = "+Inf" if bound is None else f"{bound:g}"
                    samples.append((f"{family.name}_bucket", {**labels, "le": le}, count))
                samples.append((f"{family.name}_count", labels, series.counts[-1]))
                samples.append((f"{family.name}_sum", labels, series.value))
        return samples


def scrapes() -> list[float]:
    """When Prometheus comes by."""
    every = [START + SCRAPE * at for at in range(int((END - START) / SCRAPE) + 1)]
    return [at for at in every if not GAP[0] <= at < GAP[1]]


_SCRAPES = scrapes()


def next_scrape(at: float) -> float:
    """The scrape at which something that happened ``at`` is first seen."""
    return next(one for one in _SCRAPES if one >= at)


def simulate() -> tuple[Ledger, list[Sample]]:
    """Lets the twenty minutes pass; the ledger, and the samples of every scrape."""
    ledger = Ledger()
    chance = random.Random(20)
    processes = [
        Process(ledger, "orchestrator", "old", "production", START),
        Process(ledger, "orchestrator", "new", "production", 1 * MINUTE),
        Process(ledger, "orchestrator", "brief", "production", 6 * MINUTE),
        Process(ledger, "reviewer", "late", "staging", 12 * MINUTE),
    ]
    coding = [
        Process(ledger, job, f"session-{number}", "production", born)
        for number, (job, born) in enumerate(
            [("claude-code", 2 * MINUTE), ("claude-code", 17 * MINUTE), ("gemini-cli", 16 * MINUTE),
             ("github-copilot", 15 * MINUTE), ("codex_exec", START)]
        )
    ]  # fmt: skip
    busy_until = {"brief": 6 * MINUTE + 9, "old": END, "new": END, "late": END}
    plan: list[tuple[float, Process]] = []
    for process in processes:
        until = process.until = busy_until[process.identity["instance"]]
        tasks = 3 if process.identity["instance"] == "brief" else 30
        plan += [
            (chance.uniform(process.born + 1, until - 20 if tasks > 3 else until), process)
            for _ in range(tasks)
        ]
    plan.sort(key=lambda entry: entry[0])
    samples: list[Sample] = []
    turns = random.Random(8)
    for at in _SCRAPES:
        for process in coding:
            if process.born <= at:
                process.now = at
                turn(process.count, process.identity["job"], turns)
                # They are programs of others, and tell nothing that is this package's.
                theirs = [
                    sample for sample in process.scraped(at) if not sample[0].startswith("otel_agents_")
                ]
                samples += [(at, *sample) for sample in theirs]
        while plan and plan[0][0] <= at:
            now, process = plan.pop(0)
            process.now = now
            task(process.count, chance)
        for process in processes:
            if process.born <= at:
                samples += [(at, *sample) for sample in process.scraped(at)]
        samples += [(at, *sample) for sample in machine(at)]
    return ledger, samples


def task(count: Instruments, chance: random.Random, zero: float = 0.0) -> None:
    """One task of the orchestrator, with everything that it counts; its workload began at ``zero``."""
    agent = chance.choice(["claude", "gemini", ODD_AGENT])
    kind = chance.choice(["security", "docs"])
    labels = {"task_type": kind}
    if chance.random() < 0.5:
        labels |= {
            "experiment": "prompts",
            "variant": chance.choice("ab"),
            "prompt_version": chance.choice("34"),
        }
    failed = chance.random() < 0.2
    base = {"gen_ai.agent.name": agent, **labels}
    count.count(metrics.SELECTIONS, 1, {"gen_ai.agent.name": agent, "task_type": kind})
    calls = chance.randint(1, 4)
    for _ in range(calls):
        count.record_call(call(chance, agent, labels))
    count.record_tool(
        chance.choice(["grep", "edit"]),
        agent,
        None,
        chance.uniform(0.01, 2),
        "OSError" if chance.random() < 0.3 else None,
        labels,
        None,
    )
    duration = chance.uniform(1, 90)
    error = "TimeoutError" if failed else None
    count.record_agent(agent, "invoke_agent", duration, calls, 1, error, labels, None)
    status = {**base, "status": "error" if failed else "success"}
    count.count(metrics.TASK_COUNT, 1, status)
    count.count(metrics.TASK_DURATION, duration, status)
    count.count(metrics.TASK_ATTEMPTS, chance.randint(1, 2), status)
    count.record_score("quality", chance.uniform(0.3, 1), agent, labels, None)
    if chance.random() < 0.4:
        switch = {"from_agent": agent, "to_agent": "claude", "task_type": kind}
        count.count(metrics.SWITCHES, 1, switch)
        count.count(metrics.QUALITY_BEFORE, chance.uniform(0.3, 0.7), switch)
        count.count(metrics.QUALITY_AFTER, chance.uniform(0.3, 1), switch)
        count.count(
            metrics.BREAKER_CHANGES,
            1,
            {"gen_ai.agent.name": agent, "state": chance.choice(["open", "closed"])},
        )
    before = chance.randint(1000, 5000)
    count.count(metrics.ORIGINAL_TOKENS, before, base)
    count.count(metrics.ACTUAL_TOKENS, before // 3, base)
    count.count(metrics.TOKEN_REDUCTION, before / (before // 3), base)
    if failed:
        count.record_call(told(agent, labels))
        count.count(metrics.LOOPS_STOPPED, 1, {"gen_ai.agent.name": agent, "reason": "identical_tool_calls"})
        count.count(metrics.REPORTED_MISMATCH, 1, {"gen_ai.agent.name": agent, "quantity": "tokens"})
        count.count(metrics.EXPORT_SPANS, 2, {"outcome": "dropped", "reason": "queue_full"})
        count.count(metrics.LABEL_OVERFLOW, 3, {"label": "gen_ai.agent.name"})
        count.count(metrics.PROMPT_FALLBACKS, 1, {"prompt": "layer-2", "reason": "not_found"})
        count.count(metrics.BUDGET_ALERTS, 1, {"budget": "team", "period": "monthly", "threshold": "0.5"})
    count.count(metrics.EXPORT_SPANS, 5, {"outcome": "delivered"})
    # Gauges: the same from every process, as those that read one shared file say it.
    count.count(metrics.BREAKER_STATE, 2 if agent == "gemini" else 0, {"gen_ai.agent.name": agent})
    count.count(metrics.BUDGET_LIMIT, 30, {"budget": "team", "period": "monthly"})
    count.count(metrics.BUDGET_SPENT, 24, {"budget": "team", "period": "monthly"})
    count.count(metrics.BUDGET_ENDS, zero + END + 3600, {"budget": "team", "period": "monthly"})
    count.count(metrics.PLAN_FEE, 10, {"plan": "copilot"})
    count.count(metrics.EXPORT_QUEUE, 3, {})
    count.count(metrics.SPOOL_SPANS, 2, {})
    count.count(metrics.SPOOL_BYTES, 2000, {})


def call(chance: random.Random, agent: str, labels: Mapping[str, str]) -> CallRecord:
    """One model call."""
    model, provider = chance.choice([("gpt-4o-mini", "openai"), ("claude-haiku", "anthropic")])
    sent, received = chance.randint(100, 9000), chance.randint(10, 900)
    usage = Usage(
        input=sent,
        output=received,
        cache_read=sent // 4,
        cache_write=sent // 10,
        reasoning=received // 3,
    )
    priced = chance.random() < 0.9
    record = CallRecord(
        "chat",
        provider,
        model,
        response_model=f"{model}-2026",
        usage=usage,
        error_type="429" if chance.random() < 0.2 else None,
        duration=chance.uniform(0.2, 20),
        agent_name=agent,
        labels=labels,
        cost=sent * 1e-6 + received * 5e-6 if priced else None,
        unpriced_reason=None if priced else "unknown_model",
        server_address="api.example.com",
        server_port=443,
    )
    if chance.random() < 0.6:
        record.stream = True
        record.time_to_first_chunk = chance.uniform(0.05, 2)
        record.chunk_gaps = [chance.uniform(0.01, 0.2) for _ in range(3)]
    return record


def told(agent: str, labels: Mapping[str, str]) -> CallRecord:
    """What a coding agent says of its calls: tokens and cost, of a model that was never seen on the wire."""
    return CallRecord(
        "chat",
        "openai",
        "gpt-5-codex",
        usage=Usage(input=1000, output=100, cache_read=400),
        agent_name=agent,
        labels=labels,
        cost=0.01,
        reported=True,
    )


def turn(count: Instruments, job: str, chance: random.Random) -> None:
    """What a coding agent counts of itself; in one scrape of three, something."""
    if chance.random() > 0.3:
        return
    if job == "claude-code":
        model = {"model": "claude-sonnet-4-5", "query_source": chance.choice(["main", "subagent"])}
        count.count(own.CLAUDE_SESSIONS, 1, {"start_type": "fresh"})
        count.count(own.CLAUDE_COST, chance.uniform(0.01, 1), model)
        for kind in ("input", "output", "cacheRead", "cacheCreation"):
            count.count(own.CLAUDE_TOKENS, chance.randint(10, 900), {**model, "type": kind})
        kind = chance.choice(["added", "removed"])
        count.count(own.CLAUDE_LINES, chance.randint(1, 90), {"type": kind, "model": "claude-sonnet-4-5"})
        decided = {
            "tool_name": chance.choice(["Edit", "Write"]),
            "decision": chance.choice(["accept", "reject"]),
        }
        count.count(own.CLAUDE_DECISIONS, 1, {**decided, "source": "user_temporary", "language": "Python"})
    elif job == "gemini-cli":
        count.count(own.GEMINI_SESSIONS, 1, {})
        for kind in ("input", "output", "cache", "thought"):
            count.count(own.GEMINI_TOKENS, chance.randint(10, 900), {"type": kind, "model": "gemini-2.5-pro"})
        called = {"function_name": chance.choice(["read_file", "replace"]), "success": "true"}
        count.count(own.GEMINI_TOOLS, 1, {**called, "decision": "accept"})
        count.count(own.GEMINI_LINES, chance.randint(1, 90), {"type": "added", "function_name": "replace"})
    elif job == "github-copilot":
        count.count(own.COPILOT_TOOLS, 1, {"gen_ai.tool.name": "bash", "success": "true"})
    else:
        count.count(own.CODEX_SESSIONS, 1, {})
        count.count(own.CODEX_TOOLS, 2, {"tool": "exec_command", "success": "true"})


def machine(at: float) -> list[tuple[str, dict[str, str], float]]:
    """What others count: the machine, the app's own processes, the Collector, the bridge, the scrape."""
    passed = at - START
    host = {"job": "agents", "instance": "127.0.0.1:8889"}
    app = {"job": "orchestrator", "instance": "new"}
    gone = {"job": "orchestrator", "instance": "gone"}
    team = {"budget": "team", "period": "monthly"}
    collector = {"job": "collector", "instance": "127.0.0.1:8888"}
    bridge = {"job": "bridge", "instance": "127.0.0.1:4319"}
    langfuse = {**collector, "exporter": "otlp_http/langfuse", "data_type": "traces"}
    samples: list[tuple[str, dict[str, str], float]] = [
        *(("up", one, 1.0) for one in (host, collector, bridge)),
        ("system_cpu_utilization_ratio", {**host, "cpu": "cpu0", "state": "idle"}, 0.6),
        ("system_cpu_utilization_ratio", {**host, "cpu": "cpu1", "state": "idle"}, 0.4),
        ("system_memory_usage_bytes", {**host, "state": "used"}, 2.1e9),
        ("system_memory_usage_bytes", {**host, "state": "free"}, 5e9),
        ("process_cpu_utilization_ratio", app, 0.25),
        ("process_memory_usage_bytes", app, 3e8),
        ("container_memory_usage_bytes", app, 4e8),
        *(
            ("process_cpu_time_seconds_total", {**app, "type": kind}, passed * 0.125)
            for kind in ("user", "system")
        ),
        # A process that is gone; the Collector goes on serving what it said last.
        ("process_cpu_utilization_ratio", gone, 0.9),
        ("process_memory_usage_bytes", gone, 7e8),
        ("process_cpu_time_seconds_total", {**gone, "type": "user"}, 33.0),
        ("otel_agents_collection_timestamp_seconds", gone, START - 3600.0),
        ("otel_agents_circuit_breaker_state", {**gone, "gen_ai_agent_name": "claude"}, 2.0),
        ("otel_agents_export_queue", gone, 900.0),
        ("otel_agents_export_spool", gone, 900.0),
        ("otel_agents_budget_spent", {**gone, **team}, 29.0),
        ("otel_agents_budget_period_end_seconds", {**gone, **team}, START - 60.0),
        ("otelcol_receiver_accepted_spans", {**collector, "receiver": "otlp"}, passed * 4),
        ("otelcol_receiver_refused_spans", {**collector, "receiver": "otlp"}, passed * 0.5),
        ("otelcol_exporter_sent_spans", langfuse, passed * 3),
        ("otelcol_exporter_send_failed_spans", langfuse, passed * 0.2),
        ("otelcol_exporter_enqueue_failed_spans", langfuse, passed * 0.1),
        ("otelcol_exporter_queue_size", langfuse, 300.0),
        ("otelcol_exporter_queue_capacity", langfuse, 1000.0),
        ("otelcol_process_memory_rss", collector, 1.2e8),
        ("otelcol_process_cpu_seconds", collector, passed * 0.07),
        ("otel_agents_bridge_scores_stored_total", bridge, passed * 0.4),
        ("otel_agents_bridge_scores_sent_total", bridge, passed * 0.3),
        ("otel_agents_bridge_scores_dropped_total", {**bridge, "reason": "refused"}, passed * 0.05),
        ("otel_agents_bridge_trace_requests_total", {**bridge, "outcome": "delivered"}, passed * 0.6),
        ("otel_agents_bridge_trace_requests_total", {**bridge, "outcome": "retry"}, passed * 0.02),
        ("otel_agents_bridge_queue_oldest_seconds", bridge, 2.0),
    ]
    # One request in ten takes 0.5 to 1 s, the others less than 0.1: p95 is the middle of the upper bucket.
    for name, where in (
        ("http_server_request_duration_seconds", {**app, "http_route": "/tasks"}),
        ("http_client_request_duration_seconds", {**app, "server_address": "api.example.com"}),
    ):
        for le, share in (("0.1", 0.9), ("0.5", 0.9), ("1", 1.0), ("+Inf", 1.0)):
            samples.append((f"{name}_bucket", {**where, "le": le}, passed * share))
        samples += [(f"{name}_count", where, passed), (f"{name}_sum", where, passed * 0.1)]
    return samples


def write_openmetrics(samples: list[Sample], zero: float, path: Path) -> None:
    """The samples with times after ``zero`` (seconds since 1970), for promtool to make blocks from."""

    def quoted(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    with path.open("w", encoding="utf-8") as file:
        for at, name, labels, value in samples:
            inside = ",".join(f'{label}="{quoted(text)}"' for label, text in labels.items())
            told = value + zero if name.endswith(("_timestamp_seconds", "_period_end_seconds")) else value
            file.write(f"{name}{{{inside}}} {told!r} {zero + at:.3f}\n")
        file.write("# EOF\n")
