"""What an execution is given: metadata in any form, what of it goes where, and errors as metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from otel_agents import runtime, semconv, values
from otel_agents.observer.complaints import complain
from otel_agents.tracing import contexts, spans
from otel_agents.values.attributes import attributes_of
from otel_agents.values.objects import is_a

#: Metadata that every span of the task carries, so that whatever it did can be found and grouped by it.
_EVERYWHERE: Final = ("task_id", "task_type", "project_id")
#: Metadata that is a thing of its own: the argument of :class:`otel_agents.context` that it becomes.
_THINGS: Final = {
    "task_type": "task_type",
    "experiment": "experiment",
    "variant": "variant",
    "session_id": "session",
    "user_id": "user",
}
#: Shown by what they become.
_SHOWN_OTHERWISE: Final = ("experiment", "variant")
_MAX_STACK: Final = 8_000


class About(NamedTuple):
    """Whom and what an execution is for, said by arguments."""

    session: object = None
    user: object = None
    tags: object = None
    experiment: object = None
    variant: object = None


def merged(*given: object) -> dict[str, Any]:
    """Mappings as one, with text for keys; what is no mapping is complained of."""
    found: dict[str, Any] = {}
    for one in given:
        if one is None:
            continue
        if not is_a(one, dict) and not issubclass(type(one), Mapping):
            complain("metadata= is no mapping")
            continue
        try:
            found.update({values.to_text(key, values.MAX_KEY): value for key, value in one.items()})  # type: ignore[attr-defined]
        except Exception:
            spans.note("read metadata")
    return found


def context_of(task_id: str | None, metadata: Mapping[str, Any], about: About) -> contexts.context:
    """What every span inside the execution carries."""
    given = about._asdict()
    tags = given.pop("tags")
    for key, thing in _THINGS.items():
        if given.get(thing) is None:
            given[thing] = metadata.get(key)
    everywhere = {key: metadata.get(key) for key in _EVERYWHERE}
    everywhere["task_id"] = task_id or everywhere["task_id"]
    return contexts.context(tags=tags, metadata=everywhere, **given)


def first_attributes(task_id: str | None, metadata: Mapping[str, Any]) -> dict[str, object]:
    """The metadata of the execution's own span, as attributes."""
    shown = {key: value for key, value in metadata.items() if key not in _SHOWN_OTHERWISE}
    if task_id:
        shown["task_id"] = task_id
    limit = runtime.current().settings.max_value_chars
    return {semconv.METADATA_PREFIX + key: value for key, value in attributes_of(shown, limit).items()}


def described(error: BaseException | str) -> dict[str, object]:
    """An error as metadata: Langfuse drops the event that holds the stack trace."""
    if not isinstance(error, BaseException):
        return {"error_message": error}
    message, stack = spans.told_of(error)
    if len(stack) > _MAX_STACK:  # its end says where it happened
        stack = f"{stack[: _MAX_STACK // 4]}\n...\n{stack[-_MAX_STACK * 3 // 4 :]}"
    return {"error_type": spans.error_type(error), "error_message": message, "stack_trace": stack}
