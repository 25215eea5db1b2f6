"""Codex' calls get the model that is said around them; all else goes on as the very bytes that came."""

from __future__ import annotations

import gzip
import secrets
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from score_server import ScoreServer

PATH = "/api/public/otel/v1/traces"
HEADERS = {"content-type": "application/x-protobuf"}
TURN = {"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "gpt-5-codex"}
ASKED = {"gen_ai.operation.name": "step", "model": "gpt-5-codex"}
STEP = {"gen_ai.operation.name": "step"}
CALL = {"gen_ai.operation.name": "chat"}


def made(trace: bytes, id: int, parent: int, dialect: str = "codex", **attributes: str) -> Span:
    above = parent.to_bytes(8) if parent else b""
    one = Span(name="x", trace_id=trace, span_id=id.to_bytes(8), parent_span_id=above)
    for key, value in {**attributes, "otel_agents.normalized": dialect}.items():
        one.attributes.add(key=key).value.string_value = value
    return one


def body(*spans: Span) -> bytes:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.extend(spans)
    return request.SerializeToString()


def models(request: Any) -> dict[int, str | None]:
    """Model by span, as it went on."""
    packed = request.headers.get("content-encoding") == "gzip"
    read = ExportTraceServiceRequest.FromString(gzip.decompress(request.body) if packed else request.body)
    return {
        int.from_bytes(one.span_id): next(
            (said.value.string_value for said in one.attributes if said.key == "gen_ai.request.model"), None
        )
        for one in read.resource_spans[0].scope_spans[0].spans
    }


def sent(start_bridge: Any, server: ScoreServer, *bodies: bytes) -> list[dict[int, str | None]]:
    with start_bridge(server.url) as rig:
        for one in bodies:
            assert rig.client.post(PATH, content=one, headers=HEADERS).status_code == 202
    return [models(request) for request in server.requests]


def test_the_nearest_around_it(start_bridge: Any, server: ScoreServer) -> None:
    trace = secrets.token_bytes(16)
    [found] = sent(
        start_bridge,
        server,
        body(
            made(trace, 4, 3, **CALL),
            made(trace, 3, 2, **STEP),
            made(trace, 2, 1, **{**ASKED, "model": "gpt-5-mini"}),
            made(trace, 1, 9, **TURN),
        ),
    )
    assert found == {4: "gpt-5-mini", 3: None, 2: None, 1: "gpt-5-codex"}


def test_what_is_around_it_comes_later(start_bridge: Any, server: ScoreServer) -> None:
    """It ends after the tools. The next call is known by its trace, unless that uses two models."""
    trace = secrets.token_bytes(16)
    found = sent(
        start_bridge,
        server,
        body(made(trace, 4, 3, **CALL)),
        body(made(trace, 2, 1, **ASKED)),
        body(made(trace, 6, 5, **CALL)),
        body(made(trace, 7, 1, **{**ASKED, "model": "gpt-5-mini"})),
        body(made(trace, 9, 8, **CALL)),
        body(made(secrets.token_bytes(16), 10, 8, **CALL)),
    )
    assert [one[id] for one, id in zip(found, (4, 2, 6, 7, 9, 10), strict=True)] == [
        None, None, "gpt-5-codex", None, None, None,
    ]  # fmt: skip


def test_others_are_left_alone(start_bridge: Any, server: ScoreServer) -> None:
    trace = secrets.token_bytes(16)
    given = body(made(trace, 2, 1, "claude_code", **CALL), made(trace, 1, 0, "claude_code", **TURN))
    sent(start_bridge, server, given)
    assert server.requests[0].body == given


def test_a_circle_is_no_end(start_bridge: Any, server: ScoreServer) -> None:
    trace = secrets.token_bytes(16)
    [found] = sent(start_bridge, server, body(made(trace, 2, 1, **CALL), made(trace, 1, 2, **STEP)))
    assert found == {2: None, 1: None}
