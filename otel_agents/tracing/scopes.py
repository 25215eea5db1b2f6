"""What OpenTelemetry's context holds for us: attributes for every span, metric labels, the running agent."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry import context as otel_context

from otel_agents import semconv

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.util.types import AttributeValue

    from otel_agents.budgets.runs import Tally
    from otel_agents.tracing.runs import Run

_EMPTY: Final[Mapping[str, Any]] = {}


class AgentRun:
    """A running agent or workflow.

    Attributes:
        name: the agent's name.
        inference_calls: model calls made so far by the run itself, not by agents that it called.
        tool_calls: tool calls made so far by the run itself.
        parent: the run that this one is part of.
        counted: what its model calls came to so far, those of agents that it called included.
        prompt: name and version of the prompt template that it has taken up.
        tally: what it has spent of budgets for single runs; None when there are none.
        is_task: whether it is counted as a task: nothing is above it, here or in the process that asked
            for it, and nothing inside of it has been told as a task (see :meth:`holds_a_task`).
        owner: the operation that it is the account of, until that ends.
    """

    __slots__ = (
        "counted",
        "inference_calls",
        "is_task",
        "name",
        "owner",
        "parent",
        "prompt",
        "tally",
        "tool_calls",
    )

    def __init__(self, name: str, parent: AgentRun | None = None) -> None:
        self.name = name
        self.parent = parent
        self.inference_calls = 0
        self.tool_calls = 0
        self.counted = Counted()
        self.prompt: Prompt | None = None
        self.tally: Tally | None = None
        self.is_task = False
        self.owner: Run | None = None

    def holds_a_task(self) -> None:
        """Says that this run, or one inside of it, is counted as a task by whoever knows its id."""
        run: AgentRun | None = self
        while run is not None:
            run.is_task = False
            run = run.parent


class Counted:
    """What finished model calls came to.

    Attributes:
        used: calls that said what they used.
        tokens: input and output of those.
        priced: calls with a cost.
        cost: USD, of those.
        unpriced: calls that said what they used, and have no cost.
    """

    __slots__ = ("cost", "priced", "tokens", "unpriced", "used")

    def __init__(self) -> None:
        self.used = 0
        self.tokens = 0
        self.priced = 0
        self.cost = 0.0
        self.unpriced = 0


class Prompt(NamedTuple):
    """A prompt template that a run has taken up, and what it had from outside before."""

    name: str
    version: str
    before: tuple[object, object]


_counting = threading.Lock()


def count_call(run: AgentRun | None, tokens: int | None, cost: float | None) -> None:
    """Adds a finished model call to its run and to those around it."""
    with _counting:
        while run is not None:
            counted = run.counted
            if tokens is not None:
                counted.used += 1
                counted.tokens += tokens
            if cost is not None:
                counted.priced += 1
                counted.cost += cost
            elif tokens is not None:
                counted.unpriced += 1
            run = run.parent


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
    found: Scope = (otel_context.get_current() if ctx is None else ctx).get(SCOPE_KEY, NO_SCOPE)  # type: ignore[assignment]
    if found.run is not None and found.run.prompt is not None:
        return _with_prompt(found, found.run.prompt)
    return found


def _with_prompt(found: Scope, prompt: Prompt) -> Scope:
    """The scope with the prompt that its run has taken up, unless a block inside the run names another."""
    if prompt_of(found) != prompt.before:
        return found
    named = {semconv.PROMPT_NAME: prompt.name, semconv.PROMPT_VERSION: prompt.version}
    return Scope({**found.attributes, **named}, {**found.labels, "prompt_version": prompt.version}, found.run)


def prompt_of(found: Scope) -> tuple[object, object]:
    """Name and version of the prompt template that a scope names."""
    return found.attributes.get(semconv.PROMPT_NAME), found.attributes.get(semconv.PROMPT_VERSION)


def take_up_prompt(run: AgentRun, around: Scope, name: str, version: str) -> None:
    """Has the model calls that a run makes from now on carry a prompt's name and version.

    Args:
        around: the scope as it is where the run takes it up.
    """
    before = run.prompt.before if run.prompt is not None else prompt_of(around)
    run.prompt = Prompt(name, version, before)


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


def leave(entered: list[tuple[Context, object]]) -> None:
    """Ends the entering of a context that is the current one, else the last one, and forgets it.

    One object may be entered by several tasks and threads: each leaves what is current for it.

    Args:
        entered: contexts that were attached, with the tokens of that.
    """
    current = otel_context.get_current()
    for index in range(len(entered) - 1, -1, -1):
        if entered[index][0] is current:
            detach(entered.pop(index)[1])
            return
    if entered:
        detach(entered.pop()[1])


def detach(token: Any) -> None:
    """Goes back to the context before ``token``, where that is possible.

    OpenTelemetry's own ``detach`` logs an error when the token is of another context, which is the
    normal case for a ``with`` block that a generator's end or a cancelled task closes elsewhere: there
    is nothing to go back to then.
    """
    try:
        token.var.reset(token)
    except (ValueError, RuntimeError):
        pass
    except AttributeError:  # a context implementation that is not based on contextvars
        otel_context.detach(token)
