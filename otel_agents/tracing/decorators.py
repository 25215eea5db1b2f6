"""``agent``, ``workflow``, ``tool`` and ``retrieval``: decorators and context managers.

Each works bare (``@agent``), with arguments (``@agent("researcher", version="2")``), and around a block
(``with agent("researcher") as run:``, also ``async with``).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, TypeVar, cast, overload

from otel_agents import semconv, values
from otel_agents.tracing import spans
from otel_agents.tracing.contexts import MAX_NAME
from otel_agents.tracing.kinds import AGENT, RETRIEVAL, TOOL, WORKFLOW, Blueprint, Kind, plain_blueprint
from otel_agents.tracing.runs import Run
from otel_agents.tracing.wrapping import wrap
from otel_agents.values.objects import is_a

F = TypeVar("F", bound=Callable[..., Any])

_FIRST_PARAMETERS: Final = ("self", "cls")


class Operation:
    """What ``agent("name")`` and its kin give: decorates a function, or is entered around a block."""

    __slots__ = ("_arguments", "_attributes", "_blueprint", "_entered")

    def __init__(self, kind: Kind, name: str, attributes: Mapping[str, object], **arguments: Any) -> None:
        self._arguments = arguments
        self._attributes = attributes
        plain = not attributes and arguments.keys() <= {"tool_type"}
        self._blueprint = (
            plain_blueprint(kind, name, arguments.get("tool_type"))
            if plain
            else Blueprint(kind, name, attributes, **arguments)
        )
        self._entered: list[Run] = []

    def __call__(self, function: F) -> F:
        """Decorates ``function``; without a name of its own, the operation takes the function's."""
        blueprint = self._blueprint
        if not blueprint.name and blueprint.kind is not RETRIEVAL:
            name = function_name(function)
            blueprint = Blueprint(blueprint.kind, name, self._attributes, **self._arguments)
        # A tool's arguments are an object in the conventions, a task or a query is text.
        describe = _Arguments(function, unwrap_text=blueprint.kind is not TOOL)

        def open(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Run:
            return Run(blueprint, functools.partial(describe, args, kwargs))

        return wrap(function, open)

    def __enter__(self) -> Run:
        run = Run(self._blueprint)
        run.start()
        self._entered.append(run)
        return run

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        run = self._leave()
        if run is None:
            return
        if exc is None:
            run.end()
        else:
            run.fail(exc)

    async def __aenter__(self) -> Run:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(exc_type, exc, traceback)

    def _leave(self) -> Run | None:
        # One object may be entered by several tasks: each leaves the run that is current for it.
        entered = self._entered
        for index in range(len(entered) - 1, -1, -1):
            if entered[index].is_current():
                return entered.pop(index)
        return entered.pop() if entered else None


@overload
def agent(target: F, /) -> F: ...
@overload
def agent(
    target: str | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    version: str | None = None,
    id: str | None = None,
    attributes: Mapping[str, object] | None = None,
    capture_input: bool | None = None,
    capture_output: bool | None = None,
) -> Operation: ...
def agent(target: Any = None, /, **arguments: Any) -> Any:
    """A run of an agent: a span ``invoke_agent {name}`` around a function or a block.

    Model and tool calls inside are counted for the run; a generator's span lasts as long as its body.

    Args:
        target: the function (``@agent``) or the agent's name.
        name: the agent's name; by default the function's.
        description: what the agent is for.
        version: of the agent.
        id: a stable id of a hosted agent.
        attributes: further span attributes by their full names.
        capture_input: True exports the arguments (unless capture is ``none``), False never; by default
            they are exported when capture is ``all``.
        capture_output: likewise for the result, and for what a generator yields.
    """
    return _decorator(
        AGENT,
        target,
        arguments,
        description=semconv.AGENT_DESCRIPTION,
        version=semconv.AGENT_VERSION,
        id=semconv.AGENT_ID,
    )


@overload
def workflow(target: F, /) -> F: ...
@overload
def workflow(
    target: str | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    version: str | None = None,
    attributes: Mapping[str, object] | None = None,
    capture_input: bool | None = None,
    capture_output: bool | None = None,
) -> Operation: ...
def workflow(target: Any = None, /, **arguments: Any) -> Any:
    """A run whose steps the program decides, not a model: a span ``invoke_workflow {name}``.

    Takes what :func:`agent` takes, except ``id``.
    """
    return _decorator(
        WORKFLOW,
        target,
        arguments,
        description=semconv.AGENT_DESCRIPTION,
        version=semconv.AGENT_VERSION,
    )


@overload
def tool(target: F, /) -> F: ...
@overload
def tool(
    target: str | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    type: str = "function",
    call_id: str | None = None,
    attributes: Mapping[str, object] | None = None,
    capture_input: bool | None = None,
    capture_output: bool | None = None,
) -> Operation: ...
def tool(target: Any = None, /, **arguments: Any) -> Any:
    """A call of a tool: a span ``execute_tool {name}``, counted for the agent that runs around it.

    Takes what :func:`agent` takes, and

    Args:
        type: ``function``, ``extension`` or ``datastore``.
        call_id: the id that the model gave the call.
    """
    kind = _text(arguments.pop("type", None)) or "function"
    return _decorator(
        TOOL,
        target,
        {**arguments, "tool_type": kind},
        description=semconv.TOOL_DESCRIPTION,
        call_id=semconv.TOOL_CALL_ID,
    )


@overload
def retrieval(target: F, /) -> F: ...
@overload
def retrieval(
    target: str | None = None,
    /,
    *,
    name: str | None = None,
    top_k: int | None = None,
    provider: str | None = None,
    model: str | None = None,
    attributes: Mapping[str, object] | None = None,
    capture_input: bool | None = None,
    capture_output: bool | None = None,
) -> Operation: ...
def retrieval(target: Any = None, /, **arguments: Any) -> Any:
    """A search for documents: a span ``retrieval {data source}``.

    Takes what :func:`agent` takes, and

    Args:
        target, name: the id of the data source; without one the span is just ``retrieval``.
        top_k: how many documents are asked for.
        provider: of the data source.
        model: that made the embeddings.
    """
    return _decorator(
        RETRIEVAL,
        target,
        arguments,
        top_k=semconv.RETRIEVAL_TOP_K,
        provider=semconv.PROVIDER_NAME,
        model=semconv.REQUEST_MODEL,
    )


_SHARED: Final = ("capture_input", "capture_output", "tool_type")


def _decorator(kind: Kind, target: Any, given: dict[str, Any], **attribute_names: str) -> Any:
    unknown = given.keys() - {"name", "attributes", *_SHARED, *attribute_names}
    if unknown:
        raise TypeError(f"unexpected arguments: {', '.join(sorted(unknown))}")
    named = given.get("name")
    is_function = callable(target) or isinstance(target, (classmethod, staticmethod))
    if target is not None and not is_function and not named:
        named = target
    attributes = {attribute_names[key]: value for key, value in given.items() if key in attribute_names}
    further = given.get("attributes")
    if isinstance(further, Mapping):
        attributes.update(further)
    shared = {key: given[key] for key in _SHARED if key in given}
    operation = Operation(kind, _text(named), attributes, **shared)
    return operation(target) if is_function else operation


def _text(value: object) -> str:
    return values.to_text(value, MAX_NAME) if value is not None else ""


def function_name(function: Any) -> str:
    """A name for what a function does: its own, without its class; an object's is that of its class."""
    while isinstance(function, (classmethod, staticmethod, functools.partial)):
        function = function.func if isinstance(function, functools.partial) else function.__func__
    name = getattr(function, "__name__", None)
    return _text(name if isinstance(name, str) else type(function).__name__)


class _Arguments:
    """Describes one call's arguments by parameter name; a single text as it is, where that is wanted."""

    __slots__ = ("_function", "_signature", "_unwrap_text")

    def __init__(self, function: Any, unwrap_text: bool) -> None:
        self._function = function
        self._unwrap_text = unwrap_text
        self._signature: inspect.Signature | None = None

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        named = self._named(args, kwargs)
        if self._unwrap_text and len(named) == 1:
            (only,) = named.values()
            if is_a(only, str):
                return only
        return named

    def _named(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        try:
            if self._signature is None:
                function = getattr(self._function, "__func__", self._function)
                self._signature = inspect.signature(function)
            bound = self._signature.bind(*args, **kwargs)
        except (TypeError, ValueError):  # the call will fail by itself, or has no signature to read
            return {**({"args": args} if args else {}), **kwargs}
        except Exception:
            spans.note("read a signature")
            return {**({"args": args} if args else {}), **kwargs}
        named: dict[str, Any] = {}
        parameters = self._signature.parameters
        for index, (name, value) in enumerate(bound.arguments.items()):
            if index == 0 and name in _FIRST_PARAMETERS:
                continue
            if parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                named.update(cast("Mapping[str, Any]", value))
            else:
                named[name] = value
        return named
