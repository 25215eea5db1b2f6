"""What one server remembers."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from modelserver.caching import PromptCache
from modelserver.delivery import Latency
from modelserver.ledger import Ledger
from modelserver.openai_responses import Stored
from modelserver.scenario import Script


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it arrived, whatever became of it; for tests that look at headers."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class State:
    """Everything that one server remembers."""

    latency: Latency = field(default_factory=Latency)
    faults: bool = False
    ledger: Ledger = field(default_factory=Ledger)
    cache: PromptCache = field(default_factory=PromptCache)
    script: Script = field(default_factory=Script)
    responses: dict[str, Stored] = field(default_factory=dict)
    requests: deque[Received] = field(default_factory=lambda: deque(maxlen=2000))

    def reset(self) -> None:
        """As if just started."""
        self.ledger.reset()
        self.cache.clear()
        self.script.clear()
        self.responses.clear()
        self.requests.clear()
