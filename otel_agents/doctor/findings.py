"""What an examination finds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

#: ``warn`` is worth a look and leaves the exit status 0; ``skip`` could not be looked at, and says why.
Status = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        check: its name, such as ``langfuse.keys``; stable, for scripts.
        status: how it is.
        text: one sentence about it, without secrets.
        fix: what to do, one line; of a warning or a failure.
        details: for programs.
    """

    check: str
    status: Status
    text: str
    fix: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hop:
    """One part of the probe's way.

    Attributes:
        name: such as ``Collector → Langfuse``.
        seconds: that it took; None when it did not get there.
    """

    name: str
    seconds: float | None


@dataclass(slots=True)
class Report:
    """Everything that was found, in the order of the checks."""

    findings: list[Finding] = field(default_factory=list)
    hops: list[Hop] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing failed."""
        return not any(one.status == "fail" for one in self.findings)

    def add(self, findings: Iterable[Finding]) -> None:
        """Appends findings."""
        self.findings.extend(findings)

    def status(self, check: str) -> Status | None:
        """How ``check`` came out; None when it was not made."""
        return next((one.status for one in self.findings if one.check == check), None)

    def as_json(self) -> dict[str, Any]:
        """The report with names that stay as they are; new ones may come."""
        return {
            "ok": self.ok,
            "findings": [
                {
                    "check": one.check,
                    "status": one.status,
                    "text": one.text,
                    "fix": one.fix,
                    "details": dict(one.details),
                }
                for one in self.findings
            ],
            "hops": [{"name": one.name, "seconds": one.seconds} for one in self.hops],
        }
