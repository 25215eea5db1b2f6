"""``python examples/orchestrator/main.py``: several agents review the files of this repository.

Lines that end in ``# otel`` are all that telemetry takes; see README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
import uuid
from pathlib import Path

import models
import orchestrator
from choice import Chooser
from tasks import TasksError, load

from otel_agents import ConfigError, configure, flush  # otel

_TASKS = Path(__file__).with_name("tasks.toml")


def main() -> int:
    """Exit status: 0 all tasks have an answer, 1 some have none, 2 it could not start."""
    options = _options()
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING)
    try:
        tasks = load(options.tasks)[: options.limit]
        configure(service_name="orchestrator")  # otel
    except (TasksError, ConfigError) as error:
        print(error, file=sys.stderr)
        return 2
    started = time.monotonic()
    with models.available() as where:
        print(f"run {options.run_id}: {len(tasks)} tasks, {where}", flush=True)
        chooser = Chooser(options.seed, options.explore)
        results = asyncio.run(orchestrator.work(tasks, chooser, options.run_id, options.concurrency))
    _report(results, time.monotonic() - started)
    flush()  # otel
    return 0 if all(result.answer is not None for result in results) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Agents review, summarise and plan tests for source files.")
    parser.add_argument("--tasks", type=Path, default=_TASKS, help="TOML file with the tasks (%(default)s)")
    parser.add_argument("--limit", type=int, help="work on the first N tasks only")
    parser.add_argument("--seed", type=int, default=1, help="for the choice of agents (%(default)s)")
    parser.add_argument("--explore", type=float, default=0.25, help="share of tasks for a random agent")
    parser.add_argument("--run-id", default=f"run-{uuid.uuid4().hex[:12]}", help="name of this run")
    parser.add_argument("--concurrency", type=int, default=4, help="tasks at the same time (%(default)s)")
    parser.add_argument("--verbose", action="store_true", help="say why agents failed")
    return parser.parse_args()


def _report(results: list[orchestrator.Result], seconds: float) -> None:
    for result in results:
        quality = "  - " if result.quality is None else f"{result.quality:.2f}"
        outcome = quality if result.answer is not None else "FAIL"
        why = f"  ({'; '.join(result.switches)})" if result.switches else ""
        tried = " -> ".join(result.agents)
        if result.answered_by not in (None, result.agents[-1]):
            why += f"  kept {result.answered_by}'s answer"
        print(f"  {result.task.id:<20} {outcome}  {tried}{why}")
    done = sum(result.answer is not None for result in results)
    switched = sum(len(result.agents) > 1 for result in results)
    judged = [result.quality for result in results if result.quality is not None]
    mean = f", mean quality {sum(judged) / len(judged):.2f}" if judged else ""
    print(f"{done} of {len(results)} done, {switched} switched agent{mean}, {seconds:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
