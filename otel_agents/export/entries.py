"""A span on its way out: encoded once, then only moved, whether to memory, to disk or into a request.

OTLP's request is ``resource -> scope -> spans``. Each span is kept as its own bytes with a ``head``, the
bytes of its resource and scope; a request is put together from such parts without decoding them, so
that splitting a batch, or sending it from another process, costs a concatenation.
"""

from __future__ import annotations

import logging
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from otel_agents import semconv

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

logger = logging.getLogger(__name__)

#: What a span is worth when room is short: the lowest goes first.
INFRASTRUCTURE, AGENT, MODEL_CALL, ERROR = range(4)

_OURS: Final = ("gen_ai.", "otel_agents.", "langfuse.")
_LENGTH: Final = struct.Struct(">I")


@dataclass(slots=True, eq=False)
class Entry:
    """One span that is to be sent.

    Attributes:
        head: its resource and scope, as :func:`encode` made it.
        body: the span, OTLP protobuf.
        rank: its worth, from ``INFRASTRUCTURE`` to ``ERROR``.
        at: when it was taken over, seconds since 1970.
        row: its place on disk; None while it is in memory only.
        queued: when its outbox took it over, by the monotonic clock.
        number: counts the entries of one outbox.
        size: bytes that it takes in a request, its head not counted, when it was taken over.
        settled: its fate is decided.
        aside: the backend failed at it again and again, so others come first.
        span: the span itself, for exporters that take objects.
    """

    head: bytes
    body: bytes
    rank: int = AGENT
    at: float = 0.0
    row: int | None = None
    queued: float = 0.0
    number: int = 0
    size: int = 0
    settled: bool = False
    aside: bool = False
    span: ReadableSpan | None = None

    def __post_init__(self) -> None:
        self.size = len(self.body) + 8


def encode(spans: Sequence[ReadableSpan], lost: Callable[[int, str], None]) -> list[Entry]:
    """The spans as entries. One that cannot be encoded is told to ``lost`` and takes no other with it."""
    now = time.time()
    ranks = {_identity(span): rank_of(span) for span in spans}
    try:
        return list(_encoded(spans, now, ranks))
    except Exception:
        if len(spans) == 1:
            logger.warning("otel-agents: a span cannot be encoded and is lost", exc_info=True)
            lost(1, "unencodable")
            return []
    return [entry for span in spans for entry in encode([span], lost)]


def unencoded(spans: Sequence[ReadableSpan]) -> list[Entry]:
    """The spans as entries for an exporter that takes objects."""
    now = time.time()
    return [Entry(b"", b"", rank_of(span), now, span=span) for span in spans]


def head_of(resource: bytes, scope: bytes) -> bytes:
    """What entries of one resource and scope share: the two messages, without what is inside them."""
    return _LENGTH.pack(len(resource)) + resource + scope


def request_of(entries: Iterable[Entry]) -> bytes:
    """The body of an OTLP trace request."""
    groups: dict[bytes, list[bytes]] = {}
    for entry in entries:
        groups.setdefault(entry.head, []).append(entry.body)
    return b"".join(_resource_spans(head, bodies) for head, bodies in groups.items())


def span_of(entry: Entry) -> Any:
    """The span of an entry as a protobuf message; an empty one when its bytes are damaged."""
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    span = Span()
    try:
        span.ParseFromString(entry.body)
    except Exception:  # protobuf's DecodeError; its package has no types
        return Span()
    return span


def rank_of(span: ReadableSpan) -> int:
    """What a span is worth: failures most, then model calls, agents and tools, infrastructure least."""
    if not span.status.is_ok:
        return ERROR
    attributes = span.attributes or {}
    if attributes.get(semconv.OPERATION_NAME) in semconv.INFERENCE_OPERATIONS:
        return MODEL_CALL
    return AGENT if any(name.startswith(_OURS) for name in attributes) else INFRASTRUCTURE


def _encoded(spans: Sequence[ReadableSpan], now: float, ranks: dict[tuple[int, int], int]) -> Iterable[Entry]:
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    for resource in encode_spans(spans).resource_spans:
        scopes = list(resource.scope_spans)
        resource.ClearField("scope_spans")
        outer = resource.SerializeToString()
        for scope in scopes:
            inside = list(scope.spans)
            scope.ClearField("spans")
            head = head_of(outer, scope.SerializeToString())
            for span in inside:
                identity = (int.from_bytes(span.trace_id), int.from_bytes(span.span_id))
                yield Entry(head, span.SerializeToString(), ranks.get(identity, AGENT), now)


def _identity(span: ReadableSpan) -> tuple[int, int]:
    context = span.context
    return (context.trace_id, context.span_id) if context is not None else (0, 0)


def _resource_spans(head: bytes, bodies: Sequence[bytes]) -> bytes:
    length = _LENGTH.unpack_from(head)[0]
    resource = head[_LENGTH.size : _LENGTH.size + length]
    scope = head[_LENGTH.size + length :]
    # Field 2 is `spans` in ScopeSpans and `scope_spans` in ResourceSpans; field 1 is `resource_spans`.
    spans = scope + b"".join(_field(2, body) for body in bodies)
    return _field(1, resource + _field(2, spans))


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field in protobuf's wire format."""
    return bytes((number << 3 | 2,)) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
