"""Where calls and runs come by. ``armed`` is all that they look at while there is no budget and no guard."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context

from otel_agents.budgets.errors import Refused

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from otel_agents.accounting import CallRecord
    from otel_agents.tracing.scopes import AgentRun

logger = logging.getLogger(__name__)

#: Whether there is a budget or a guard.
armed = False

#: In the context of a call that has come by already: its attempts on the wire are the same call.
ADMITTED: Final = otel_context.create_key("otel-agents-admitted")


def arm() -> None:
    """Has everything come by from here on."""
    global armed
    if armed:
        return
    armed = True
    from otel_agents.wire import sdk_gate

    sdk_gate.install()


def before_call(
    context: Context, body: bytes | Callable[[], bytes | None] | None = None, again: object = None
) -> None:
    """A model call is about to be sent.

    Args:
        body: of the request; what has the same is the same call made again.
        again: true for a further attempt at a call that has come by.

    Raises:
        BudgetExceeded: a budget that blocks is used up.
        LoopStopped: a guard stops the run.
    """
    if context.get(ADMITTED):
        return
    from otel_agents.budgets import ledger, loops

    try:
        loops.before_call(context, body, bool(again))
        ledger.before_call(context)
    except Refused:
        raise
    except Exception:
        logger.debug("otel-agents: a call could not be held against budgets", exc_info=True)


def before_run(name: str) -> None:
    """An agent or workflow is about to run. Raises what :func:`before_call` raises."""
    from otel_agents.budgets import ledger, loops

    context = otel_context.get_current()
    try:
        loops.before_run(context, name)
        ledger.before_run(context, name)
    except Refused:
        raise
    except Exception:
        logger.debug("otel-agents: a run could not be held against budgets", exc_info=True)


def before_tool(name: str, arguments: Callable[[], object] | None) -> None:
    """A tool is about to be called; ``arguments`` makes what it is called with, when that is known.

    Raises what :func:`before_call` raises.
    """
    from otel_agents.budgets import ledger, loops

    context = otel_context.get_current()
    try:
        loops.before_tool(context, name, arguments)
        ledger.before_tool(context)
    except Refused:
        raise
    except Exception:
        logger.debug("otel-agents: a tool could not be held against budgets", exc_info=True)


def guarded(context: Context, run: AgentRun) -> Context:
    """The context of a run that starts, with the settings' guard when it is the outermost."""
    from otel_agents.budgets import loops

    return loops.guarded(context, run)


def charge(record: CallRecord) -> None:
    """A model call is over. Never raises."""
    from otel_agents.budgets import ledger

    try:
        ledger.charge(record)
    except Exception:
        logger.debug("otel-agents: a call could not be charged to budgets", exc_info=True)


def apply(settings: Any) -> None:
    """Declares the budgets and the guard of the settings, and of no settings before.

    Raises:
        otel_agents.ConfigError: one of them makes no sense.
    """
    if not settings.enabled or not (armed or settings.budget or settings.guard):
        return
    from otel_agents.budgets import ledger, loops

    ledger.declare(settings)
    loops.declare(settings.guard)
