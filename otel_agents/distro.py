"""Entry points by which ``opentelemetry-instrument`` and the operator's injected image start us.

The loader looks for a distro, then for a configurator, then for instrumentors. Of distros and
configurators it takes the first that it finds, in an order that depends on the file system, unless
``OTEL_PYTHON_DISTRO`` and ``OTEL_PYTHON_CONFIGURATOR`` name one; where ``opentelemetry-distro`` is
installed too, set ``OTEL_PYTHON_DISTRO=otel_agents``. With another one named we configure and export
nothing; model calls are still seen and go to its providers, unless
``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`` lists ``otel_agents``.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Collection
from typing import Any, Final

from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

logger = logging.getLogger(__name__)

#: Our name in every entry point group, and in the variables that choose or disable by name.
NAME: Final = "otel_agents"

_DISTRO: Final = "OTEL_PYTHON_DISTRO"
_CONFIGURATOR: Final = "OTEL_PYTHON_CONFIGURATOR"
_GROUP: Final = "opentelemetry_configurator"

#: Settings that cannot be used were told once; the app then runs as if we were not there.
_refused = False


class Distro(BaseDistro):  # type: ignore[misc]
    """Has our configurator chosen, and the instrumentors enabled that do not repeat what the wire shows."""

    def _configure(self, **kwargs: Any) -> None:
        os.environ.setdefault(_CONFIGURATOR, NAME)

    def load_instrumentor(self, entry_point: Any, **kwargs: Any) -> None:
        """Enables one instrumentor; one that fails is a log line and does not keep the others out."""
        from otel_agents import frameworks

        if not _refused:
            frameworks.enable_for_loader(entry_point, **kwargs)


class Configurator:
    """Calls ``otel_agents.configure()`` in place of the SDK's own set-up.

    The SDK's configurators share a singleton base; the loader needs this one method.
    """

    def configure(self, **kwargs: Any) -> None:
        """Configures from the environment, or leaves it to the distro that was chosen. Never raises."""
        if _another_is_chosen():
            # The loader runs one configurator only, and this is us: the chosen distro's must not be lost.
            _hand_over(kwargs)
        else:
            start()


class Instrumentor(BaseInstrumentor):  # type: ignore[misc]
    """``otel_agents.instrument()``, for whoever enables instrumentation through entry points."""

    def instrumentation_dependencies(self) -> Collection[str]:
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        if _refused:
            return
        from otel_agents import setup

        if not setup.configured() and os.environ.get(_DISTRO) in (None, "", NAME) and _loaded_by_agent():
            logger.warning(
                "otel-agents: another distro was found first and sends the telemetry; "
                "set OTEL_PYTHON_DISTRO=otel_agents to have otel-agents configured"
            )
        setup.instrument()

    def _uninstrument(self, **kwargs: Any) -> None:
        from otel_agents import setup

        setup.uninstrument()


def start() -> None:
    """``configure()`` for an app that did not ask for it: settings that cannot be used are one log line."""
    global _refused
    from otel_agents import config, setup

    try:
        # Libraries are left to the instrumentors' entry points, where each can be disabled by its name.
        setup.configure(instrument_libraries=False)
    except config.ConfigError as error:
        _refused = True
        logger.error("otel-agents: %s; the app runs without telemetry", error)
    except Exception:
        _refused = True
        logger.exception("otel-agents: could not be configured; the app runs without telemetry")


def _another_is_chosen() -> bool:
    chosen = os.environ.get(_DISTRO)
    return bool(chosen) and chosen != NAME and os.environ.get(_CONFIGURATOR) != NAME


def _hand_over(arguments: dict[str, Any]) -> None:
    """Runs the first configurator that is not ours, as the loader would have."""
    from importlib.metadata import entry_points

    for entry_point in entry_points(group=_GROUP):
        if entry_point.name != NAME:
            entry_point.load()().configure(**arguments)
            return


def _loaded_by_agent() -> bool:
    """Whether the process was started by ``opentelemetry-instrument`` or the operator."""
    return "opentelemetry.instrumentation.auto_instrumentation" in sys.modules
