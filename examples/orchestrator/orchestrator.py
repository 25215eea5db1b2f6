"""The work on one task: choose an agent, let it answer, judge the answer, switch agents if need be."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from agents import AGENTS
from choice import Chooser, Selection
from judge import judge
from tasks import Task

from otel_agents import context, event, score, workflow  # otel

logger = logging.getLogger(__name__)

#: Answers that are judged worse than this are given to another agent.
GOOD_ENOUGH = 0.7


@dataclass(slots=True)
class Result:
    """What became of a task.

    Attributes:
        agents: those that tried, in order.
        answer: the best one that was given; None when all agents failed.
        answered_by: the agent that gave it.
        quality: 0 to 1; None when nobody could judge.
        switches: why each agent but the last was left.
    """

    task: Task
    agents: list[str] = field(default_factory=list)
    answer: str | None = None
    answered_by: str | None = None
    quality: float | None = None
    switches: list[str] = field(default_factory=list)


async def work(tasks: list[Task], chooser: Chooser, run_id: str, concurrency: int) -> list[Result]:
    """All tasks, ``concurrency`` of them at the same time; results in the order of the tasks."""
    places = asyncio.Semaphore(concurrency)

    async def one(task: Task) -> Result:
        async with places:
            about = {"run_id": run_id, "task_id": task.id, "project_id": task.project}
            with context(session=run_id, task_type=task.type, trace_name=task.id, metadata=about):  # otel
                return await run_task(task, chooser)

    return list(await asyncio.gather(*(one(task) for task in tasks)))


@workflow(name="task")  # otel
async def run_task(task: Task, chooser: Chooser) -> Result:
    """Tries agents until an answer is good enough or none is left; keeps the best answer."""
    result = Result(task)
    selection = chooser.select(task.id, task.type)
    while selection is not None:
        iteration = len(result.agents) + 1
        result.agents.append(selection.agent)
        event("agent_selection", _selected(task, selection))  # otel
        about = {"agent": selection.agent, "iteration": iteration, "agent_switched": iteration > 1}
        with context(metadata=about):  # otel
            problem = await _attempt(task, selection.agent, result, chooser)
        if problem is None:
            break
        following = chooser.select(task.id, task.type, without=set(result.agents))
        if following is None:
            break
        result.switches.append(f"{selection.agent}: {problem}")
        event("agent_switch", {"from": selection.agent, "to": following.agent, "reason": problem})  # otel
        selection = following
    return result


async def _attempt(task: Task, agent: str, result: Result, chooser: Chooser) -> str | None:
    """One agent's try; answers with the reason to try another one, or None."""
    try:
        answer = await AGENTS[agent](task, task.prompt())
    except Exception as error:  # whatever the reason, another agent may do better
        logger.info("%s: %s failed: %r", task.id, agent, error)
        chooser.learn(task.type, agent, 0.0)
        return f"failed with {type(error).__name__}"
    try:
        quality, reason = await judge(task, agent, answer)
    except Exception as error:  # an answer without a judgement is better than no answer
        logger.info("%s: no judgement: %r", task.id, error)
        quality, reason = None, f"the judge failed with {type(error).__name__}"
    if quality is not None:
        score("quality", quality, comment=reason)  # otel
        chooser.learn(task.type, agent, quality)
    if result.answer is None or (quality or 0) >= (result.quality or 0):
        result.answer, result.answered_by, result.quality = answer, agent, quality
    return None if quality is None or quality >= GOOD_ENOUGH else f"quality {quality:.2f}"


def _selected(task: Task, selection: Selection) -> dict[str, object]:
    return {
        "task_id": task.id,
        "selected_agent": selection.agent,
        "reason": selection.reason,
        "all_rewards": selection.rewards,
    }
