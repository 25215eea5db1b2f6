"""The demo's three accounts: how each is read, and when they count as equal."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from otel_agents.demo.accounts import Account, differences, from_langfuse, from_metrics_page, query

ONE = Account(
    calls=3, input=100, output=20, cache_read=30, cache_write=10, reasoning=5, cost=Decimal("0.012345")
)


def changed(**changes: Any) -> Account:
    values = {name: getattr(ONE, name) for name in Account.__dataclass_fields__}
    return Account(**{**values, **changes})


class TestDifferences:
    @pytest.mark.parametrize(
        "other",
        [ONE, changed(cost=Decimal("0.012345000000001")), changed(cost=Decimal("0.0123450005"))],
        ids=["same", "rounding", "within a billionth of a dollar"],
    )
    def test_equal(self, other: Account) -> None:
        assert differences({"provider": ONE, "langfuse": other, "prometheus": ONE}) == []

    @pytest.mark.parametrize(
        ("other", "line"),
        [
            (changed(calls=4), "calls: provider 3, langfuse 4, prometheus 3"),
            (changed(input=101), "input: provider 100, langfuse 101, prometheus 3"),
            (changed(reasoning=0), "reasoning: provider 5, langfuse 0, prometheus 5"),
            (
                changed(cost=Decimal("0.01236")),
                "cost: provider 0.012345, langfuse 0.01236, prometheus 0.012345",
            ),
        ],
        ids=lambda value: value.partition(":")[0] if isinstance(value, str) else "",
    )
    def test_not_equal(self, other: Account, line: str) -> None:
        (found,) = differences({"provider": ONE, "langfuse": other, "prometheus": ONE})
        assert found.startswith(line.rpartition(",")[0])

    def test_one_token_in_a_million_is_a_difference(self) -> None:
        many, more = changed(input=10_000_000), changed(input=10_000_001)
        assert differences({"provider": many, "langfuse": more}) == [
            "input: provider 10000000, langfuse 10000001"
        ]


class _Api:
    """The shape of the SDK's answers: two pages, and a generation that failed."""

    def __init__(self) -> None:
        self.observations = self
        self.asked: list[dict[str, Any]] = []

    def get_many(self, **asked: Any) -> Any:
        self.asked.append(asked)
        if asked["cursor"] is None:
            usage = {
                "input": 60,
                "input_cached_tokens": 30,
                "input_cache_creation": 10,
                "output": 20,
                "total": 120,
            }
            row = SimpleNamespace(usage_details=usage, cost_details={"total": 0.01})
            failed = SimpleNamespace(usage_details={}, cost_details={})
            return SimpleNamespace(data=[row, failed], meta=SimpleNamespace(cursor="next"))
        usage = {"input": 1, "output": 2, "output_reasoning_tokens": 3, "total": 6}
        row = SimpleNamespace(usage_details=usage, cost_details=None)
        return SimpleNamespace(data=[row], meta=SimpleNamespace(cursor=None))


def test_langfuses_disjoint_buckets_are_added_up_again() -> None:
    api = _Api()
    assert from_langfuse(api, "run-1") == Account(
        calls=2, input=101, output=25, cache_read=30, cache_write=10, reasoning=3, cost=Decimal("0.01")
    )
    assert [asked["cursor"] for asked in api.asked] == [None, "next"]
    assert {asked["session_id"] for asked in api.asked} == {"run-1"}


PAGE = b"""\
# TYPE target_info gauge
target_info{job="a",instance="i1",otel_agents_run="run-1"} 1
target_info{job="a",instance="i2",otel_agents_run="run-0"} 1
# TYPE gen_ai_client_inference_usage_input_tokens_total counter
gen_ai_client_inference_usage_input_tokens_total{job="a",instance="i1",gen_ai_request_model="x"} 7
gen_ai_client_inference_usage_input_tokens_total{job="a",instance="i1",gen_ai_request_model="y"} 5
gen_ai_client_inference_usage_input_tokens_total{job="a",instance="i2",gen_ai_request_model="x"} 100
# TYPE gen_ai_client_inference_operation_input_tokens histogram
gen_ai_client_inference_operation_input_tokens_bucket{job="a",instance="i1",le="+Inf"} 2
gen_ai_client_inference_operation_input_tokens_sum{job="a",instance="i1"} 12
gen_ai_client_inference_operation_input_tokens_count{job="a",instance="i1"} 2
# TYPE otel_agents_cost_total counter
otel_agents_cost_total{job="a",instance="i1"} 0.25
"""


@pytest.fixture
def page() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/metrics"
        server.shutdown()


def test_metrics_page_of_one_run(page: str) -> None:
    assert from_metrics_page(page, "run-1") == Account(calls=2, input=12, cost=Decimal("0.25"))


def test_query_names_the_runs_instances() -> None:
    assert query("x_total", "run-1") == (
        "sum(last_over_time(x_total[1h]) * on (job, instance) group_left () "
        'max by (job, instance) (last_over_time(target_info{otel_agents_run="run-1"}[1h])))'
    )
