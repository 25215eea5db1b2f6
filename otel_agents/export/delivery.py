"""Gets one batch delivered as far as it can be: in parts, without what is too large or poisonous."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from otel_agents.export.entries import Entry
from otel_agents.export.sender import Answer, Sender
from otel_agents.export.trim import trimmed

#: A single span that is still too large is trimmed to this share, again and again, down to the least.
_SHARE: Final = 0.5
_LEAST_BYTES: Final = 16_384
#: What a backend, or a proxy in front of it, may answer for ever to a span that it fails at.
_FAILURES: Final = frozenset({"status_500", "status_502", "status_503", "status_504", "cut_off"})
#: Single spans that may fail before it is the backend that fails, whatever it is sent.
_TRIES: Final = 2
#: Requests that may fail in the search for one span; more of them, and it is the backend that is overloaded.
_SEARCH: Final = 12


@dataclass(slots=True)
class Report:
    """What became of a batch.

    Attributes:
        delivered: entries that were taken.
        rejected: how many of these the server says it threw away; it does not say which.
        refused: entries that will never be taken, and the answers.
        left: entries whose fate is open.
        problem: the answer that stopped it, when there are entries left.
        message: what the server said of those it threw away.
    """

    delivered: list[Entry] = field(default_factory=list)
    rejected: int = 0
    refused: list[tuple[Entry, Answer]] = field(default_factory=list)
    left: list[Entry] = field(default_factory=list)
    problem: Answer | None = None
    message: str = ""


def deliver(
    sender: Sender, batch: Sequence[Entry], timeout: float | None = None, doubtful: bool = False
) -> Report:
    """Sends ``batch``; in halves what is refused or too large, until the one span that causes it is alone.

    A refusal concerns the whole request (Langfuse and the Collector take nothing of it then), so its
    parts may be sent again under the same ids.

    Args:
        sender: where to.
        batch: what.
        timeout: seconds for each request.
        doubtful: the backend has failed again and again, and does not say for how long it will: one span
            may be the cause, or the size, so spans are tried by themselves, and the others without them.
    """
    report = Report()
    parts = [list(batch)]
    alone: list[Entry] = []
    endpoint_is_fine = False
    failures = 0
    while parts:
        part = parts.pop(0)
        answer = sender.send(part, timeout)
        if answer.kind == "taken":
            endpoint_is_fine = True
            report.delivered += part
            report.rejected += answer.rejected
            report.message = report.message or answer.message
            continue
        failed = doubtful and answer.reason in _FAILURES and answer.wait is None and failures < _SEARCH
        failures += failed
        if len(part) > 1 and (failed or answer.kind in ("refused", "too_large")):
            parts[:0] = _singles(part) if failed and not endpoint_is_fine else _halves(part)
            continue
        if answer.kind == "too_large" and len(part[0].body) > _LEAST_BYTES:
            part[0].body = trimmed(part[0].body, int(len(part[0].body) * _SHARE))
            parts.insert(0, part)
            continue
        if answer.kind == "refused" and not endpoint_is_fine:
            # Whoever refuses an empty request too has nothing against this span.
            empty = sender.send([], timeout)
            if empty.kind != "taken":
                answer = Answer("later", answer.reason, answer.message, empty.wait)
            endpoint_is_fine = empty.kind == "taken"
        if failed:
            alone += part
            report.problem = answer
            if not endpoint_is_fine and len(alone) >= _TRIES:
                break
            continue
        if answer.kind == "later":
            report.problem = answer
            alone += part
            break
        report.refused.append((part[0], answer))
    left = {id(entry) for entry in (*alone, *(entry for later in parts for entry in later))}
    report.left = [entry for entry in batch if id(entry) in left]  # in its order
    return report


def _halves(part: list[Entry]) -> list[list[Entry]]:
    middle = len(part) // 2
    return [part[:middle], part[middle:]]


def _singles(part: list[Entry]) -> list[list[Entry]]:
    """Some by themselves, other ones each time, as they may be what the backend fails at; then the rest."""
    chosen = random.sample(range(len(part)), min(_TRIES, len(part)))
    rest = [entry for index, entry in enumerate(part) if index not in chosen]
    return [*([part[index]] for index in chosen), *([rest] if rest else [])]
