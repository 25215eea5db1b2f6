"""AWS event streams: any chunking gives the same frames, and damage costs no more than what it hit."""

from __future__ import annotations

from itertools import pairwise
from struct import pack
from zlib import crc32

from bedrock_frames import frame
from botocore.eventstream import EventStreamBuffer  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from otel_agents.wire.eventstream import Frame, frames

EVENTS = [
    frame("messageStart", b'{"role":"assistant"}'),
    frame("contentBlockDelta", b'{"delta":{"text":"caf\xc3\xa9 :event-type"}}'),
    frame("throttlingException", b'{"message":"slow down"}', message_type="exception"),
    frame("metadata", b'{"usage":{"inputTokens":1}}'),
]
WHOLE = b"".join(EVENTS)


def kinds(data: bytes) -> list[str]:
    return [found.kind for found in frames((data,))]


KINDS = ["messageStart", "contentBlockDelta", "throttlingException", "metadata"]


def test_frames_as_botocore_reads_them() -> None:
    """Our test frames are real ones, and both readers see the same in them."""
    theirs = EventStreamBuffer()
    theirs.add_data(WHOLE)
    assert [(m.headers, m.payload) for m in theirs] == [(f.headers(), f.payload) for f in frames((WHOLE,))]


def test_kinds() -> None:
    found = list(frames((WHOLE,)))
    assert [one.kind for one in found] == KINDS
    assert [one.is_exception for one in found] == [False, False, True, False]


@given(st.lists(st.integers(min_value=0, max_value=len(WHOLE)), max_size=40).map(sorted))
def test_cut_anywhere(cuts: list[int]) -> None:
    edges = [0, *cuts, len(WHOLE)]
    pieces = [WHOLE[start:end] for start, end in pairwise(edges)]
    assert list(frames(pieces)) == list(frames((WHOLE,)))


def test_byte_by_byte() -> None:
    assert [one.kind for one in frames(bytes([byte]) for byte in WHOLE)] == KINDS


@given(st.integers(min_value=0, max_value=len(WHOLE)))
def test_cut_short(at: int) -> None:
    found = kinds(WHOLE[:at])
    assert found == KINDS[: len(found)]
    whole = sum(at >= len(b"".join(EVENTS[: n + 1])) for n in range(4))
    assert len(found) == whole


@given(st.integers(0, len(WHOLE)), st.integers(0, len(WHOLE)), st.binary(max_size=60), st.integers(1, 50))
def test_a_gap_with_anything_in_it(start: int, end: int, instead: bytes, step: int) -> None:
    """Frames outside of the gap are read, and in pieces the same ones as at once."""
    start, end = sorted((start, end))
    damaged = WHOLE[:start] + instead + WHOLE[end:]
    found = list(frames((damaged,)))
    pieces = [damaged[at : at + step] for at in range(0, len(damaged), step)]
    assert list(frames(pieces)) == found
    position = 0
    for event, kind in zip(EVENTS, KINDS, strict=True):
        if position + len(event) <= start or position >= end:
            assert kind in [one.kind for one in found]
        position += len(event)


@given(st.binary(max_size=300))
def test_garbage(data: bytes) -> None:
    assert list(frames((data,))) == list(frames(bytes([byte]) for byte in data))


def test_wrong_checksums_are_read_all_the_same() -> None:
    """Of a server that does not bother; botocore would refuse them."""
    lazy = b"".join(event[:8] + bytes(4) + event[12:-4] + bytes(4) for event in EVENTS)
    assert kinds(lazy) == KINDS
    assert [one.kind for one in frames(bytes([byte]) for byte in lazy)] == KINDS


def test_all_types_of_headers() -> None:
    head = b"".join(
        bytes([len(name)]) + name + value
        for name, value in [
            (b"yes", b"\x00"),
            (b"no", b"\x01"),
            (b"byte", b"\x02\x07"),
            (b"short", b"\x03\x00\x07"),
            (b"int", b"\x04" + bytes(4)),
            (b"long", b"\x05" + bytes(8)),
            (b"bytes", b"\x06\x00\x02ab"),
            (b":event-type", b"\x07\x00\x04last"),
            (b"time", b"\x08" + bytes(8)),
            (b"uuid", b"\x09" + bytes(16)),
        ]
    )
    prelude = pack(">II", 16 + len(head), len(head))
    data = prelude + pack(">I", crc32(prelude)) + head
    (found,) = frames((data + pack(">I", crc32(data)),))
    assert found.headers() == {":event-type": "last"}
    assert found.payload == b""
    assert Frame(head[:-20], b"").kind == "last"
