"""What only other libraries' spans tell of is the same in Langfuse and in Prometheus."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from modelserver.server import ModelServer
from venvs import Run
from whole_way import MODEL_CALLS, WholeWay


def test_sums_agree(run: Run, way: WholeWay, server: ModelServer) -> None:
    printed = run(Path(sys.executable), "unseen_app.py", server.url, OTEL_EXPORTER_OTLP_ENDPOINT=way.endpoint)
    assert printed == "dropped=0 pending=0\n"
    way.settle()
    calls = [one for one in way.observations("unseen") if one["type"] in MODEL_CALLS]
    ledger = server.ledger()
    sent = 1000 + 500 + 200 + 3000 + ledger["input"]
    made = 100 + 50 + 300 + ledger["output"]
    cost = (4000 * 0.15 + 400 * 0.6 + 200 * 0.02) / 1e6 + float(ledger["cost"])
    usages = [one["usageDetails"] for one in calls if one["usageDetails"]]
    assert sum(usage.get("input", 0) for usage in usages) == sent
    assert sum(usage.get("output", 0) for usage in usages) == made
    assert sum(one["totalCost"] or 0 for one in calls) == pytest.approx(cost)
    for counter, billed in (
        ("gen_ai_client_inference_usage_input_tokens_total", sent),
        ("gen_ai_client_inference_usage_output_tokens_total", made),
        ("otel_agents_cost_total", cost),
        ("otel_agents_unpriced_calls_total", 1),
        ("gen_ai_client_inference_duration_seconds_count", 4),
        ("gen_ai_invoke_agent_inference_calls_sum", 5),
    ):
        assert way.counted(counter, "unseen") == pytest.approx(billed), counter
