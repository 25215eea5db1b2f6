"""Files of OTLP, in whatever form they were written, as requests in OTLP JSON.

JSON (one object, a list of them, or one a line, as the Collector's file exporter and ours write) and
protobuf (one request, or several with their lengths: four bytes as the Collector's file exporter writes
them, or a varint), each also gzipped. What is of another kind is skipped and said.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

from otel_agents.normalize.otlp_json import SIGNALS

#: Told of what was skipped: where, and why.
Skip = Callable[[str], None]
_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})
_GZIP: Final = b"\x1f\x8b"


def requests(data: bytes, skip: Skip) -> Iterator[dict[str, Any]]:
    """The requests in a file's content; each has one or more of ``resourceSpans``, ``resourceLogs`` and
    ``resourceMetrics``."""
    if data.startswith(_GZIP):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            skip(f"gzip cannot be read ({error})")
            return
    start = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        return
    if start[:1] in (b"{", b"["):
        yield from _json_requests(start, skip)
    else:
        yield from _protobuf_requests(data, skip)


def _json_requests(data: bytes, skip: Skip) -> Iterator[dict[str, Any]]:
    text = data.decode("utf-8", errors="replace")
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                skip(f"line {number} is no JSON")
                continue
            yield from _known(found, skip, f"line {number}")
        return
    yield from _known(whole, skip, "its content")


def _known(found: Any, skip: Skip, where: str) -> Iterator[dict[str, Any]]:
    for one in found if isinstance(found, list) else [found]:
        if isinstance(one, dict) and isinstance(one.get("body"), dict):  # with the request that it came in
            one = one["body"]
        if isinstance(one, dict) and any(isinstance(one.get(key), list) for key in SIGNALS.values()):
            yield one
        else:
            skip(f"{where} is no OTLP (no resourceSpans, resourceLogs or resourceMetrics)")


# --- protobuf ------------------------------------------------------------------------------------
def _protobuf_requests(data: bytes, skip: Skip) -> Iterator[dict[str, Any]]:
    for split in (_with_four_bytes, _alone, _with_varints):
        frames = split(data)
        if frames is None:
            continue
        found = [_message(frame) for frame in frames]
        if any(one is not None for one in found):
            for number, one in enumerate(found, 1):
                if one is None:
                    skip(f"message {number} is no OTLP")
                else:
                    yield _as_json(one)
            return
    skip("its content is neither OTLP JSON nor OTLP protobuf")


def _alone(data: bytes) -> list[bytes] | None:
    return [data]


def _with_four_bytes(data: bytes) -> list[bytes] | None:
    frames, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        frames.append(data[at + 4 : at + 4 + size])
        at += 4 + size
        if size == 0 or at > len(data):
            return None
    return frames


def _with_varints(data: bytes) -> list[bytes] | None:
    frames, at = [], 0
    while at < len(data):
        size = shift = 0
        while True:
            if at >= len(data) or shift > 35:
                return None
            byte = data[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if size == 0 or at + size > len(data):
            return None
        frames.append(data[at : at + size])
        at += size
    return frames


def _message(data: bytes) -> Any:
    """The request in ``data``. The three kinds differ only deep inside, so each has to look right there."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    for kind, fits in (
        (ExportTraceServiceRequest, _are_spans),
        (ExportLogsServiceRequest, _are_logs),
        (ExportMetricsServiceRequest, _are_metrics),
    ):
        try:
            found: Any = kind.FromString(data)
            if fits(found):
                return found
        except Exception:  # protobuf's own, of which each of its implementations has another
            continue
    return None


def _are_spans(found: Any) -> bool:
    spans = [one for r in found.resource_spans for s in r.scope_spans for one in s.spans]
    return bool(spans) and all(len(one.trace_id) == 16 and len(one.span_id) == 8 for one in spans)


def _are_logs(found: Any) -> bool:
    logs = [one for r in found.resource_logs for s in r.scope_logs for one in s.log_records]
    return bool(logs) and all(
        one.time_unix_nano or one.observed_time_unix_nano or one.HasField("body") or one.event_name
        for one in logs
    )


def _are_metrics(found: Any) -> bool:
    many = [one for r in found.resource_metrics for s in r.scope_metrics for one in s.metrics]
    return bool(many) and all(one.name and one.WhichOneof("data") for one in many)


def _as_json(message: Any) -> dict[str, Any]:
    from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]

    made: dict[str, Any] = MessageToDict(message, use_integers_for_enums=True)
    _hexadecimal(made)
    return made


def _hexadecimal(value: Any) -> None:
    """Ids are hexadecimal in OTLP JSON, unlike other bytes of protobuf."""
    if isinstance(value, list):
        for one in value:
            _hexadecimal(one)
    elif isinstance(value, dict):
        for key, one in value.items():
            if key in _IDS and isinstance(one, str):
                try:
                    value[key] = base64.b64decode(one).hex()
                except (binascii.Error, ValueError):
                    continue
            else:
                _hexadecimal(one)
