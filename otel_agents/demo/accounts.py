"""What one run used, as the provider's ledger, Langfuse and Prometheus each tell it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from otel_agents.stack.process import fetch

#: Resource attribute that marks the processes of one run, and its label on Prometheus' target_info.
RUN_ATTRIBUTE = "otel_agents.run"
_RUN_LABEL = "otel_agents_run"

_INFERENCE = "gen_ai_client_inference"
#: Prometheus' name of each number; each is a counter (or a histogram's count) that starts at zero in
#: every process.
SERIES = {
    "calls": f"{_INFERENCE}_operation_input_tokens_count",
    "input": f"{_INFERENCE}_usage_input_tokens_total",
    "output": f"{_INFERENCE}_usage_output_tokens_total",
    "cache_read": f"{_INFERENCE}_usage_cache_read_input_tokens_total",
    "cache_write": f"{_INFERENCE}_usage_cache_write_input_tokens_total",
    "reasoning": f"{_INFERENCE}_usage_reasoning_output_tokens_total",
    "cost": "otel_agents_cost_total",
}


@dataclass(frozen=True, slots=True)
class Account:
    """Billed calls, tokens and cost (USD) of one run. Input includes the cache, output reasoning."""

    calls: int = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    cost: Decimal = Decimal(0)

    def as_dict(self) -> dict[str, int | float]:
        """For JSON; the cost as a number."""
        return {**asdict(self), "cost": float(self.cost)}

    @staticmethod
    def of(numbers: Mapping[str, Any]) -> Account:
        """From a mapping with at least the names of the fields."""
        counts = {one.name: round(float(numbers[one.name])) for one in fields(Account) if one.name != "cost"}
        return Account(**counts, cost=Decimal(str(numbers["cost"])))


def differences(accounts: Mapping[str, Account]) -> list[str]:
    """One line for each number that is not the same everywhere.

    Counts have to be equal; costs within a billionth of a dollar or a millionth of the amount, since
    they are sums of floating-point numbers.
    """
    lines = []
    for one in fields(Account):
        values = {name: getattr(account, one.name) for name, account in accounts.items()}
        first = next(iter(values.values()))
        same = all(
            math.isclose(value, first, rel_tol=1e-6, abs_tol=1e-9) if one.name == "cost" else value == first
            for value in values.values()
        )
        if not same:
            lines.append(f"{one.name}: " + ", ".join(f"{name} {value}" for name, value in values.items()))
    return lines


def from_ledger(server: str) -> Account:
    """What the model server billed since it started.

    Raises:
        OSError: it does not answer.
    """
    return Account.of(json.loads(fetch(f"{server}/ledger?records=0")))


def from_langfuse(api: Any, session: str) -> Account:
    """Sum over the generations of one session, by the official SDK's client.

    A generation without usage (the call failed, or said nothing about tokens) is no billed call.
    """
    total: dict[str, Any] = {one.name: 0 for one in fields(Account)}
    for row in _generations(api, session):
        usage = row.usage_details or {}
        if not usage:
            continue
        read, written = usage.get("input_cached_tokens", 0), usage.get("input_cache_creation", 0)
        reasoning = usage.get("output_reasoning_tokens", 0)
        total["calls"] += 1
        total["input"] += usage.get("input", 0) + read + written
        total["output"] += usage.get("output", 0) + reasoning
        total["cache_read"] += read
        total["cache_write"] += written
        total["reasoning"] += reasoning
        total["cost"] += Decimal(str((row.cost_details or {}).get("total", 0)))
    return Account.of(total)


def _generations(api: Any, session: str) -> Iterator[Any]:
    cursor = None
    while True:
        page = api.observations.get_many(
            session_id=session, type="GENERATION", fields="core,basic,usage", limit=1000, cursor=cursor
        )
        yield from page.data
        cursor = page.meta.cursor
        if not cursor:
            return


def query(metric: str, run: str) -> str:
    """PromQL: what the processes of one run counted, in total.

    Their last values within the hour are their totals, because every process is an instance of its own
    that started at zero; target_info tells which instances belong to the run.
    """
    instances = f'max by (job, instance) (last_over_time(target_info{{{_RUN_LABEL}="{run}"}}[1h]))'
    return f"sum(last_over_time({metric}[1h]) * on (job, instance) group_left () {instances})"


def from_prometheus(server: str, run: str) -> Account:
    """By PromQL.

    Raises:
        OSError: Prometheus does not answer.
    """
    numbers = {}
    for name, metric in SERIES.items():
        answer = json.loads(fetch(f"{server}/api/v1/query?query={quote(query(metric, run))}"))
        result = answer["data"]["result"]
        numbers[name] = result[0]["value"][1] if result else 0
    return Account.of(numbers)


def from_metrics_page(page: str, run: str) -> Account:
    """The same from a ``/metrics`` page itself, where there is no Prometheus.

    Raises:
        OSError: the page cannot be had.
    """
    from prometheus_client.parser import text_string_to_metric_families

    samples = [
        sample for family in text_string_to_metric_families(fetch(page).decode()) for sample in family.samples
    ]

    def instance(labels: Mapping[str, str]) -> tuple[str, str]:
        return labels.get("job", ""), labels.get("instance", "")

    mine = {
        instance(sample.labels)
        for sample in samples
        if sample.name == "target_info" and sample.labels.get(_RUN_LABEL) == run
    }
    numbers = dict.fromkeys(SERIES, Decimal(0))
    for name, metric in SERIES.items():
        for sample in samples:
            if sample.name == metric and instance(sample.labels) in mine:
                numbers[name] += Decimal(str(sample.value))
    return Account.of(numbers)
