"""What the exporter's edge makes of our spans, read by this independent implementation: nothing is lost."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from local_spans import RECEIVED, START, any_value, received

import otel_agents.local
from otel_agents.langfuse.mapping import map_span
from otel_agents.local.findings import KINDS
from otel_agents.local.mapping.observation import read
from otel_agents.local.rows import Observation
from otel_agents.local.values import any_value_of_protobuf

CONTENT = '[{"role":"user","parts":[{"type":"text","content":"hi"}]}]'
ANSWER = '[{"role":"assistant","parts":[{"type":"text","content":"ho"}],"finish_reason":"stop"}]'
COMMON = {
    "session.id": "s",
    "gen_ai.conversation.id": "s",
    "user.id": "u",
    "otel_agents.tags": ["a", "b"],
    "otel_agents.trace.name": "nightly",
    "otel_agents.metadata.task_type": "review",
    "gen_ai.agent.name": "writer",
    "deployment.environment.name": "Production EU",
    "otel_agents.experiment": "e1",
    "otel_agents.variant": "b",
}


def through_the_edge(attributes: dict[str, Any], **rest: Any) -> tuple[Observation, list[str]]:
    """A span as the SDK emits it → attributes for Langfuse → what is stored, and the findings."""
    error, parent = rest.pop("error", None), rest.pop("parent", "")
    left = map_span(
        attributes,
        resource={"service.name": "app", "service.version": "1.2"},
        start_time_unix_nano=START,
        status_error=error is not None,
        status_description=error,
    )
    assert left is not None
    values = {key: any_value_of_protobuf(any_value(value)) for key, value in left.attributes.items()}
    span = received(
        values,
        parent=left.parent_span_id or parent,
        scope="otel_agents",
        status=0 if error is None else 2,
        message=error or "",
        **rest,
    )
    row, findings = read(span, RECEIVED)
    return row, [found.kind for found in findings]


def test_model_call_with_everything() -> None:
    row, findings = through_the_edge(
        COMMON
        | {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": "claude-sonnet-4-5",
            "gen_ai.response.model": "claude-sonnet-4-5-20250929",
            "gen_ai.request.temperature": 0.5,
            "gen_ai.response.time_to_first_chunk": 0.25,
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.cache_read.input_tokens": 40,
            "gen_ai.usage.cache_write.input_tokens": 30,
            "gen_ai.usage.output_tokens": 20,
            "gen_ai.usage.reasoning.output_tokens": 5,
            "gen_ai.usage.cost": 0.125,
            "gen_ai.input.messages": CONTENT,
            "gen_ai.output.messages": ANSWER,
            "gen_ai.prompt.name": "greet",
            "gen_ai.prompt.version": "3",
        }
    )
    assert findings == []
    assert (row.type, row.model) == ("GENERATION", "claude-sonnet-4-5-20250929")
    # tokens are counted once (contract 2.4)
    assert (row.input_tokens, row.output_tokens, row.total_tokens) == (100, 20, 120)
    assert row.total_cost == 0.125
    assert row.completion_start_ns == (START + 250_000_000) // 10**6 * 10**6
    assert (row.input, row.output) == (CONTENT, ANSWER)
    assert (row.prompt_name, row.prompt_version) == ("greet", 3)
    assert (row.session_id, row.user_id, row.trace_name, row.tags) == ("s", "u", "nightly", ["a", "b"])
    assert (row.environment, row.version) == ("production-eu", "1.2")
    assert row.meta == {"task_type": "review", "agent": "writer", "experiment": "e1", "variant": "b"}


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.input.messages": CONTENT}, "AGENT"),
        ({"gen_ai.operation.name": "invoke_workflow", "gen_ai.output.messages": ANSWER}, "CHAIN"),
        (
            {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "search",
                "gen_ai.tool.call.arguments": "{}",
                "gen_ai.tool.call.result": "[]",
            },
            "TOOL",
        ),
        (
            {
                "gen_ai.operation.name": "retrieval",
                "gen_ai.request.model": "embedder",
                "gen_ai.retrieval.query.text": "q",
            },
            "RETRIEVER",
        ),
        ({"otel_agents.event": "agent_switch", "otel_agents.event.body": '{"to":"b"}'}, "EVENT"),
    ],
)
def test_other_spans(attributes: dict[str, Any], kind: str) -> None:
    row, findings = through_the_edge(COMMON | attributes)
    assert (row.type, findings) == (kind, [])
    assert row.input is not None or row.output is not None


def test_error() -> None:
    row, findings = through_the_edge(
        {"gen_ai.operation.name": "invoke_agent", "error.type": "Timeout"}, error="no answer in 5 s"
    )
    assert (row.level, row.status_message, row.meta, findings) == (
        "ERROR",
        "no answer in 5 s",
        {"error_type": "Timeout"},
        [],
    )


def test_roots_and_parents() -> None:
    row, _ = through_the_edge(
        {"gen_ai.operation.name": "chat", "otel_agents.app_root": True}, parent="a" * 16
    )
    assert (row.parent_id, row.is_root) == ("a" * 16, True)
    row, _ = through_the_edge(
        {"gen_ai.operation.name": "chat", "otel_agents.parent": "b" * 16}, parent="a" * 16
    )
    assert (row.parent_id, row.is_root) == ("b" * 16, False)


# --- independence --------------------------------------------------------------------------------


def modules() -> list[Path]:
    folder = Path(otel_agents.local.__file__).parent
    return [path for path in folder.rglob("*.py") if "ui" not in path.relative_to(folder).parts]


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.stem)
def test_the_local_backend_shares_no_code_with_the_exporters(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module)
    ours = {name for name in imported if name.startswith("otel_agents")}
    assert {name for name in ours if not name.startswith("otel_agents.local")} == set()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_finding_is_raised_somewhere(kind: str) -> None:
    severity, message = KINDS[kind]
    assert severity in ("error", "warning")
    assert message[0].islower() or message.startswith(("gen_ai", "langfuse"))
    used = sum(f'"{kind}"' in path.read_text(encoding="utf-8") for path in modules())
    assert used >= 2, "named in the table and raised by somebody"
