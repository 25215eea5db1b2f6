"""Recorded content in every dialect becomes the same few blocks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from otel_agents.local.ui import content
from otel_agents.local.ui.blocks import Content


def shape(found: Content) -> list[tuple[str, list[tuple[str, str, str]]]]:
    return [(m.role, [(b.kind, b.label, b.text) for b in m.blocks]) for m in found.messages]


PNG = "iVBORw0KGgo="

CONVERSATIONS: dict[str, tuple[Any, list[tuple[str, list[tuple[str, str, str]]]]]] = {
    "conventions: text, reasoning, tool call and its response": (
        [
            {"role": "user", "parts": [{"type": "text", "content": "hi"}]},
            {
                "role": "assistant",
                "parts": [
                    {"type": "reasoning", "content": "hm"},
                    {"type": "tool_call", "id": "c1", "name": "find", "arguments": {"q": 1}},
                ],
                "finish_reason": "tool_calls",
            },
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "none"}]},
        ],
        [
            ("user", [("text", "", "hi")]),
            ("assistant", [("reasoning", "", "hm"), ("tool_call", "find", '{\n  "q": 1\n}')]),
            ("tool", [("tool_result", "", "none")]),
        ],
    ),
    "OpenAI: content, tool_calls, tool message": (
        [
            {"role": "system", "content": "be brief"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": '{"a":2}'}}],
            },
            {"role": "tool", "tool_call_id": "c", "name": "f", "content": "42"},
        ],
        [
            ("system", [("text", "", "be brief")]),
            ("assistant", [("tool_call", "f", '{\n  "a": 2\n}')]),
            ("tool", [("tool_result", "f", "42")]),
        ],
    ),
    "OpenAI: a whole response": (
        {
            "choices": [
                {
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": "done", "reasoning_content": "easy"},
                }
            ]
        },
        [("assistant", [("reasoning", "", "easy"), ("text", "", "done")])],
    ),
    "OpenAI: refusal": (
        [{"role": "assistant", "content": None, "refusal": "no"}],
        [("assistant", [("text", "refusal", "no")])],
    ),
    "Anthropic: a whole request": (
        {
            "system": "s",
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "t",
                            "is_error": True,
                            "content": [{"type": "text", "text": "boom"}],
                        }
                    ],
                }
            ],
        },
        [("system", [("text", "", "s")]), ("user", [("tool_result", "", "boom")])],
    ),
    "Anthropic: blocks of a response": (
        {
            "role": "assistant",
            "type": "message",
            "content": [
                {"type": "thinking", "thinking": "t"},
                {"type": "tool_use", "id": "x", "name": "g", "input": {}},
                {"type": "text", "text": "ok"},
            ],
        },
        [("assistant", [("reasoning", "", "t"), ("tool_call", "g", "{}"), ("text", "", "ok")])],
    ),
    "Gemini: parts without a type": (
        [{"role": "model", "parts": [{"text": "a"}, {"functionCall": {"name": "h", "args": {"z": 0}}}]}],
        [("model", [("text", "", "a"), ("tool_call", "h", '{\n  "z": 0\n}')])],
    ),
    "a system instruction: parts without a role": (
        [{"type": "text", "content": "only parts"}],
        [("", [("text", "", "only parts")])],
    ),
    "unknown parts are printed": (
        [{"role": "user", "parts": [{"type": "hologram", "x": 1}]}],
        [("user", [("json", "hologram", '{\n  "type": "hologram",\n  "x": 1\n}')])],
    ),
    "odd values instead of parts": (
        [{"role": "user", "parts": [None, 3, "words"]}, {"role": "user", "content": 7}],
        [
            ("user", [("json", "", "null"), ("json", "", "3"), ("text", "", "words")]),
            ("user", [("json", "", "7")]),
        ],
    ),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_messages_of_every_dialect(name: str) -> None:
    recorded, expected = CONVERSATIONS[name]
    found = content.read(json.dumps(recorded))
    assert found.kind == "messages"
    assert shape(found) == expected


def test_a_failed_tool_result_says_so() -> None:
    recorded, _ = CONVERSATIONS["Anthropic: a whole request"]
    assert content.read(json.dumps(recorded)).messages[1].blocks[0].failed


def test_finish_reason_and_offered_tools_are_kept() -> None:
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "x"}],
        "tools": [{"type": "function", "function": {"name": "f", "description": "d"}}, {"name": "g"}],
    }
    found = content.read(json.dumps(body))
    assert found.tools == [("f", "d"), ("g", "")]
    assert found.blocks[0].label == "other fields"
    assert content.read('[{"role":"a","parts":[],"finish_reason":"length"}]').messages[0].finish == "length"


@pytest.mark.parametrize(
    ("part", "label", "note", "image"),
    [
        (
            {"type": "blob", "mime_type": "image/png", "modality": "image", "content": PNG},
            "image/png",
            "9 bytes",
            True,
        ),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
            "image/png",
            "9 bytes",
            True,
        ),
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            "image/png",
            "9 bytes",
            True,
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://elsewhere.example/x.png"}},
            "image_url",
            "link, not loaded",
            False,
        ),
        (
            {"type": "uri", "modality": "image", "uri": "https://elsewhere.example/x.png"},
            "image",
            "link, not loaded",
            False,
        ),
        ({"type": "blob", "mime_type": "image/svg+xml", "content": PNG}, "image/svg+xml", "9 bytes", False),
        ({"type": "blob", "mime_type": "image/png", "content": '"><script>'}, "image/png", "7 bytes", False),
        ({"type": "file", "modality": "document", "file_id": "f-1"}, "document", "reference", False),
    ],
)
def test_only_small_recorded_raster_images_become_images(
    part: dict[str, Any], label: str, note: str, image: bool
) -> None:
    block = content.read(json.dumps([{"role": "user", "parts": [part]}])).messages[0].blocks[0]
    assert (block.kind, block.label, block.note, bool(block.image)) == ("media", label, note, image)


def test_documents_of_a_retrieval() -> None:
    found = content.read('[{"id":"a","score":0.912345,"content":"text"},{"id":"b","score":1,"source":"s"}]')
    assert found.kind == "documents"
    assert [(b.label, b.note, b.text) for b in found.blocks] == [
        ("a", "0.912", "text"),
        ("b", "1", '{\n  "source": "s"\n}'),
    ]


@pytest.mark.parametrize(
    ("recorded", "kind", "text"),
    [
        ("plain words", "text", "plain words"),
        ('"a JSON string"', "text", "a JSON string"),
        (
            '{"a": [1, 2.50, true, null, "\\u00e9"]}',
            "json",
            '{\n  "a": [\n    1,\n    2.5,\n    true,\n    null,\n    "é"\n  ]\n}',
        ),
        (
            '[{"role": "user", "parts": [{"type": "text", "content": "cut of',
            "text",
            '[{"role": "user", "parts": [{"type": "text", "content": "cut of',
        ),
        ("[]", "json", "[]"),
        ("12.50", "text", "12.50"),
        ("[1e999, NaN]", "json", "[\n  Infinity,\n  NaN\n]"),
        ("[" * 100_000, "text", "[" * content.SHORT.characters),
        ("[" + "9" * 5000 + "]", "text", "[" + "9" * 5000 + "]"),
    ],
)
def test_everything_else_is_shown_as_it_was_recorded(recorded: str, kind: str, text: str) -> None:
    found = content.read(recorded)
    assert (found.kind, found.blocks[0].text) == (kind, text)


@pytest.mark.parametrize("recorded", [None, ""])
def test_nothing_recorded(recorded: str | None) -> None:
    assert content.read(recorded).kind == "empty"


def test_deep_nesting_is_not_indented_level_by_level() -> None:
    deep = "[" * 500 + "]" * 500
    assert content.read(deep).blocks[0].text == deep


def test_long_text_and_long_conversations_are_bounded_and_say_so() -> None:
    long = content.read("x" * 10_000)
    assert (len(long.blocks[0].text), long.blocks[0].hidden, long.bounded) == (6_000, 4_000, True)
    many = content.read(json.dumps([{"role": "user", "content": str(n)} for n in range(100)]))
    assert (len(many.messages), many.skipped, many.skipped_at, many.bounded) == (40, 60, 20, True)
    assert [m.blocks[0].text for m in many.messages[19:21]] == ["19", "80"]
    full = content.read("x" * 10_000, content.FULL)
    assert (len(full.blocks[0].text), full.bounded) == (10_000, False)


def test_code_fences_become_blocks() -> None:
    found = content.read("before\n```python\nx = 1\n```\nafter")
    assert [(b.kind, b.label, b.text) for b in found.blocks] == [
        ("text", "", "before"),
        ("code", "python", "x = 1"),
        ("text", "", "after"),
    ]
    unclosed = content.read("```\nrest")
    assert [(b.kind, b.text) for b in unclosed.blocks] == [("code", "rest")]


@pytest.mark.parametrize(
    ("recorded", "words"),
    [
        ('[{"role":"system","content":"s"},{"role":"user","content":"the question"}]', "the question"),
        (
            '[{"role":"assistant","parts":[{"type":"tool_call","name":"f","arguments":{"a":1}}]}]',
            '→ f({ "a": 1 })',
        ),
        ('[{"role":"user","parts":[{"type":"text","content":"cut \\"off', 'cut "off'),
        ('[{"role":"user","parts":[{"type":"text","content":"ends in a backslash \\', "ends in a backslash "),
        ('"just text"', "just text"),
        ('{"b":1}', '{ "b": 1 }'),
        ("words", "words"),
        ('[{"id":"doc","score":1}]', "doc"),
        (None, ""),
    ],
)
def test_preview_finds_the_words(recorded: str | None, words: str) -> None:
    assert content.preview(recorded) == words
