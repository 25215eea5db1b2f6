"""Tasks put into the local backend as an app's spans and scores would have put them there."""

from __future__ import annotations

import base64
import time
import uuid
from typing import Any

import httpx
from collector_rig import key_values
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_agents.local.server import Running


def add_task(
    backend: Running,
    agent: str | None,
    *,
    cost: float = 0.01,
    quality: float | None = None,
    error: bool = False,
    ago: float = 60.0,
    seconds: float = 2.0,
) -> str:
    """One agent run with one model call, ``ago`` seconds ago; answers its trace id.

    Without an agent's name it is a model call in a trace of its own, which is a task as well.
    """
    trace_id = uuid.uuid4().hex
    start = time.time_ns() - int(ago * 1e9)
    root = _span(trace_id, None, f"invoke_agent {agent}", start, seconds)
    metadata = {"task_id": trace_id, **({"agent": agent} if agent else {})}
    root.attributes.extend(
        key_values(
            {
                "langfuse.observation.type": "agent",
                **{f"langfuse.trace.metadata.{key}": value for key, value in metadata.items()},
            }
        )
    )
    if error:
        root.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message="it broke"))
    call = _span(trace_id, root.span_id.hex(), "chat gpt-4o-mini", start, seconds)
    call.attributes.extend(
        key_values(
            {
                "langfuse.observation.type": "generation",
                "langfuse.observation.model.name": "gpt-4o-mini",
                "langfuse.observation.usage_details": '{"input": 100, "output": 10}',
                "langfuse.observation.cost_details": f'{{"total": {cost!r}}}',
                **{f"langfuse.trace.metadata.{key}": value for key, value in metadata.items()},
            }
        )
    )
    _post(backend, root, call)
    if quality is not None:
        add_score(backend, trace_id, quality)
    return trace_id


def add_score(backend: Running, trace_id: str, value: float, name: str = "quality") -> None:
    answer = httpx.post(
        f"{backend.url}/api/public/scores",
        json={"traceId": trace_id, "name": name, "value": value, "dataType": "NUMERIC"},
        auth=(backend.public_key, backend.secret_key),
        trust_env=False,
    )
    assert answer.is_success, answer.text


def _span(trace_id: str, parent: str | None, name: str, start: int, seconds: float) -> Span:
    return Span(
        trace_id=bytes.fromhex(trace_id),
        span_id=uuid.uuid4().bytes[:8],
        parent_span_id=bytes.fromhex(parent or ""),
        name=name,
        start_time_unix_nano=start,
        end_time_unix_nano=start + int(seconds * 1e9),
    )


def _post(backend: Running, *spans: Span) -> None:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(key_values({"service.name": "app"}))
    group.scope_spans.add().spans.extend(spans)
    token = base64.b64encode(f"{backend.public_key}:{backend.secret_key}".encode()).decode()
    answer = httpx.post(
        f"{backend.url}/api/public/otel/v1/traces",
        content=request.SerializeToString(),
        headers={
            "authorization": f"Basic {token}",
            "content-type": "application/x-protobuf",
            "x-langfuse-ingestion-version": "4",
        },
        trust_env=False,
    )
    assert answer.is_success, answer.text


def environment_for(backend: Running, **more: Any) -> dict[str, str]:
    """The variables with which a command reads this backend."""
    return {
        "LANGFUSE_BASE_URL": backend.url,
        "LANGFUSE_PUBLIC_KEY": backend.public_key,
        "LANGFUSE_SECRET_KEY": backend.secret_key,
        **more,
    }
