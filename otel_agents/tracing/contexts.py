"""What every span inside a block carries: session, user, tags, metadata, experiment.

It travels in OpenTelemetry's context, so it follows asyncio tasks, and threads once
``configure()`` or ``instrument()`` has run; nothing of it is put into baggage, which would send it
to every host that the app talks to. Spans of other libraries get it from our span processor.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from opentelemetry import context as otel_context

from otel_agents import runtime, semconv, values
from otel_agents.tracing.executors import bind, traced_executor
from otel_agents.tracing.scopes import (
    NO_SCOPE,
    SCOPE_KEY,
    AgentRun,
    Scope,
    agent_run,
    attributes,
    detach,
    inside_run,
    labels,
    leave,
    scope,
)
from otel_agents.values.attributes import attributes_of
from otel_agents.values.objects import is_a

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.util.types import AttributeValue

F = TypeVar("F", bound=Callable[..., Any])

__all__ = [
    "MAX_NAME",
    "NO_SCOPE",
    "SCOPE_KEY",
    "AgentRun",
    "Scope",
    "agent_run",
    "attributes",
    "bind",
    "context",
    "detach",
    "inside_run",
    "labels",
    "scope",
    "short_name",
    "traced_executor",
]

logger = logging.getLogger(__name__)

#: Longest session, user, tag or name: Langfuse's SDK drops longer ones.
MAX_NAME: Final = 200
_MAX_TAGS: Final = 100


class context:
    """Gives session, user, tags and so on to every span inside a ``with`` block or a decorated function.

    Blocks nest: tags are joined, metadata is merged, of everything else the innermost value counts.
    Values that do not fit are made to fit and never raise: anything becomes text, names longer than
    200 characters are shortened, empty ones are left out.

    Args:
        session: id of a conversation; groups traces.
        user: id of the user that the work is for.
        tags: one tag or several.
        metadata: scalars as they are, all else as JSON; one attribute a key.
        trace_name: shown for the trace instead of the name of its first span.
        environment: such as ``production``; stands over the service's own.
        experiment: a configured name; also a metric label.
        variant: of the experiment; also a metric label.
        task_type: a configured kind of task; also a metric label.
        prompt_name: of the prompt template that is in use.
        prompt_version: of that template; also a metric label.
        project: name of the Langfuse project that the spans are for, one of ``OTEL_AGENTS_PROJECTS``; an
            unknown one is the default project.
    """

    def __init__(
        self,
        *,
        session: object = None,
        user: object = None,
        tags: object = None,
        metadata: Mapping[str, object] | None = None,
        trace_name: object = None,
        environment: object = None,
        experiment: object = None,
        variant: object = None,
        task_type: object = None,
        prompt_name: object = None,
        prompt_version: object = None,
        project: object = None,
    ) -> None:
        self._arguments: dict[str, object] = {
            "session": session,
            "user": user,
            "tags": tags,
            "metadata": metadata,
            "trace_name": trace_name,
            "environment": environment,
            "experiment": experiment,
            "variant": variant,
            "task_type": task_type,
            "prompt_name": prompt_name,
            "prompt_version": prompt_version,
            "project": project,
        }
        self._made: _Made | None = None
        self._entered: list[tuple[Context, object]] = []

    def __enter__(self) -> context:
        try:
            inside = self.within(otel_context.get_current())
            self._entered.append((inside, otel_context.attach(inside)))
        except Exception:
            logger.debug("otel-agents: could not enter a context", exc_info=True)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        leave(self._entered)

    async def __aenter__(self) -> context:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.__exit__()

    def within(self, outer: Context) -> Context:
        """``outer`` with these values added."""
        if self._made is None:
            self._made = _make(self._arguments)
        made, around = self._made, scope(outer)
        merged = {**around.attributes, **made.attributes}
        if made.tags:
            before = cast("Iterable[str]", around.attributes.get(semconv.TAGS, ()))
            merged[semconv.TAGS] = list(dict.fromkeys((*before, *made.tags)))[:_MAX_TAGS]
        inside = Scope(merged, {**around.labels, **made.labels}, around.run)
        return otel_context.set_value(SCOPE_KEY, inside, outer)

    def __call__(self, function: F) -> F:
        """Decorates a function of any kind; each call is a block of its own."""
        from otel_agents.tracing import wrapping

        again = functools.partial(type(self), **self._arguments)  # type: ignore[arg-type]
        return wrapping.wrap(function, lambda arguments, keywords: wrapping.InContext(again()))


class _Made:
    __slots__ = ("attributes", "labels", "tags")

    def __init__(
        self, attributes: dict[str, AttributeValue], labels: dict[str, str], tags: tuple[str, ...]
    ) -> None:
        self.attributes = attributes
        self.labels = labels
        self.tags = tags


def _make(arguments: Mapping[str, Any]) -> _Made:
    """The arguments as attributes and labels, redacted."""
    current = runtime.current()
    names = {key: short_name(value) for key, value in arguments.items() if key not in ("tags", "metadata")}
    if names["project"]:
        from otel_agents import tenants  # which needs the SDK

        if not tenants.known(current.settings, names["project"]):
            names["project"] = ""
    made: dict[str, AttributeValue] = {}
    for key, attribute_names in _ATTRIBUTES.items():
        if name := names[key]:
            made.update(dict.fromkeys(attribute_names, name))
    limit = current.settings.max_value_chars
    for key, value in attributes_of(arguments["metadata"], limit).items():
        made[semconv.METADATA_PREFIX + key] = value
    redact = current.redactor.text
    labels = {key: redact(name) for key in _LABELS if (name := names[key])}
    tags = tuple(redact(tag) for tag in _tags(arguments["tags"]))
    return _Made(current.redactor.attributes(made), labels, tags)


_ATTRIBUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "session": (semconv.SESSION_ID, semconv.CONVERSATION_ID),
    "user": (semconv.USER_ID,),
    "trace_name": (semconv.TRACE_NAME,),
    "environment": (semconv.DEPLOYMENT_ENVIRONMENT,),
    "experiment": (semconv.EXPERIMENT,),
    "variant": (semconv.VARIANT,),
    "task_type": (semconv.METADATA_PREFIX + "task_type",),
    "prompt_name": (semconv.PROMPT_NAME,),
    "prompt_version": (semconv.PROMPT_VERSION,),
    "project": (semconv.PROJECT,),
}
_LABELS: Final = ("experiment", "variant", "task_type", "prompt_version")


def short_name(value: object) -> str:
    """``value`` as text of at most 200 characters; a longer one ends in a hash, so that it stays unique."""
    if value is None:
        return ""
    text = values.to_text(value, 10_000).strip()
    if len(text) <= MAX_NAME:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{text[: MAX_NAME - 17]}-{digest}"


def _tags(given: object) -> list[str]:
    if given is None:
        return []
    try:
        many = [given] if is_a(given, str, bytes, dict) else list(given)[:_MAX_TAGS]  # type: ignore[call-overload]
    except Exception:  # one thing that is no list
        many = [given]
    return [name for tag in many if (name := short_name(tag))]
