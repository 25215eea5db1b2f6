"""What Langfuse needs beyond the GenAI conventions, added to a span just before it leaves.

This is ``otel-collector.yaml`` (``transform/langfuse``) in Python, for direct mode. Both are held to one
table of cases, tests/mapping/cases.yaml; a change here is a change there. Facts about Langfuse were read
from and tried on its server 4.16: what it does with a span that says nothing of this is the reason for
nearly every rule.

Nothing here looks at the clock, the environment or any other span.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from otel_agents import semconv as sc
from otel_agents.langfuse import content
from otel_agents.normalize.older import RENAMED
from otel_agents.normalize.record import Record

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

TYPE: Final = "langfuse.observation.type"
USAGE: Final = "langfuse.observation.usage_details"
COST: Final = "langfuse.observation.cost_details"
FIRST_TOKEN: Final = "langfuse.observation.completion_start_time"
LEVEL: Final = "langfuse.observation.level"
STATUS_MESSAGE: Final = "langfuse.observation.status_message"
ERROR_TYPE: Final = "langfuse.observation.metadata.error_type"
PROMPT_NAME: Final = "langfuse.observation.prompt.name"
PROMPT_VERSION: Final = "langfuse.observation.prompt.version"
TRACE_NAME: Final = "langfuse.trace.name"
TRACE_TAGS: Final = "langfuse.trace.tags"
TRACE_METADATA: Final = "langfuse.trace.metadata."
ENVIRONMENT: Final = "langfuse.environment"
RELEASE: Final = "langfuse.release"
VERSION: Final = "langfuse.version"
APP_ROOT: Final = "langfuse.internal.is_app_root"

#: Observation type by operation. Langfuse itself knows neither retrieval nor workflow, and takes any
#: span that names a model for a generation, so the type is always said.
TYPES: Final[Mapping[object, str]] = {
    "chat": "generation",
    "text_completion": "generation",
    "generate_content": "generation",
    "completion": "generation",
    "generate": "generation",
    "embeddings": "embedding",
    "invoke_agent": "agent",
    "create_agent": "agent",
    "execute_tool": "tool",
    "retrieval": "retriever",
    "invoke_workflow": "chain",
}

#: Attributes that may leave as lists. Every other list or map leaves as JSON text, because Langfuse
#: stores a structured value as the raw protobuf, ``{"kvlistValue":...}``.
_LISTS: Final = frozenset({"gen_ai.response.finish_reasons", sc.TAGS, TRACE_TAGS})

#: Ours that have done their work once the Langfuse attribute is there.
_SPENT: Final = frozenset(
    {sc.PARENT_HINT, sc.APP_ROOT, sc.TAGS, sc.TRACE_NAME, sc.RELEASE, sc.EXPERIMENT, sc.VARIANT}
)

_SPAN_ID: Final = re.compile(r"[0-9a-fA-F]{16}\Z")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+\Z")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
_NOT_ENVIRONMENT: Final = re.compile(r"[^a-z0-9_-]")
_RESERVED_ENVIRONMENT: Final = re.compile(r"\A(?:langfuse[-_]?)+")
_ENVIRONMENT_LENGTH: Final = 40


@dataclass(frozen=True, slots=True)
class Mapped:
    """A span as Langfuse gets it."""

    attributes: dict[str, AttributeValue]
    parent_span_id: str | None
    """The parent to export instead of the real one, 16 hexadecimal digits; None keeps that."""


def map_span(
    attributes: Mapping[str, AttributeValue],
    *,
    resource: Mapping[str, AttributeValue],
    start_time_unix_nano: int,
    status_error: bool,
    status_description: str | None,
) -> Mapped | None:
    """The span's attributes for Langfuse, or None when the span does not belong there.

    A ``langfuse.*`` attribute that is already there wins over the one that would be made.

    Args:
        attributes: the span's own, redacted already; not changed.
        resource: the resource's, for release, version and environment.
        start_time_unix_nano: when the span started.
        status_error: whether the status is an error.
        status_description: the status' text.
    """
    operation = attributes.get(sc.OPERATION_NAME)
    event = attributes.get(sc.EVENT_NAME)
    if operation is None and event is None:
        return None
    if not isinstance(operation, str):
        operation = None if operation is None else ""
    out = _plain(attributes)
    older = Record(scope="", name="", attributes=out)
    for rule in RENAMED:
        rule.apply(older)
    fallback = "span" if event is None else "event"
    out.setdefault(TYPE, TYPES.get(operation, fallback))
    if operation in sc.INFERENCE_OPERATIONS:
        _accounts(out)
        _prompt_link(out)
    _first_token(out, start_time_unix_nano)
    content.add(out, operation, event)
    _trace(out, resource)
    if status_error:
        out.setdefault(LEVEL, "ERROR")
        if status_description:
            out.setdefault(STATUS_MESSAGE, status_description)
    elif out.get(sc.ERROR_TYPE) is not None:  # Claude Code, for one, sets no status
        out.setdefault(LEVEL, "ERROR")
    _copy(out, sc.ERROR_TYPE, ERROR_TYPE)
    if out.get(sc.APP_ROOT) is True:
        out.setdefault(APP_ROOT, True)
    parent = out.get(sc.PARENT_HINT)
    for spent in _SPENT:
        out.pop(spent, None)
    return Mapped(out, _span_id(parent))


def _plain(attributes: Mapping[str, AttributeValue]) -> dict[str, Any]:
    """A copy in which no value is structured and no list that Langfuse reads is empty."""
    out: dict[str, Any] = {}
    for key, value in attributes.items():
        if isinstance(value, (str, bool, int, float, bytes)):
            out[key] = value
        elif value is None or (key in _LISTS and not value):
            continue  # Langfuse 4.16 makes the tag '{"arrayValue":{}}' of an empty list
        elif key in _LISTS and isinstance(value, (list, tuple)):
            out[key] = value
        else:
            out[key] = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_jsonable)
    return out


def _jsonable(value: object) -> object:
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


def _accounts(out: MutableMapping[str, Any]) -> None:
    """Usage in buckets that do not overlap, and cost; both with a total.

    The conventions' counts overlap (input holds cache reads), Langfuse adds its buckets up. It reads a
    given cost as 0 unless there is a ``total``, and drops fractions and negative counts silently.
    """
    given, produced = _count(out.get(sc.USAGE_INPUT_TOKENS)), _count(out.get(sc.USAGE_OUTPUT_TOKENS))
    unsplit = _count(out.get(sc.USAGE_TOTAL_TOKENS))
    if USAGE not in out and given is None and produced is None and unsplit is not None and unsplit >= 0:
        out[USAGE] = f'{{"total":{unsplit}}}'
    if USAGE not in out and (given is not None or produced is not None):
        given, produced = max(given or 0, 0), max(produced or 0, 0)
        cache_read = max(_count(out.get(sc.USAGE_CACHE_READ)) or 0, 0)
        cache_write = max(_count(out.get(sc.USAGE_CACHE_WRITE)) or 0, 0)
        reasoning = max(_count(out.get(sc.USAGE_REASONING)) or 0, 0)
        buckets = {"input": max(given - cache_read - cache_write, 0)}
        if cache_read:
            buckets["input_cached_tokens"] = cache_read
        if cache_write:
            buckets["input_cache_creation"] = cache_write
        buckets["output"] = max(produced - reasoning, 0)
        if reasoning:
            buckets["output_reasoning_tokens"] = reasoning
        buckets["total"] = given + produced
        out[USAGE] = json.dumps(buckets, separators=(",", ":"))
    cost = _number(out.get(sc.USAGE_COST))
    if COST not in out and cost is not None and 0 <= cost < 1e9:  # neither NaN nor infinite
        out[COST] = f'{{"total":{cost!r}}}'
    elif cost is not None and not 0 <= cost < 1e9:
        del out[sc.USAGE_COST]  # Langfuse reads it by itself, too, and would take it off what others cost


def _prompt_link(out: MutableMapping[str, Any]) -> None:
    """The prompt that a generation used. Langfuse needs both parts, and the version as a number."""
    version = _count(out.get(sc.PROMPT_VERSION))
    if sc.PROMPT_NAME in out and version is not None:
        out.setdefault(PROMPT_NAME, out[sc.PROMPT_NAME])
        out.setdefault(PROMPT_VERSION, version)


def _first_token(out: MutableMapping[str, Any], start: int) -> None:
    """When the first chunk came. Langfuse has a field for it but does not read the conventions' one."""
    seconds = _number(out.get(sc.RESPONSE_TIME_TO_FIRST_CHUNK))
    if FIRST_TOKEN in out or seconds is None or not 0 <= seconds < 1e9:
        return
    milliseconds = (start + int(f"{seconds:.9f}".replace(".", ""))) // 1_000_000
    out[FIRST_TOKEN] = _iso(milliseconds)


def _iso(milliseconds: int) -> str:
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


def _trace(out: MutableMapping[str, Any], resource: Mapping[str, AttributeValue]) -> None:
    """What Langfuse knows about a trace; it reads that from every span, not from the first one."""
    _copy(out, sc.TRACE_NAME, TRACE_NAME)
    _copy(out, sc.TAGS, TRACE_TAGS)
    for key in [key for key in out if key.startswith(sc.METADATA_PREFIX)]:
        name, value = key.removeprefix(sc.METADATA_PREFIX), out[key]
        if name:
            del out[key]
            out.setdefault(TRACE_METADATA + name, value)
    _copy(out, sc.AGENT_NAME, TRACE_METADATA + "agent")
    _copy(out, sc.EXPERIMENT, TRACE_METADATA + "experiment")
    _copy(out, sc.VARIANT, TRACE_METADATA + "variant")
    version = resource.get("service.version")
    if version is not None:
        out.setdefault(VERSION, version)
    release = out.get(sc.RELEASE, version)
    if release is not None and RELEASE not in resource:
        out.setdefault(RELEASE, release)
    if ENVIRONMENT not in out and ENVIRONMENT not in resource:
        for source in (out, resource):
            named: object = source.get(sc.DEPLOYMENT_ENVIRONMENT) or source.get("deployment.environment")
            if named and isinstance(named, str):
                out[ENVIRONMENT] = environment(named)
                break


def environment(name: str) -> str:
    """An environment name that Langfuse accepts; it turns every other one into ``default`` silently."""
    name = _NOT_ENVIRONMENT.sub("-", name.lower())
    return _RESERVED_ENVIRONMENT.sub("", name)[:_ENVIRONMENT_LENGTH] or "default"


def _copy(out: MutableMapping[str, Any], source: str, target: str) -> None:
    if source in out:
        out.setdefault(target, out[source])


def _count(value: object) -> int | None:
    """A token count as Go's OTTL reads it: fractions cut, digits in text accepted, else None."""
    if isinstance(value, float):
        return int(value) if abs(value) < 2**63 else None
    if isinstance(value, str):
        return int(value) if _INTEGER.match(value) else None
    return int(value) if isinstance(value, int) else None


def _number(value: object) -> float | None:
    if isinstance(value, str):
        return float(value) if _NUMBER.match(value) else None
    return float(value) if isinstance(value, (int, float)) else None


def _span_id(value: object) -> str | None:
    """The id in a parent hint; anything but 16 hexadecimal digits that are not all zero is no hint."""
    if isinstance(value, str) and _SPAN_ID.match(value) and value != "0" * 16:
        return value.lower()
    return None
