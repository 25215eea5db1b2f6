"""Server-sent events, however the bytes were cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_agents.wire import sse
from otel_agents.wire.sse import Event

STREAM = (
    b"\xef\xbb\xbf: a comment\n"
    b'event: message_start\ndata: {"a": "\xc3\xa4"}\n\n'
    b"data:no space\r\n\r\n"
    b"id: 7\rdata: first\rdata: second\r\r"
    b"retry: 10\ndata\n\n"
    b"event: nothing\n\n"
    b"data: [DONE]\n\n"
)
EVENTS = [
    Event("message_start", '{"a": "ä"}'.encode()),
    Event("message", b"no space"),
    Event("message", b"first\nsecond"),
    Event("message", b""),
    Event("message", b"[DONE]"),
]


def test_the_whole() -> None:
    assert list(sse.events([STREAM])) == EVENTS


def test_every_single_cut() -> None:
    for at in range(len(STREAM) + 1):
        assert list(sse.events([STREAM[:at], STREAM[at:]])) == EVENTS, at


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM))))
def test_any_cuts(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[start:end] for start, end in pairwise(edges)]
    assert list(sse.events(chunks)) == EVENTS


def test_byte_by_byte() -> None:
    assert list(sse.events(STREAM[at : at + 1] for at in range(len(STREAM)))) == EVENTS


def test_an_unfinished_event_counts() -> None:
    assert list(sse.events([b"data: 1\n\nevent: x\ndata: 2"])) == [Event("message", b"1"), Event("x", b"2")]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_with_a_word(end: bytes) -> None:
    body = end.join([b'data: {"usage":{"a":1}}', b"", b"event: usage", b'data: {"usage":{"a":2}}', b"", b""])
    assert list(sse.data_lines(body, b'"usage":{')) == [b'{"usage":{"a":1}}', b'{"usage":{"a":2}}']
    assert sse.last_data_line(body, b'"usage":{') == b'{"usage":{"a":2}}'
    assert list(sse.first_data_lines(body, 1)) == [b'{"usage":{"a":1}}']
    assert list(sse.data_lines(body, b"missing")) == []
    assert sse.last_data_line(body, b"missing") is None


def test_words_in_text_are_escaped_and_not_found() -> None:
    assert list(sse.data_lines(b'data: {"content":"\\"usage\\":{"}\n\n', b'"usage":{')) == []
