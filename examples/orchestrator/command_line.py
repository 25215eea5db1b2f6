"""``python examples/orchestrator/command_line.py``: coding agents of the command line share the tasks.

Each of claude, gemini, copilot and codex is the real program where it is installed, and a scripted
stand-in that prints the same where it is not. Lines that end in ``# otel`` are all that telemetry takes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from breaker import Breaker
from choice import Chooser, Selection
from tasks import Task, TasksError, load

from otel_agents import ConfigError, configure, get_langfuse_observer  # otel
from otel_agents.cli_agents import AgentResult, CliAgent, claude, codex, copilot, gemini

_HERE = Path(__file__).parent
#: Expected quality by task type, less a little for the price. Where a run starts from.
_REWARDS = {
    "review": {"claude": 0.80, "codex": 0.75, "copilot": 0.65, "gemini": 0.70},
    "security": {"claude": 0.90, "codex": 0.70, "copilot": 0.50, "gemini": 0.60},
    "summarise": {"claude": 0.60, "codex": 0.55, "copilot": 0.65, "gemini": 0.80},
    "tests": {"claude": 0.75, "codex": 0.80, "copilot": 0.70, "gemini": 0.60},
}
#: Answers that are judged worse than this are given to another agent.
_GOOD_ENOUGH = 0.7
#: Lets real agents read, and nothing else.
_OPTIONS = {
    "claude": ["--allowedTools", "Read,Grep,Glob"],
    "gemini": ["--approval-mode", "default"],
    "copilot": ["--allow-tool", "view"],
    "codex": ["--sandbox", "read-only", "--skip-git-repo-check"],
}


@dataclass(slots=True)
class Outcome:
    """What became of a task: who tried, who answered, and how good the answer is."""

    task: Task
    agents: list[str] = field(default_factory=list)
    answered_by: str | None = None
    quality: float | None = None
    cost: float = 0.0


class Orchestrator:
    """Routes tasks between agents, by what is expected of each and by who works at all."""

    def __init__(self, agents: dict[str, CliAgent], chooser: Chooser, timeout: float) -> None:
        self._agents = agents
        self._chooser = chooser
        self._timeout = timeout
        self._breakers = {name: Breaker(name) for name in agents}
        self._observer = get_langfuse_observer()  # otel

    async def work(self, tasks: list[Task], concurrency: int) -> list[Outcome]:
        """All tasks, ``concurrency`` of them at the same time."""
        places = asyncio.Semaphore(concurrency)

        async def one(task: Task) -> Outcome:
            async with places:
                return await self._task(task)

        return list(await asyncio.gather(*(one(task) for task in tasks)))

    async def _task(self, task: Task) -> Outcome:
        outcome = Outcome(task)
        selection = self._select(task, set())
        while selection is not None:
            self._observer.track_agent_selection(  # otel
                task.id, selection.agent, selection.reason, selection.rewards, task_type=task.type
            )
            outcome.agents.append(selection.agent)
            quality, problem = await self._attempt(task, selection.agent, outcome)
            if problem is None:
                break
            following = self._select(task, set(outcome.agents))
            if following is not None:
                self._observer.track_agent_switch(  # otel
                    task.id, selection.agent, following.agent, problem, quality_before=quality
                )
            selection = following
        return outcome

    def _select(self, task: Task, tried: set[str]) -> Selection | None:
        resting = {name for name, breaker in self._breakers.items() if not breaker.allows()}
        return self._chooser.select(task.id, task.type, without=tried | resting)

    async def _attempt(self, task: Task, name: str, outcome: Outcome) -> tuple[float | None, str | None]:
        """One agent's try; the quality, and the reason to try another one."""
        about = {"task_type": task.type, "project_id": task.project, "iteration": len(outcome.agents)}
        prompt = task.prompt()
        with self._observer.trace_agent_execution(task.id, name, prompt, about) as trace:  # otel
            result = await self._agents[name].run(
                prompt, cwd=task.root, timeout=self._timeout, extra_args=_OPTIONS[name]
            )
            trace.update(output=result.output, error=result.error)  # otel
            outcome.cost += result.cost or 0.0
            self._breakers[name].record(result.ok, task.id)
            quality, reason = judge(task, result)
            if result.ok:
                self._observer.track_quality_assessment(  # otel
                    task.id, name, quality, comment=reason
                )
        self._chooser.learn(task.type, name, quality)
        if result.ok and quality >= (outcome.quality or 0.0):
            outcome.answered_by, outcome.quality = name, quality
        if not result.ok:
            return None, f"failed: {result.error_type}"
        return quality, None if quality >= _GOOD_ENOUGH else f"quality {quality:.2f}"


def judge(task: Task, result: AgentResult) -> tuple[float, str]:
    """Quality from 0 to 1 and why: good answers have numbered points, each with the line it is about."""
    if not result.ok or not result.output.strip():
        return 0.0, "no answer"
    points = re.findall(r"^\s*\d+[.)]\s+\S", result.output, re.MULTILINE)
    lines = re.findall(r"\bline\s+\d+|:\d+\b", result.output)
    score = min(0.4 + 0.1 * min(len(points), 3) + 0.1 * min(len(lines), 3), 1.0)
    return score, f"{len(points)} points, {len(lines)} lines named"


def available() -> dict[str, CliAgent]:
    """The real agents that are installed, and stand-ins for the others."""
    found = {}
    only_stand_ins = os.environ.get("ORCHESTRATOR_STAND_INS") == "all"
    for agent in (claude, gemini, copilot, codex):
        if agent.installed() and not only_stand_ins:
            found[agent.name] = agent
        else:
            found[agent.name] = agent.using([sys.executable, str(_HERE / "stand_in.py"), agent.name])
    return found


def main() -> int:
    """Exit status: 0 all tasks have an answer, 1 some have none, 2 it could not start."""
    parser = argparse.ArgumentParser(description="Coding agents of the command line share the tasks.")
    parser.add_argument("--tasks", type=Path, default=_HERE / "tasks.toml", help="TOML file (%(default)s)")
    parser.add_argument("--limit", type=int, help="work on the first N tasks only")
    parser.add_argument("--seed", type=int, default=1, help="for the choice of agents (%(default)s)")
    parser.add_argument("--explore", type=float, default=0.25, help="share of tasks for a random agent")
    parser.add_argument("--concurrency", type=int, default=3, help="tasks at the same time (%(default)s)")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for one try (%(default)s)")
    options = parser.parse_args()
    os.environ.setdefault("OTEL_AGENTS_PLANS_FILE", str(_HERE / "plans.toml"))  # otel
    try:
        tasks = load(options.tasks)[: options.limit]
        configure(service_name="orchestrator")  # otel
    except (TasksError, ConfigError) as error:
        print(error, file=sys.stderr)
        return 2
    agents = available()
    real = {claude, gemini, copilot, codex}
    print("agents: " + ", ".join(n if one in real else f"{n} (stand-in)" for n, one in agents.items()))
    rewards = {kind: dict(row) for kind, row in _REWARDS.items()}
    chooser = Chooser(options.seed, options.explore, rewards)
    print(f"run {uuid.uuid4().hex[:12]}: {len(tasks)} tasks", flush=True)
    outcomes = asyncio.run(Orchestrator(agents, chooser, options.timeout).work(tasks, options.concurrency))
    for one in outcomes:
        quality = "FAIL" if one.quality is None else f"{one.quality:.2f}"
        print(f"  {one.task.id:<20} {quality}  {' -> '.join(one.agents)}  ${one.cost:.4f}")
    done = sum(one.answered_by is not None for one in outcomes)
    print(f"{done} of {len(outcomes)} done, ${sum(one.cost for one in outcomes):.4f}")
    get_langfuse_observer().flush()  # otel
    return 0 if done == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
