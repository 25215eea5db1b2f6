"""Makes a span that is too large smaller: content first, the longest first, with a marker of what is gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from otel_agents import semconv
from otel_agents.values import cut

#: On a span that was trimmed: bytes that it had before.
TRIMMED: Final = "otel_agents.trimmed_from_bytes"

_CONTENT: Final = frozenset(
    {
        semconv.INPUT_MESSAGES,
        semconv.OUTPUT_MESSAGES,
        semconv.SYSTEM_INSTRUCTIONS,
        semconv.TOOL_DEFINITIONS,
        semconv.TOOL_CALL_ARGUMENTS,
        semconv.TOOL_CALL_RESULT,
        semconv.RETRIEVAL_DOCUMENTS,
        semconv.EVENT_BODY,
        "langfuse.observation.input",
        "langfuse.observation.output",
        "langfuse.trace.input",
        "langfuse.trace.output",
        "input.value",
        "output.value",
    }
)
#: Texts shorter than this are left alone: names and ids.
_SHORT: Final = 256
#: Room for the markers and the note.
_ROOM: Final = 512


def trimmed(body: bytes, limit: int) -> bytes:
    """The span ``body`` (OTLP protobuf) in at most ``limit`` bytes, as far as its texts allow.

    Ids, names, times, usage and cost stay. A text of content that was cut is no JSON any more; Langfuse
    shows it as text.
    """
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    if len(body) <= limit:
        return body
    span = Span.FromString(body)
    for texts in (_texts(span.attributes, content=True), _texts(span.attributes, content=False)):
        _shorten(span, list(texts), limit)
    for kept in (span.events, span.links):
        if span.ByteSize() > limit:
            for one in kept:
                _shorten(span, list(_texts(one.attributes, content=None)), limit)
        if span.ByteSize() > limit:
            del kept[:]
    _note(span, len(body))
    return bytes(span.SerializeToString())


def _shorten(span: Any, values: list[Any], limit: int) -> None:
    """Cuts the longest of ``values`` to the length of the next one, until the span fits."""
    values = [one for one in values if len(_bytes(one)) > _SHORT]
    for _ in range(4 * len(values)):
        over = span.ByteSize() + _ROOM - limit
        if over <= 0 or not values:
            return
        values.sort(key=lambda one: len(_bytes(one)), reverse=True)
        longest = values[0]
        size = len(_bytes(longest))
        runner_up = len(_bytes(values[1])) if len(values) > 1 else _SHORT
        target = max(size - over, min(runner_up, size // 2), _SHORT)
        _cut(longest, target)
        if target <= _SHORT:
            values.pop(0)


def _texts(attributes: Any, content: bool | None) -> Iterator[Any]:
    for one in attributes:
        if content is None or (one.key in _CONTENT) is content:
            yield from _leaves(one.value)


def _leaves(value: Any) -> Iterator[Any]:
    kind = value.WhichOneof("value")
    if kind in ("string_value", "bytes_value"):
        yield value
    elif kind == "array_value":
        for one in value.array_value.values:
            yield from _leaves(one)
    elif kind == "kvlist_value":
        for one in value.kvlist_value.values:
            yield from _leaves(one.value)


def _bytes(value: Any) -> bytes:
    kind = value.WhichOneof("value")
    return bytes(value.string_value.encode() if kind == "string_value" else value.bytes_value)


def _cut(value: Any, size: int) -> None:
    if value.WhichOneof("value") == "bytes_value":
        value.bytes_value = value.bytes_value[:size]
        return
    text = value.string_value
    characters = len(text.encode()[:size].decode("utf-8", "ignore"))
    value.string_value = cut(text, characters)[0]


def _note(span: Any, size: int) -> None:
    for one in span.attributes:
        if one.key == TRIMMED:
            return
    added = span.attributes.add()
    added.key = TRIMMED
    added.value.int_value = size
