"""The work on one task: choose an agent, let it answer, judge the answer, switch agents if need be."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from agents import AGENTS
from choice import Chooser
from judge import judge
from tasks import Task

from otel_agents import agent, context, get_langfuse_observer, score, workflow  # otel

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


async def run_task(task: Task, chooser: Chooser) -> Result:
    """Tries agents until an answer is good enough or none is left; keeps the best answer."""
    with workflow("task") as run:  # otel
        result = await _try_agents(task, chooser)
        run.update(input=task.title, output=result.answer, metadata=_outcome(result))  # otel
        if result.answer is None:
            run.set_error("no agent could answer")  # otel
    return result


async def _try_agents(task: Task, chooser: Chooser) -> Result:
    observer = get_langfuse_observer()  # otel
    result = Result(task)
    selection = chooser.select(task.id, task.type)
    while selection is not None:
        iteration = len(result.agents) + 1
        result.agents.append(selection.agent)
        observer.track_agent_selection(task.id, selection.agent, selection.reason, selection.rewards)  # otel
        with context(metadata={"iteration": iteration, "agent_switched": iteration > 1}):  # otel
            problem = await _attempt(task, selection.agent, result, chooser)
        if problem is None:
            break
        following = chooser.select(task.id, task.type, without=set(result.agents))
        if following is None:
            break
        result.switches.append(f"{selection.agent}: {problem}")
        observer.track_agent_switch(task.id, selection.agent, following.agent, problem)  # otel
        selection = following
    return result


async def _attempt(task: Task, name: str, result: Result, chooser: Chooser) -> str | None:
    """One agent's try; answers with the reason to try another one, or None."""
    prompt = task.prompt()
    try:
        with agent(name) as run:  # otel
            answer = await AGENTS[name](task, prompt)
            run.update(input=prompt, output=answer)  # otel
    except Exception as error:  # whatever the reason, another agent may do better
        logger.info("%s: %s failed: %r", task.id, name, error)
        chooser.learn(task.type, name, 0.0)
        return f"failed with {type(error).__name__}"
    quality, reason = await _judged(task, name, answer)
    if quality is not None:
        score("quality", quality, comment=reason, agent=name)  # otel
        chooser.learn(task.type, name, quality)
    if result.answer is None or (quality or 0) >= (result.quality or 0):
        result.answer, result.answered_by, result.quality = answer, name, quality
    return None if quality is None or quality >= GOOD_ENOUGH else f"quality {quality:.2f}"


async def _judged(task: Task, name: str, answer: str) -> tuple[float | None, str]:
    """The judge's score; an answer without one is better than no answer."""
    try:
        with agent("judge"):  # otel
            return await judge(task, name, answer)
    except Exception as error:
        logger.info("%s: no judgement: %r", task.id, error)
        return None, f"the judge failed with {type(error).__name__}"


def _outcome(result: Result) -> dict[str, object]:
    return {
        "agent": result.answered_by,
        "agent_switched": len(result.agents) > 1,
        "quality_score": result.quality,
    }
