"""The whole way of telemetry: app → Collector → local backend and Prometheus' endpoint, read as users do."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from collector_rig import Collector, span, traces
from collector_rig import running as collector_running
from parts import wait_for

from otel_agents.local.options import LocalOptions
from otel_agents.local.server import Running
from otel_agents.local.server import running as backend_running

#: Types of observations that are one call to a model.
MODEL_CALLS = {"GENERATION", "EMBEDDING"}

_SAMPLE = re.compile(r"^(?P<name>\w+)(\{(?P<labels>[^}]*)\})? (?P<value>\S+)")


@dataclass
class WholeWay:
    """A running Collector in front of a running backend."""

    collector: Collector
    backend: Running
    client: httpx.Client

    @property
    def endpoint(self) -> str:
        """Where apps send OTLP."""
        return f"http://127.0.0.1:{self.collector.ports.otlp_http_port}"

    def settle(self) -> None:
        """Waits until the backend has everything that the Collector has accepted.

        The Collector has one sender, so what is accepted now arrives after all that came before.
        """
        last = secrets.token_hex(8)
        sent = span("the last", last, {"gen_ai.operation.name": "execute_tool"}, start=time.time_ns())
        sent.trace_id = secrets.token_bytes(16)
        self.collector.send(traces(sent))
        wait_for(lambda: last in self._ids(sent.trace_id.hex()), "the last span to arrive")

    def _ids(self, trace: str) -> set[str]:
        return {one["id"] for one in self._observations({"traceId": trace})}

    def observations(self, user: str) -> list[dict[str, Any]]:
        """All observations of an app, which says by its user which one it is."""
        return self._observations({"userId": user})

    def _observations(self, query: dict[str, str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            answer = self.client.get(
                "/api/public/v2/observations",
                params={
                    "fields": "core,basic,usage,model,metadata,trace_context,io",
                    "limit": "500",
                    **query,
                    **({"cursor": cursor} if cursor else {}),
                },
            )
            assert answer.status_code == 200, answer.text
            body = answer.json()
            found += body["data"]
            cursor = body["meta"].get("cursor")
            if not cursor:
                return found

    def counted(self, name: str, job: str) -> float:
        """Sum of the counter ``name`` over all series of the app ``job``, as Prometheus would scrape it."""
        return sum(
            float(sample["value"])
            for line in self.collector.metrics().splitlines()
            if (sample := _SAMPLE.match(line)) is not None
            and sample["name"] == name
            and f'job="{job}"' in (sample["labels"] or "")
        )

    def findings(self, traces: set[str]) -> set[tuple[str, str]]:
        """What a real Langfuse would have swallowed or got wrong of ``traces``: kind and detail of errors."""
        answer = self.client.get("/api/local/findings", params={"limit": "500", "severity": "error"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["meta"].get("cursor") is None
        return {
            (one["kind"], str(one["detail"])) for one in answer.json()["data"] if one["traceId"] in traces
        }


@contextmanager
def whole_way(binary: Path, folder: Path) -> Iterator[WholeWay]:
    """A Collector (``binary``) with ``otel-collector.yaml`` and a local backend behind it, on free ports."""
    options = LocalOptions(db=folder / "local.db", port=0, orphan_grace_s=0.0)
    with backend_running(options) as backend:
        keys = (backend.public_key, backend.secret_key)
        to_backend = {
            "LANGFUSE_OTLP_ENDPOINT": f"{backend.url}/api/public/otel",
            "LANGFUSE_PUBLIC_KEY": keys[0],
            "LANGFUSE_SECRET_KEY": keys[1],
            "OTELCOL_EXPORT_CONSUMERS": "1",
        }
        with (
            collector_running(binary, folder, **to_backend) as collector,
            httpx.Client(base_url=backend.url, auth=keys, trust_env=False, timeout=30) as client,
        ):
            yield WholeWay(collector, backend, client)
