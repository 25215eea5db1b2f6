"""Bytes of a response: bounded memory, compression, and what can be read of what is left."""

from __future__ import annotations

import gzip
import json
import sys
import types
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from otel_agents.wire import capture, reading
from otel_agents.wire.capture import Body, Capture
from otel_agents.wire.formats import RequestFacts
from otel_agents.wire.providers.openai_chat import OpenAIChat

TEXT = json.dumps({"id": "r", "text": "x" * 5000}).encode()


def feed(data: bytes, size: int) -> Capture:
    kept = Capture()
    room = kept.room
    for start in range(0, len(data), size):
        chunk = data[start : start + size]
        if room > 0:
            kept.chunks.append(chunk)
            room -= len(chunk)
        else:
            kept.overflow(chunk)
    return kept


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("deflate, gzip", lambda data: gzip.compress(zlib.compress(data))),
        ("identity", bytes),
        (" GZIP ", gzip.compress),
    ],
)
def test_encodings(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    assert capture.decompress(compress(TEXT), encoding) == (TEXT, None)


def test_truncated_gzip_gives_what_there_is() -> None:
    content, problem = capture.decompress(gzip.compress(TEXT)[:-12], "gzip")
    assert problem == "truncated_gzip"
    assert content
    assert TEXT.startswith(content)


def test_damaged_data() -> None:
    assert capture.decompress(b"no gzip at all", "gzip") == (b"", "malformed_gzip")
    assert capture.decompress(b"no deflate", "deflate") == (b"", "malformed_deflate")


def test_encodings_that_nobody_here_knows() -> None:
    assert capture.decompress(b"data", "middle-out") == (b"", "encoding:middle-out")


@pytest.mark.parametrize(("encoding", "library"), [("br", "brotli"), ("zstd", "zstandard")])
def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, encoding: str, library: str) -> None:
    for name in (library, "brotlicffi", "compression"):
        monkeypatch.setitem(sys.modules, name, None)
    assert capture.decompress(b"data", encoding) == (b"", f"encoding:{encoding}")


def test_brotli_when_its_library_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Decompressor:
        """Like brotli's, with zlib inside."""

        def __init__(self) -> None:
            self._inner = zlib.decompressobj()

        def process(self, data: bytes) -> bytes:
            return self._inner.decompress(data)

        def is_finished(self) -> bool:
            return self._inner.eof

    library: Any = types.ModuleType("brotli")
    library.Decompressor = Decompressor
    monkeypatch.setitem(sys.modules, "brotli", library)
    assert capture.decompress(zlib.compress(TEXT), "br") == (TEXT, None)
    assert capture.decompress(zlib.compress(TEXT)[:-8], "br")[1] == "truncated_br"


def test_a_bomb_is_stopped() -> None:
    content, problem = capture.decompress(gzip.compress(bytes(100 * 1024 * 1024)), "gzip")
    assert problem == "too_big"
    assert len(content) == 32 * 1024 * 1024


def test_small_bodies_are_kept_whole() -> None:
    assert feed(TEXT, 7).body({}) == Body(TEXT)


def test_of_a_big_body_both_ends_are_kept() -> None:
    data = bytes(range(256)) * 65_536  # 16 MiB
    body = feed(data, 10_000).body({})
    assert body.truncated
    assert data.startswith(body.head)
    assert body.tail is not None
    assert data.endswith(body.tail)
    assert capture.HEAD_BYTES <= len(body.head) < capture.HEAD_BYTES + 10_000
    assert capture.TAIL_BYTES <= len(body.tail) < capture.TAIL_BYTES + 10_000


def test_one_huge_chunk_after_the_limit() -> None:
    kept = feed(b"a" * capture.HEAD_BYTES, capture.HEAD_BYTES)
    kept.overflow(b"b" * (10 * capture.TAIL_BYTES))
    body = kept.body({})
    assert body.tail == b"b" * capture.TAIL_BYTES


def test_a_big_json_body_still_says_what_was_used() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4}
    said = 'the "usage": {"prompt_tokens": 99} of it' + "x" * (8 * 1024 * 1024)
    choice = {"message": {"content": said}, "index": 0, "finish_reason": "stop"}
    data = json.dumps({"id": "r", "model": "m", "choices": [choice], "usage": usage}).encode()
    facts, readable, _ = reading.read(OpenAIChat(), RequestFacts(), feed(data, 65_536).body({}), {}, True)
    assert (facts.id, facts.model, facts.finish_reasons) == ("r", "m", ["stop"])
    assert facts.usage is not None
    assert (facts.usage.input, facts.usage.output) == (3, 4)
    assert readable == b""


def test_a_big_stream_still_says_what_was_used() -> None:
    piece = json.dumps({"id": "r", "model": "m", "choices": [{"index": 0, "delta": {"content": "x" * 1000}}]})
    usage = {"prompt_tokens": 3, "completion_tokens": 4}
    last = json.dumps({"choices": [{"index": 0, "finish_reason": "stop"}], "usage": usage})
    data = (f"data: {piece}\n\n" * 8000 + f"data: {last}\n\ndata: [DONE]\n\n").encode()
    facts, _, streamed = reading.read(
        OpenAIChat(), RequestFacts(), feed(data, 4096).body({}), {"content-type": "text/event-stream"}, True
    )
    assert streamed
    assert (facts.id, facts.finish_reasons) == ("r", ["stop"])
    assert facts.usage is not None
    assert facts.usage.output == 4


@pytest.mark.parametrize(
    ("body", "content_type", "is_stream"),
    [
        (b"data: {}", "application/json", True),
        (b"\xef\xbb\xbfevent: x", None, True),
        (b": ping", "text/plain", True),
        (b'{"a": 1}', "text/event-stream", False),
        (b"<html>", "text/event-stream", False),
        (b"", "text/event-stream; charset=utf-8", True),
        (b"", None, False),
    ],
)
def test_what_is_a_stream(body: bytes, content_type: str | None, is_stream: bool) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    assert capture.is_stream(body, headers) is is_stream
