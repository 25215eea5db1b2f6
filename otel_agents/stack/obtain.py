"""The Collector for the local stack: found, run by Docker, built, or done without."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from otel_agents.config import Settings
from otel_agents.stack import collector
from otel_agents.stack.collector import BuildError, Launch


@dataclass(frozen=True, slots=True)
class Obtained:
    """Where the Collector comes from.

    ``binary`` is None with Docker's image, and when there is no Collector at all.
    """

    binary: Path | None
    docker: bool
    where: str
    """For people: a path, an image, or why there is none."""

    @property
    def found(self) -> bool:
        return self.docker or self.binary is not None

    def launch(self, environment: Mapping[str, str]) -> Launch:
        """How it is started with this environment."""
        if self.binary is None:
            return collector.docker_command(environment)
        return collector.collector_command(self.binary, environment)


def obtain(settings: Settings, build: bool, say: Callable[[str], None]) -> Obtained:
    """``$OTELCOL_BIN``, PATH or the cache; else a working Docker; else a build; else none.

    Args:
        build: whether a build may be tried; it takes minutes, and ``say`` hears how it goes.

    Raises:
        CollectorNotFound: ``OTELCOL_BIN`` names something that cannot be run.
    """
    if (binary := collector.find_collector(settings)) is not None:
        return Obtained(binary, False, str(binary))
    if collector.docker_works():
        return Obtained(None, True, collector.CONTRIB_IMAGE)
    if not build:
        say("no Collector on this machine, apps send to the backend directly: --build makes one")
        return none("no Collector on this machine, and none is built")
    try:
        built = collector.build_collector(say, settings)
    except BuildError as error:
        say(f"no Collector, apps send to the backend directly: {error}")
        return none(str(error))
    return Obtained(built, False, str(built))


def none(why: str) -> Obtained:
    """No Collector: apps send to the backend directly."""
    return Obtained(None, False, why)
