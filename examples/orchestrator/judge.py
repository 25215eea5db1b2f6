"""A second opinion: another model reads the answer and gives it a score."""

from __future__ import annotations

import json
import os

from agents import anthropic
from tasks import Task

JUDGE_MODEL = os.environ.get("ORCHESTRATOR_JUDGE_MODEL", "claude-haiku-4-5")

_RUBRIC = """You judge answers of other models about source code. Good answers are specific: numbered
points, each with the line it is about and with what to do. Reply with nothing but a JSON object:
{"score": <0.0 to 1.0>, "reason": "<one sentence>"}"""


async def judge(task: Task, agent: str, answer: str) -> tuple[float | None, str]:
    """Score from 0 to 1 and the reason for it; the score is None when the judge gave no usable one."""
    message = await anthropic().messages.create(
        model=JUDGE_MODEL,
        max_tokens=300,
        system=_RUBRIC,
        messages=[{"role": "user", "content": f"{task.id} by {agent}\n\n{answer}"}],
    )
    said = "".join(block.text for block in message.content if block.type == "text")
    try:
        verdict = json.loads(said[said.index("{") : said.rindex("}") + 1])
        score = float(verdict["score"])
    except (KeyError, TypeError, ValueError):
        return None, f"the judge said no score: {said[:80]!r}"
    return (
        (score, str(verdict.get("reason", ""))) if 0 <= score <= 1 else (None, f"score out of range: {score}")
    )
