"""The whole local backend: a span sent by OTLP is on the page."""

from __future__ import annotations

import base64
import json

import httpx2
import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from playwright.sync_api import BrowserContext, expect
from ui_html import parse, table
from ui_rig import Watch

from otel_agents.local.server import Running, running


def send(server: Running, question: str) -> str:
    """One agent with one model call; answers the trace id."""
    keys = base64.b64encode(f"{server.public_key}:{server.secret_key}".encode()).decode()
    exporter = OTLPSpanExporter(
        endpoint=f"{server.url}/api/public/otel/v1/traces", headers={"Authorization": f"Basic {keys}"}
    )
    provider = TracerProvider(resource=Resource({"service.name": "orchestrator"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("otel_agents")
    asked = json.dumps([{"role": "user", "parts": [{"type": "text", "content": question}]}])
    common = {"session.id": "sess_xyz789", "user.id": "ada", "langfuse.trace.metadata.agent": "claude"}
    with tracer.start_as_current_span(
        "invoke_agent claude",
        attributes={
            **common,
            "gen_ai.operation.name": "invoke_agent",
            "langfuse.trace.metadata.task_type": "security",
            "langfuse.trace.metadata.quality_score": 0.92,
            "langfuse.observation.input": asked,
            "langfuse.observation.output": "Found 3 SQL injection vulnerabilities...",
        },
    ) as agent:
        attributes = {
            **common,
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "claude-sonnet-4-5",
            "gen_ai.input.messages": asked,
            "langfuse.observation.usage_details": json.dumps({"input": 450, "output": 1073, "total": 1523}),
            "langfuse.observation.cost_details": json.dumps({"total": 0.0046}),
        }
        tracer.start_span("chat claude-sonnet-4-5", attributes=attributes).end()
    provider.shutdown()
    return f"{agent.get_span_context().trace_id:032x}"


def test_what_the_guide_promises_is_on_the_pages() -> None:
    with running() as server:
        trace = send(server, "Review code for security vulnerabilities")
        rows = table(parse(httpx2.get(f"{server.url}/traces").text).one("table"))
        assert [cell for at, cell in enumerate(rows[0]) if at not in (0, 10)] == [
            "ok",
            "invoke_agent claude",
            "claude",
            "security",
            "Review code for security vulnerabilities",
            "Found 3 SQL injection vulnerabilities...",
            "1,523",
            "$0.0046",
            "0.92",
            "sess_xyz789 · ada",
            "",
        ]
        page = parse(httpx2.get(f"{server.url}/traces/{trace}").text)
        names = [
            row.one("td", class_="name").text for row in page.one("table", id="tree").one("tbody").all("tr")
        ]
        assert names == ["invoke_agent claude", "chat claude-sonnet-4-5"]
        assert httpx2.get(f"{server.url}/findings").status_code == 200


@pytest.mark.browser
def test_a_sent_trace_appears_on_an_open_page(context: BrowserContext, watch: Watch) -> None:
    with running() as server:
        page = context.new_page()
        watch.on(page)
        page.goto(server.url)
        expect(page.locator(".empty h2")).to_have_text("No traces yet")
        send(server, "first question")
        expect(page.locator("[data-rows] tr.row td.w-in")).to_have_text(["first question"])
        send(server, "second question")
        expect(page.locator("tr.fresh td.w-in")).to_have_text(["second question"])
        assert watch.problems == []
        page.close()
