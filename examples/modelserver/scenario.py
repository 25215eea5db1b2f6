"""What goes wrong, and when: scenarios by header, model suffix, script, or a fixed plan of faults."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from modelserver.answers import is_judgement, number
from modelserver.prompt import Prompt

#: Every scenario by name; a test compares this table with the README.
SCENARIOS: Final = {
    "bytes": "send the body in pieces of N bytes (default 1), wherever they end",
    "content_filter": "the answer stops because of a content filter",
    "crlf": "event stream with CRLF line ends and comments between the events",
    "cut": "the connection breaks in the middle of the body",
    "drop": "the connection closes without an answer",
    "empty": "an answer without text",
    "gzip": "the body is compressed with gzip",
    "hang": "nothing is sent for N seconds (default 30)",
    "html": "a web page with status 200, as from a captive gateway (N: another status)",
    "length": "the answer stops at the token limit",
    "malformed": "JSON that does not parse: the whole body, or one event of the stream",
    "no_usage": "the usage is left out",
    "prose": "text where JSON was asked for",
    "refusal": "the model refuses to answer",
    "slow": "N seconds (default 0.5) pass before the first byte, a tenth of it before each event",
    "stream_error": "an error event in the middle of the stream",
    "text": "answer with the rest of this scenario as the text",
    "thinking": "the model thinks, also when it was not asked to",
    "tool": "the first offered tool is called (or one named `lookup`)",
    "truncate": "the body ends early, without the connection breaking",
}
#: Statuses that can be asked for by number.
STATUSES: Final = (400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529)


class UnknownScenario(ValueError):
    """No scenario of that name."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens to one request.

    Attributes:
        status: error status to answer with, or None.
        flags: scenario name → its argument ("" when there is none).
        reply: scripted answer: any of ``text``, ``thinking``, ``tool_calls`` (list of
            ``{"name", "arguments"}``), ``finish`` and ``usage`` (fields of ``prices.Bill``).
    """

    status: int | None = None
    flags: Mapping[str, str] = field(default_factory=dict)
    reply: Mapping[str, Any] = field(default_factory=dict)

    def number(self, name: str, default: float) -> float:
        """The argument of flag ``name`` as a number."""
        return float(self.flags.get(name) or default)

    def __str__(self) -> str:
        names = [f"{name}:{value}" if value else name for name, value in self.flags.items()]
        return ",".join(([str(self.status)] if self.status else []) + names)


ORDINARY: Final = Scenario()


def parse(text: str, reply: Mapping[str, Any] | None = None) -> Scenario:
    """Reads ``"429"``, ``"slow:0.2,gzip"``, ``"text:any words, also commas"`` and the like.

    Raises:
        UnknownScenario: naming what was not understood.
    """
    status: int | None = None
    flags: dict[str, str] = {}
    rest = text.strip()
    while rest:
        if rest.startswith("text:"):
            part, rest = rest, ""
        else:
            part, _, rest = rest.partition(",")
        name, _, value = part.strip().partition(":")
        if name.isdigit() and int(name) in STATUSES:
            status = int(name)
        elif name in SCENARIOS:
            flags[name] = value
        elif name not in ("", "ok"):
            raise UnknownScenario(f"no scenario {name!r}; there are: {', '.join(sorted(SCENARIOS))}")
    return Scenario(status, flags, dict(reply or {}))


@dataclass(slots=True)
class _Step:
    scenario: Scenario
    path: str | None


class Script:
    """Scenarios that wait for their request, first come first served."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: deque[_Step] = deque()

    def add(self, *steps: str | Mapping[str, Any], path: str | None = None) -> None:
        """Queues one scenario for each of the next requests whose path contains ``path``."""
        parsed = []
        for step in steps:
            if isinstance(step, str):
                parsed.append(parse(step))
            else:
                reply = {key: value for key, value in step.items() if key != "scenario"}
                parsed.append(parse(str(step.get("scenario", "")), reply))
        with self._lock:
            self._steps.extend(_Step(scenario, path) for scenario in parsed)

    def next(self, path: str) -> Scenario | None:
        """Takes the first waiting scenario that is meant for ``path``."""
        with self._lock:
            for step in self._steps:
                if step.path is None or step.path in path:
                    self._steps.remove(step)
                    return step.scenario
        return None

    def clear(self) -> None:
        """Drops what still waits."""
        with self._lock:
            self._steps.clear()


def planned(prompt: Prompt, provider: str, retry_count: int) -> Scenario:
    """The demo's faults, chosen by the task's first line: the same in every run and any order.

    Some first attempts are rate limited or fail (the SDK's retry then passes), some tasks find
    Anthropic overloaded however often they try, and some judges answer with prose.
    """
    if is_judgement(prompt):
        return parse("prose") if number("judge", prompt.first_line) % 6 == 0 else ORDINARY
    if provider == "anthropic" and number("overload", prompt.first_line) % 5 == 0:
        return parse("529")
    if retry_count == 0 and not prompt.tool_results:
        draw = number("fault", provider, prompt.first_line) % 8
        if draw == 0:
            return parse("429")
        if draw == 1:
            return parse("500")
    return ORDINARY
