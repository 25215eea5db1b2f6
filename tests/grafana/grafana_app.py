"""An app that does what the workload does, by the real pipeline, and prints what it counted.

Started with the usual environment. Waits for a line on standard input before it ends, so that a test
sees a process that is alive.
"""

from __future__ import annotations

import json
import random
import sys
import time

import workload

import otel_agents
from otel_agents import agent, inference, runtime


def main() -> None:
    otel_agents.configure(service_name="orchestrator", environment="production", metric_interval=1.0)
    current = runtime.current()
    ledger = workload.Ledger()
    original = type(current.meters).add

    def add(self, definition, value, labels, context=None):  # type: ignore[no-untyped-def]
        original(self, definition, value, labels, context)
        name = workload.metric_name(definition.name, definition.unit, definition.kind)
        shown = {workload.label_name(key): workload.label_value(one) for key, one in labels.items()}
        ledger.increments.append(workload.Increment(0.0, name, shown, value))

    type(current.meters).add = add  # type: ignore[method-assign]
    chance = random.Random(7)
    for _ in range(12):
        workload.task(current.meters, chance, time.time())
    with agent("claude"), inference(provider="openai", model="gpt-4o-mini", stream=True) as call:
        call.record(input="why?", output="because", usage={"input": 120, "output": 30})
    result = otel_agents.flush(20)
    assert result.ok, result
    counted = [[one.name, dict(one.labels), one.value] for one in ledger.increments]
    print(json.dumps(counted), flush=True)
    sys.stdin.readline()
    otel_agents.shutdown()


if __name__ == "__main__":
    main()
