"""One check: read Langfuse, hold it against the thresholds, tell what was not told yet."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otel_agents.alerts.channels import Channel, NotDelivered, channels
from otel_agents.alerts.conditions import Reading, Thresholds, Window, readings
from otel_agents.alerts.told import remembered

if TYPE_CHECKING:
    from otel_agents.config import Settings
    from otel_agents.langfuse.reading import LangfuseReader


@dataclass(slots=True)
class Outcome:
    """What a check found and did.

    Attributes:
        readings: every figure that has a threshold.
        told: names of channels that were told now.
        earlier: names of channels that had been told everything before.
        problems: why a channel could not be told; one line each.
    """

    readings: list[Reading]
    told: list[str] = field(default_factory=list)
    earlier: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def passed(self) -> list[Reading]:
        """The figures on the wrong side of their thresholds."""
        return [one for one in self.readings if one.passed]


def check(
    settings: Settings,
    reader: LangfuseReader,
    thresholds: Thresholds,
    window: Window,
    dry_run: bool = False,
) -> Outcome:
    """Reads the window and tells every channel of the settings what is over, once in a window.

    Args:
        settings: the channels, and the home folder where it is noted what was told.
        reader: of the Langfuse to look at.
        dry_run: only looks; tells nobody and notes nothing.

    Raises:
        otel_agents.langfuse.unavailable.LangfuseUnavailable: it cannot be read.
        otel_agents.alerts.told.CannotRemember: the home folder cannot be written.
        otel_agents.ConfigError: a channel lacks a setting.
    """
    to_tell = channels(settings)
    found = reader.roll_up(since=window.since, until=window.until)
    outcome = Outcome(readings(found, thresholds, window))
    if dry_run or not outcome.passed or not to_tell:
        return outcome
    project = _project(settings, reader)
    with remembered(settings.home, window.until) as told:
        for channel in to_tell:
            keys = {_key(project, channel, one): one for one in outcome.passed}
            new = {key: one for key, one in keys.items() if not told.since(key, window.since)}
            if not new:
                outcome.earlier.append(channel.name)
            elif _tell(channel, list(new.values()), window, outcome):
                for key in new:
                    told.note(key, window.until)
    return outcome


def _tell(channel: Channel, passed: Sequence[Reading], window: Window, outcome: Outcome) -> bool:
    try:
        channel.send(passed, window)
    except NotDelivered as error:
        outcome.problems.append(str(error))
        return False
    outcome.told.append(channel.name)
    return True


def _project(settings: Settings, reader: LangfuseReader) -> str:
    """Names the project that is looked at, by address and public key."""
    named = f"{reader.base_url} {settings.langfuse_public_key or ''}"
    return hashlib.sha256(named.encode()).hexdigest()[:12]


def _key(project: str, channel: Channel, reading: Reading) -> str:
    # With the threshold: who raises it wants to hear when that is passed as well.
    return f"{project} {reading.name} {reading.threshold:g} {channel.name}"
