"""What OpenTelemetry's context holds for us: attributes for every span, metric labels, the running agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry import context as otel_context

from otel_agents import semconv

if TYPE_CHECKING:
    import contextvars

    from opentelemetry.context import Context
    from opentelemetry.util.types import AttributeValue

_EMPTY: Final[Mapping[str, Any]] = {}


class AgentRun:
    """A running agent or workflow.

    Attributes:
        name: the agent's name.
        inference_calls: model calls made so far by the run itself, not by agents that it called.
        tool_calls: tool calls made so far by the run itself.
        parent: the run that this one is part of.
    """

    __slots__ = ("inference_calls", "name", "parent", "tool_calls")

    def __init__(self, name: str, parent: AgentRun | None = None) -> None:
        self.name = name
        self.parent = parent
        self.inference_calls = 0
        self.tool_calls = 0


class Scope:
    """What the OpenTelemetry context holds for us; never changed once it is there."""

    __slots__ = ("attributes", "labels", "run")

    def __init__(
        self, attributes: Mapping[str, AttributeValue], labels: Mapping[str, str], run: AgentRun | None
    ) -> None:
        self.attributes = attributes
        self.labels = labels
        self.run = run


SCOPE_KEY: Final = otel_context.create_key("otel-agents-scope")
NO_SCOPE: Final = Scope(_EMPTY, _EMPTY, None)


def scope(ctx: Context | None = None) -> Scope:
    """What is in force in ``ctx`` (None: the current context)."""
    return (otel_context.get_current() if ctx is None else ctx).get(SCOPE_KEY, NO_SCOPE)  # type: ignore[return-value]


def attributes(ctx: Context | None = None) -> Mapping[str, AttributeValue]:
    """Attributes for every span that starts in ``ctx``, the enclosing agent's name included."""
    return scope(ctx).attributes


def labels(ctx: Context | None = None) -> Mapping[str, str]:
    """Metric labels in ``ctx``: experiment, variant, task_type, prompt_version, those that are set."""
    return scope(ctx).labels


def agent_run(ctx: Context | None = None) -> AgentRun | None:
    """The innermost agent or workflow that runs in ``ctx``."""
    return scope(ctx).run


def inside_run(outer: Scope, run: AgentRun) -> Scope:
    """``outer`` with ``run`` as the agent that runs in it."""
    return Scope({**outer.attributes, semconv.AGENT_NAME: run.name}, outer.labels, run)


def detach(token: object) -> None:
    """Goes back to the context before ``token``, where that is possible.

    OpenTelemetry's own ``detach`` logs an error when the token is of another context, which is the
    normal case for a ``with`` block that a generator's end or a cancelled task closes elsewhere: there
    is nothing to go back to then.
    """
    try:
        cast("contextvars.Token[Any]", token).var.reset(cast("contextvars.Token[Any]", token))
    except (ValueError, RuntimeError):
        pass
    except AttributeError:  # a context implementation that is not based on contextvars
        otel_context.detach(token)  # type: ignore[arg-type]
