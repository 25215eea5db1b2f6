# ruff: noqa: E501
"""JSON objects out of what programs print, whole or not."""

from __future__ import annotations

import time
from typing import Any

import pytest

from otel_agents.cli_agents.documents import Documents


def read(text: str, limit: int = 1 << 20) -> tuple[list[Any], dict[str, int]]:
    documents = Documents(limit)
    found = [one for line in text.splitlines(keepends=True) for one in documents.feed(line)]
    found += documents.finish()
    return found, dict(documents.skipped)


A, B = {"type": "a", "n": 1}, {"type": "b", "text": 'x "{y}" \\'}
A_LINE, B_LINE = '{"type":"a","n":1}', '{"type":"b","text":"x \\"{y}\\" \\\\"}'
PRETTY = '{\n  "type": "a",\n  "list": [\n    {\n      "x": 1\n    }\n  ],\n  "n": 1\n}'
PRETTY_VALUE = {"type": "a", "list": [{"x": 1}], "n": 1}


@pytest.mark.parametrize(
    ("text", "expected", "skipped"),
    [
        ("", [], {}),
        ("\n\n  \n", [], {}),
        (A_LINE, [A], {}),
        (f"{A_LINE}\n{B_LINE}\n", [A, B], {}),
        (f"\r\n{A_LINE}\r\n{B_LINE}", [A, B], {}),
        (f"{A_LINE}{B_LINE}\n", [A, B], {}),
        (PRETTY, [PRETTY_VALUE], {}),
        (f"{PRETTY}\n{PRETTY}\n{A_LINE}", [PRETTY_VALUE, PRETTY_VALUE, A], {}),
        (f"Warning: a\n{A_LINE}\nnode: b", [A], {"text_between_events": 2}),
        (f"(node:1) Warning: x {A_LINE}\n", [A], {"text_between_events": 1}),
        (f"{A_LINE} and more\n", [A], {"text_between_events": 1}),
        (PRETTY.replace('  "n"', 'Warning: between\n  "n"'), [PRETTY_VALUE], {"text_between_events": 1}),
        # A killed program leaves half of a line; what is complete in it is taken.
        (f'{A_LINE}\n{{"type":"result","usage":{{"in":20,"out":4', [A, {"type": "result", "usage": {"in": 20}}], {"cut_json": 1}),
        (f'{A_LINE}\n{{"type":"b","te', [A, {"type": "b"}], {"cut_json": 1}),
        (f'{A_LINE}\n{{"ty', [A], {"cut_json": 1}),
        (PRETTY[: PRETTY.index("]")], [{"type": "a", "list": [{"x": 1}]}], {"cut_json": 1}),
        # Half of a line, and then the next one.
        (f'{{"type":"x","data":{{\n{A_LINE}\n', [{"type": "x", "data": {}}, A], {"cut_json": 1}),
        ("[1, 2]\n7\nnull\n", [], {"no_json_object": 3}),
        ("{not json}\n", [], {"text_between_events": 1}),
    ],
)  # fmt: skip
def test_documents(text: str, expected: list[Any], skipped: dict[str, int]) -> None:
    found, left = read(text)
    assert found == expected
    assert left == skipped


def test_an_object_beyond_the_limit_is_left_out() -> None:
    _, skipped = read('{\n "a": "' + "x" * 2000 + '"\n}\n', limit=1000)
    assert skipped["too_long_line"] == 1


def test_every_prefix_of_a_stream_is_read() -> None:
    """Wherever it is cut: no exception, and every complete line is there."""
    text = f"{A_LINE}\n{B_LINE}\n{PRETTY}\n"
    for end in range(len(text)):
        found, _ = read(text[:end])
        whole = text[:end].count("\n")
        assert found[: min(whole, 2)] == [A, B][: min(whole, 2)]


@pytest.mark.parametrize(
    "lines",
    [
        ["{\n", '"a":[\n', *["}\n"] * 30_000],
        ['{"a":{\n'] * 30_000,
        ["[\n"] * 30_000 + ["]\n"] * 30_000,
        ['{"' * 100_000 + "\n"],
    ],
    ids=["ends that are none", "objects without end", "lists in lists", "on one line"],
)
def test_brackets_without_end_take_no_time(lines: list[str]) -> None:
    """They took half a minute, of the app's event loop."""
    documents = Documents()
    started = time.process_time()
    for line in lines:
        list(documents.feed(line))
    list(documents.finish())
    assert time.process_time() - started < 3


def test_deep_nesting_is_no_crash() -> None:
    found, skipped = read('{"a":' * 20_000 + "1" + "}" * 20_000 + f"\n{A_LINE}")
    assert found[-1] == A
    assert skipped
