"""A trace request, decoded as far as the bridge changes it: spans left out, attributes added."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from otel_agents.bridge.bodies import BadRequest, unpack

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
_ID_LENGTHS: Final = {"traceId": 16, "spanId": 8, "parentSpanId": 8}


@dataclass(slots=True)
class Batch:
    """The spans of one request.

    Attributes:
        request: an ``ExportTraceServiceRequest``.
        changed: whether it is no longer what was received.
    """

    request: Any
    changed: bool = field(default=False)

    def spans(self) -> Iterator[tuple[Any, Any]]:
        """Every span with its resource."""
        for group in self.request.resource_spans:
            for scoped in group.scope_spans:
                for span in scoped.spans:
                    yield group.resource, span

    def drop(self, places: Collection[int]) -> None:
        """Leaves out the spans at these places of :meth:`spans`, and groups that lost all of theirs."""
        place = sum(1 for _ in self.spans())
        groups = self.request.resource_spans
        for group_at in range(len(groups) - 1, -1, -1):
            scopes = groups[group_at].scope_spans
            for scope_at in range(len(scopes) - 1, -1, -1):
                spans = scopes[scope_at].spans
                for at in range(len(spans) - 1, -1, -1):
                    place -= 1
                    if place in places:
                        del spans[at]
                        self.changed = True
                if not spans:
                    del scopes[scope_at]
            if not scopes:
                del groups[group_at]

    def packed(self) -> bytes:
        """The request as gzipped protobuf."""
        return gzip.compress(self.request.SerializeToString(), 1)


def read_batch(body: bytes, kind: str, encoding: str) -> Batch | None:
    """The request; None for what cannot be read, which is for Langfuse to judge.

    Args:
        body: as it was sent.
        kind: content type without parameters.
        encoding: content encoding.
    """
    from google.protobuf.json_format import ParseDict, ParseError  # type: ignore[import-untyped]
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        plain = unpack(body, encoding)
        if kind == PROTOBUF:
            return Batch(ExportTraceServiceRequest.FromString(plain))
        if kind == JSON:
            given = json.loads(plain)
            _ids_as_protobuf_has_them(given)
            return Batch(ParseDict(given, ExportTraceServiceRequest(), ignore_unknown_fields=True))
    except (BadRequest, DecodeError, ParseError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    return None


def text_of(attributes: Iterable[Any], name: str) -> str | None:
    """An attribute's text; None when it is missing or no text."""
    for one in attributes:
        if one.key == name:
            return one.value.string_value if one.value.HasField("string_value") else None
    return None


def set_text(span: Any, name: str, text: str) -> None:
    """Sets an attribute in place of any of its name."""
    for one in span.attributes:
        if one.key == name:
            one.value.string_value = text
            return
    span.attributes.add(key=name).value.string_value = text


def _ids_as_protobuf_has_them(given: Any) -> None:
    """OTLP's JSON has ids in hexadecimal, protobuf's JSON bytes in base64."""
    for group in given.get("resourceSpans") or ():
        for scoped in group.get("scopeSpans") or ():
            for span in scoped.get("spans") or ():
                for holder in (span, *(span.get("links") or ())):
                    for name, length in _ID_LENGTHS.items():
                        if found := holder.get(name):
                            as_bytes = bytes.fromhex(found)
                            if len(as_bytes) != length:
                                raise ValueError(name)
                            holder[name] = base64.b64encode(as_bytes).decode()
