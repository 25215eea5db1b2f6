"""A process that spends: ``spender.py HOME JSON``; see ``main`` for what the JSON may say."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

from otel_agents import BudgetExceeded, inference, runtime, set_budget
from otel_agents.config import resolve


def call(cost: float) -> None:
    with inference("own", "model") as one:
        one.record(cost=cost)


def main() -> None:
    asked = json.loads(sys.argv[2])
    home = Path(sys.argv[1])
    runtime.replace(runtime.Runtime(resolve({"home": home, "service_name": "app"}, environ={}, dotenv=False)))
    set_budget(asked["amount"], "monthly", on_exceeded=asked.get("on_exceeded", "warn"), thresholds=(0.5, 1))
    print("ready", flush=True)
    sys.stdin.readline()
    made = [0] * asked.get("threads", 1)
    refused = threading.Event()

    def work(number: int) -> None:
        for _ in range(asked["calls"]):
            try:
                call(asked["cost"])
            except BudgetExceeded:
                refused.set()
                return
            made[number] += 1
            time.sleep(asked.get("pause", 0))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(made))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if asked.get("fork"):
        child = os.fork()
        if child == 0:
            call(asked["cost"])
            runtime.current().settle()
            os._exit(0)
        os.waitpid(child, 0)
    print(json.dumps({"made": sum(made), "refused": refused.is_set()}), flush=True)
    if asked.get("hang"):
        time.sleep(60)


if __name__ == "__main__":
    main()
