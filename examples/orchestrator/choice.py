"""Which agent gets a task: a small table of rewards, learned during the run, with some exploration."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, field

#: Expected quality by task type, less a little for the price. Where a run starts from.
_REWARDS = {
    "review": {"claude": 0.75, "gpt": 0.80, "mini": 0.60},
    "security": {"claude": 0.90, "gpt": 0.60, "mini": 0.40},
    "summarise": {"claude": 0.60, "gpt": 0.65, "mini": 0.80},
    "tests": {"claude": 0.80, "gpt": 0.75, "mini": 0.50},
}


@dataclass(frozen=True, slots=True)
class Selection:
    """An agent, why it was taken, and what was expected of each at that moment."""

    agent: str
    reason: str
    rewards: dict[str, float]


@dataclass(slots=True)
class Chooser:
    """Picks agents. ``explore`` is the share of tasks that go to an agent by chance."""

    seed: int = 0
    explore: float = 0.25
    rewards: dict[str, dict[str, float]] = field(
        default_factory=lambda: {kind: dict(row) for kind, row in _REWARDS.items()}
    )

    def select(self, task_id: str, task_type: str, without: Collection[str] = ()) -> Selection | None:
        """The agent for a task, leaving out those in ``without``; None when none is left."""
        row = {
            agent: round(reward, 3)
            for agent, reward in self.rewards[task_type].items()
            if agent not in without
        }
        if not row:
            return None
        # Seeded by task, so that tasks that run side by side do not disturb each other's luck.
        chance = random.Random(f"{self.seed}:{task_id}:{len(without)}")
        if not without and chance.random() < self.explore:
            return Selection(chance.choice(sorted(row)), "exploration", row)
        return Selection(max(row, key=row.__getitem__), f"best reward for {task_type}", row)

    def learn(self, task_type: str, agent: str, reward: float) -> None:
        """Moves the expectation a third of the way to what was seen."""
        row = self.rewards[task_type]
        row[agent] += (reward - row[agent]) / 3
