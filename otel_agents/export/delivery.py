"""Gets one batch delivered as far as it can be: in parts, without what is too large or poisonous."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from otel_agents.export.entries import Entry
from otel_agents.export.sender import Answer, Sender
from otel_agents.export.trim import trimmed

#: A single span that is still too large is trimmed to this share, again and again, down to the least.
_SHARE: Final = 0.5
_LEAST_BYTES: Final = 16_384
#: Single spans that may fail before it is the backend that fails, whatever it is sent.
_TRIES: Final = 2


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
        doubtful: the backend has failed at this again and again (status 500): one span may be the cause,
            so the others are tried without it.
    """
    report = Report()
    parts = [list(batch)]
    alone: list[Entry] = []
    endpoint_is_fine = False
    while parts:
        part = parts.pop(0)
        answer = sender.send(part, timeout)
        if answer.kind == "taken":
            endpoint_is_fine = True
            report.delivered += part
            report.rejected += answer.rejected
            report.message = report.message or answer.message
            continue
        failed = doubtful and answer.reason == "status_500"
        if len(part) > 1 and (failed or answer.kind in ("refused", "too_large")):
            middle = len(part) // 2
            parts[:0] = [part[:middle], part[middle:]]
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
        if failed and (endpoint_is_fine or len(alone) < _TRIES):
            alone += part
            report.problem = answer
            continue
        if answer.kind == "later":
            report.problem = answer
            report.left = [*alone, *part, *(entry for later in parts for entry in later)]
            return report
        report.refused.append((part[0], answer))
    report.left = alone
    return report
