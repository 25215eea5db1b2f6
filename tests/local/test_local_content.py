"""Input and output: which convention wins, what the others lose; values Langfuse cannot convert."""

from __future__ import annotations

import json
from typing import Any

import pytest
from local_spans import any_value, mapped

from otel_agents.local.rows import SpanEvent
from otel_agents.local.values import any_value_of_protobuf

IN = "langfuse.observation.input"
OUT = "langfuse.observation.output"
MESSAGES_IN = "gen_ai.input.messages"
MESSAGES_OUT = "gen_ai.output.messages"
USER = '[{"role":"user","parts":[]}]'


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, (None, None)),
        # contract 2.7, 1: either one makes the branch, an empty string too; the other side is lost
        ({IN: "a", OUT: "b"}, ("a", "b")),
        ({IN: "a", MESSAGES_IN: USER, MESSAGES_OUT: "[]"}, ("a", None)),
        ({IN: "", MESSAGES_OUT: "[]"}, ("", None)),
        ({OUT: "b", "input": "x"}, (None, "b")),
        # contract 2.7, 12 to 17, in their order
        ({"mlflow.spanInputs": "a", "traceloop.entity.input": "x"}, ("a", None)),
        ({"traceloop.entity.input": "a", "input.value": "x"}, ("a", None)),
        ({"input.value": "a", "output.value": "b", "input": "x"}, ("a", "b")),
        ({"input": "a", "output": 5, "tool_arguments": "x"}, ("a", "5")),
        ({"tool_arguments": "a", "tool_response": "b", "gen_ai.prompt": "x"}, ("a", "b")),
        # contract 2.7, 15 before 20: bare keys
        ({"output": "b", MESSAGES_IN: USER}, (None, "b")),
        # contract 2.7, 18
        (
            {
                "gen_ai.prompt.0.role": "user",
                "gen_ai.prompt.0.content": "hi",
                "gen_ai.completion.0.content": "y",
            },
            ('[{"role":"user","content":"hi"}]', '[{"content":"y"}]'),
        ),
        ({"gen_ai.prompt": "p", "gen_ai.completion": "c"}, ("p", "c")),
        # contract 2.7, trap: semconv's prompt name takes the input
        ({"gen_ai.prompt.name": "pn", MESSAGES_IN: USER, MESSAGES_OUT: "[]"}, ('{"name":"pn"}', "{}")),
        # contract 2.7, 19
        ({"llm.input_messages.0.message.role": "user"}, ('[{"message":{"role":"user"}}]', "{}")),
        # contract 2.7, 20: strings stay strings
        ({MESSAGES_IN: USER, MESSAGES_OUT: "[]"}, (USER, "[]")),
        # contract 2.7, 20: system instructions are prepended if there is no system message
        (
            {MESSAGES_IN: USER, "gen_ai.system_instructions": "be kind"},
            ('[{"role":"system","content":"be kind"},{"role":"user","parts":[]}]', None),
        ),
        (
            {MESSAGES_IN: '[{"role":"system"}]', "gen_ai.system_instructions": "be kind"},
            ('[{"role":"system"}]', None),
        ),
        # contract 2.7: without input messages they are lost
        ({"gen_ai.system_instructions": "be kind", MESSAGES_OUT: "[]"}, (None, "[]")),
        ({"gen_ai.system_instructions": "be kind"}, (None, None)),
        # contract 2.7: tool definitions move into the input
        (
            {MESSAGES_IN: "[]", "gen_ai.tool.definitions": '[{"name":"t"}]'},
            ('{"messages":[],"tools":[{"name":"t"}]}', None),
        ),
        ({MESSAGES_IN: "[]", "gen_ai.tool.definitions": "[{}]"}, ("[]", None)),
        # contract 2.7, 21
        ({"gen_ai.tool.call.arguments": "{}", "gen_ai.tool.call.result": "5"}, ("{}", "5")),
        # contract 2.7: not input or output
        ({"gen_ai.retrieval.query.text": "q", "gen_ai.retrieval.documents": "[]"}, (None, None)),
    ],
)
def test_branches(attributes: dict[str, Any], expected: tuple[str | None, str | None]) -> None:
    row, _ = mapped(attributes)
    assert (row.input, row.output) == expected


def event(name: str, **attributes: Any) -> SpanEvent:
    return SpanEvent(name, 1, {key.replace("__", "."): value for key, value in attributes.items()})


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        # contract 2.7, 5
        (
            [event("gen_ai.client.inference.operation.details", gen_ai__input__messages="a")],
            ("a", None),
        ),
        # contract 2.7, 6
        (
            [event("gen_ai.user.message", content="hi"), event("gen_ai.choice", index=0)],
            ('[{"role":"user","content":"hi"}]', '{"index":0}'),
        ),
        # contract 2.7, 7
        (
            [
                event("gen_ai.content.prompt", gen_ai__prompt="a"),
                event("gen_ai.content.completion", gen_ai__completion="b"),
            ],
            ("a", "b"),
        ),
    ],
)
def test_content_of_events(events: list[SpanEvent], expected: tuple[str | None, str | None]) -> None:
    row, findings = mapped({MESSAGES_IN: "later"}, events=events)
    assert (row.input, row.output) == expected
    assert findings == []


def test_content_is_not_in_the_metadata() -> None:
    row, _ = mapped({IN: "a", MESSAGES_IN: USER, "gen_ai.prompt.name": "p", "other": 5})
    # contract 2.7, trap: all potential content keys are deleted from metadata.attributes
    assert row.metadata["attributes"] == {"other": "5"}


@pytest.mark.parametrize(
    ("attributes", "kinds"),
    [
        ({"gen_ai.prompt.name": "p", MESSAGES_IN: USER}, ["input_lost_to_prompt_attributes"]),
        ({IN: "a", MESSAGES_OUT: "[]"}, ["io_side_lost"]),
        ({IN: "a", OUT: "", MESSAGES_OUT: "[]"}, []),
        ({"gen_ai.system_instructions": "x"}, ["system_instructions_lost"]),
        ({"gen_ai.system_instructions": "x", MESSAGES_OUT: "[]"}, ["system_instructions_lost"]),
        ({"gen_ai.system_instructions": "x", MESSAGES_IN: "[]"}, []),
    ],
)
def test_findings(attributes: dict[str, Any], kinds: list[str]) -> None:
    assert mapped(attributes)[1] == kinds


def test_lenient_mode_keeps_the_messages_beside_a_prompt_name() -> None:
    row, _ = mapped({"gen_ai.prompt.name": "p", MESSAGES_IN: USER}, strict=False)
    assert row.input == USER


# --- values (contract 2.1) -----------------------------------------------------------------------


def test_empty_lists_and_maps_become_otlp_text() -> None:
    structured = any_value_of_protobuf(any_value([{"a": "b"}]))
    attributes = {"langfuse.trace.tags": [], MESSAGES_IN: structured, "big": 2**53 + 1}
    row, findings = mapped(attributes)
    assert row.tags == ['{"arrayValue":{}}']  # contract 2.1
    assert row.input is not None
    assert json.loads(json.loads(row.input)[0]) == {
        "kvlistValue": {"values": [{"key": "a", "value": {"stringValue": "b"}}]}
    }
    assert row.metadata["attributes"]["big"] == str(2**53)  # contract 2.1: int64 loses precision
    assert {"empty_list", "structured_value"} <= set(findings)

    row, findings = mapped(attributes, strict=False)
    assert (row.tags, row.input, findings) == ([], '[{"a":"b"}]', [])
