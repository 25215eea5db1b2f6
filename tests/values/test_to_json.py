"""Any object becomes bounded, valid JSON."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import functools
import io
import json
import pathlib
import threading
import time
import uuid
from typing import Any
from unittest import mock

import attrs
import msgspec
import numpy as np
import pydantic
import pytest

from otel_agents.values import MARKER_ROOM, bounded_json, to_json, to_text

LIMIT = 10_000


def decoded(value: object, limit: int = LIMIT) -> Any:
    """The JSON of ``value``, read by a strict parser; UTF-8 and within the limit."""
    text = to_json(value, limit)
    assert len(text) <= limit + MARKER_ROOM
    msgspec.json.decode(text.encode("utf-8"))
    return json.loads(text)


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


Point = collections.namedtuple("Point", "x y")


@dataclasses.dataclass
class Task:
    title: str
    token: str = dataclasses.field(default="hidden", repr=False)


@attrs.define
class Attrs:
    a: int
    secret: str = attrs.field(default="hidden", repr=False)


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    a: int
    key: pydantic.SecretStr
    left_out: str = pydantic.Field(default="hidden", repr=False)


class Struct(msgspec.Struct):
    a: int


class Plain:
    def __init__(self) -> None:
        self.title = "x"
        self._private = "hidden"


class Slots:
    __slots__ = ("a", "b")

    def __init__(self) -> None:
        self.a = 1


class Text(str):
    def __str__(self) -> str:
        raise ValueError

    def __len__(self) -> int:
        return 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (1.5, 1.5),
        ("text", "text"),
        ([1, (2, "x")], [1, [2, "x"]]),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        ([float("-inf")], ["-Infinity"]),
        (2**63 - 1, 2**63 - 1),
        (2**63, "9223372036854775808"),
        (10**5000, "<integer of 16610 bits>"),
        (datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC), "2026-11-23T12:00:00+00:00"),
        (datetime.date(2026, 11, 23), "2026-11-23"),
        (datetime.time(1, 2, 3), "01:02:03"),
        (datetime.timedelta(hours=1), "1:00:00"),
        (decimal.Decimal("1.10"), "1.10"),
        (decimal.Decimal("NaN"), "NaN"),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        (complex(1, 2), "(1+2j)"),
        (b"plain text", "plain text"),
        (b"\xff\x00", "base64:/wA="),
        (bytearray(b"x"), "x"),
        (memoryview(b"x"), "x"),
        (b"\xff" * 5000, "<bytes of 5000 bytes>"),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"b", "a"}), ["a", "b"]),
        (collections.deque([1]), [1]),
        (range(3), [0, 1, 2]),
        (Point(1, 2), {"x": 1, "y": 2}),
        (collections.OrderedDict(a=1), {"a": 1}),
        (
            {1: "a", None: "b", (1, 2): "c", Colour.RED: "d"},
            {"1": "a", "null": "b", "[1,2]": "c", "red": "d"},
        ),
        ({1: "number", "1": "text"}, {"1": "number", "1'1": "text"}),
        (Task("t"), {"title": "t"}),
        (Attrs(1), {"a": 1}),
        (Model(a=1, key="secret", more=[1]), {"a": 1, "key": "SecretStr('**********')", "more": [1]}),
        (Struct(1), {"a": 1}),
        (Plain(), {"title": "x"}),
        (Slots(), {"a": 1, "b": "<not set>"}),
        (Text("abcdef"), "abcdef"),
        (ValueError("bad"), "ValueError: bad"),
        (functools.partial(decoded), "<functools.partial of <function decoded>>"),
        (decoded, "<function decoded>"),
        (Plain, "<type Plain>"),
        (json, "<module json>"),
        (threading.Lock(), "<unlocked _thread.lock object>"),
        (mock.Mock(), "<unittest.mock.Mock>"),
        (io.StringIO("not read"), "<_io.StringIO>"),
        (np.float64(1.5), 1.5),
        (np.int32(4), 4),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.datetime64("2026-11-23"), "2026-11-23"),
        (np.longdouble("1.5"), "1.5"),
        (np.float32("nan"), "NaN"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(5), 5),
        (np.array(["a", None], dtype=object), ["a", None]),
    ],
    ids=lambda value: str(type(value).__name__)[:20],
)
def test_json_form(value: object, expected: object) -> None:
    assert decoded(value) == expected


def test_big_array_shows_its_shape_and_its_beginning() -> None:
    found = decoded(np.zeros((1000, 1000)))
    assert found["shape"] == [1000, 1000]
    assert found["dtype"] == "float64"
    assert found["first"] == [0.0] * 100


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\ud800b", "a�b"),
        ("\ud83d\ude00", "😀"),  # two halves of one character
        ("\udc80", "�"),
        ("nul\x00", "nul\x00"),
        ("\u2028", "\u2028"),
    ],
)
def test_text_that_utf8_cannot_carry(text: str, expected: str) -> None:
    assert decoded(text) == expected
    assert decoded({text: [text]}) == {expected: [expected]}
    to_text(text, LIMIT).encode("utf-8")


def test_circular_structures() -> None:
    mapping: dict[str, Any] = {"a": 1}
    mapping["self"] = mapping
    assert decoded(mapping) == {"a": 1, "self": "<circular dict>"}
    items: list[Any] = []
    items.append({"up": items})
    assert decoded(items) == [{"up": "<circular list>"}]
    task = Plain()
    task.me = task  # type: ignore[attr-defined]
    assert decoded(task)["me"] == f"<circular {__name__}.Plain>"


def test_the_same_object_twice_is_not_circular() -> None:
    shared = {"a": 1}
    assert decoded([shared, shared, Plain()]) == [{"a": 1}, {"a": 1}, {"title": "x"}]


class RaisesFromRepr:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class ExitsFromRepr:
    def __repr__(self) -> str:
        raise SystemExit(3)


class RaisesFromDict:
    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        raise ValueError("no")


class RaisesFromClass:
    @property
    def __class__(self) -> type:  # type: ignore[override]
        raise ValueError("no")


class RaisesFromGetattr:
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("no")


class RaisesFromItems(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        raise RuntimeError("no")

    def __len__(self) -> int:
        raise RuntimeError("no")


class EndlessRepr:
    def __repr__(self) -> str:
        return repr(self)


class RaisingField:
    pass


@dataclasses.dataclass
class Half:
    good: int = 1

    def __getattribute__(self, name: str) -> Any:
        if name == "good":
            raise RuntimeError("no")
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    "hostile",
    [
        RaisesFromRepr,
        ExitsFromRepr,
        RaisesFromDict,
        RaisesFromClass,
        RaisesFromGetattr,
        RaisesFromItems,
        EndlessRepr,
    ],
)
def test_objects_that_raise_are_named(hostile: type) -> None:
    found = decoded([1, hostile(), {"x": hostile()}, 2])
    assert found[0] == 1
    assert found[3] == 2
    assert hostile.__name__ in str(found[1])
    assert decoded(hostile()) == found[1]


def test_one_raising_field_leaves_the_others() -> None:
    assert decoded(Half()) == {"good": f"<{__name__}.Half: cannot be read (RuntimeError)>"}


def test_keyboard_interrupt_is_the_users_own() -> None:
    class Interrupted:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        to_json(Interrupted(), LIMIT)


def test_iterators_are_not_consumed() -> None:
    generator = (number for number in range(3))
    mapped = map(str, [1, 2])

    async def coroutine() -> None: ...

    waiting = coroutine()
    assert decoded([generator, mapped, waiting]) == [
        "<generator test_iterators_are_not_consumed.<locals>.<genexpr>>",
        "<map>",
        "<coroutine test_iterators_are_not_consumed.<locals>.coroutine>",
    ]
    waiting.close()
    assert list(generator) == [0, 1, 2]
    assert list(mapped) == ["1", "2"]


def test_the_environment_is_not_a_mapping_to_show() -> None:
    import os

    assert decoded(os.environ) == "<os._Environ>"


def test_a_mapping_that_is_no_dict() -> None:
    class Headers(collections.abc.Mapping):  # type: ignore[type-arg]
        def __getitem__(self, key: str) -> str:
            return key.upper()

        def __iter__(self) -> Any:
            return iter(["a", "b"])

        def __len__(self) -> int:
            return 2

    assert decoded(Headers()) == {"a": "A", "b": "B"}


def test_long_text_is_cut_and_says_so() -> None:
    assert decoded("x" * 100, limit=10) == "xxxxxxxxxx...[cut 90 of 100 characters]"
    assert to_text("x" * 100, 10) == "xxxxxxxxxx...[cut 90 of 100 characters]"


def test_escapes_count() -> None:
    text = to_json("\x00" * 1000, 100)
    assert len(text) <= 100 + MARKER_ROOM
    assert json.loads(text).startswith("\x00" * 10)


def test_50_megabytes_are_not_read() -> None:
    huge = "ä" * 50_000_000
    started = time.thread_time()
    text, truncated = bounded_json({"a": huge, "b": [huge]}, 100_000)
    assert time.thread_time() - started < 0.5  # encoding it all takes far longer
    assert truncated
    assert "cut 49" in text
    json.loads(text)


def test_long_lists_are_cut_and_say_so() -> None:
    found = decoded(list(range(5000)), limit=100_000)
    assert found[:3] == [0, 1, 2]
    assert len(found) == 1001
    assert found[-1] == "...4000 more"
    assert decoded({str(n): n for n in range(5000)}, limit=100_000)["..."] == "4000 more"


def test_many_small_values_take_bounded_time() -> None:
    table = [[{"a": 1, "b": 2.5, "c": "x"} for _ in range(1000)] for _ in range(1000)]
    started = time.thread_time()
    text, truncated = bounded_json(table, 10_000_000)
    assert time.thread_time() - started < 2.0
    assert truncated
    json.loads(text)


def test_depth_is_bounded() -> None:
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    assert "<list of 1>" in to_json(deep, LIMIT)


def test_a_stack_without_room() -> None:
    def recurse() -> str:
        try:
            return recurse()
        except RecursionError:
            return to_json({"a": Plain()}, LIMIT)

    json.loads(recurse())


def test_a_dict_that_changes_meanwhile() -> None:
    shared = {str(number): number for number in range(500)}
    stop = threading.Event()

    def change() -> None:
        number = 1000
        while not stop.is_set():
            shared[str(number)] = number
            shared.pop(str(number - 50), None)
            number += 1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(300):
            json.loads(to_json(shared, LIMIT))
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("limit", [0, 1, 2, 5, 17, 100])
def test_tiny_limits(limit: int) -> None:
    for value in ("x" * 50, {"key" * 100: ["x" * 50] * 50}, [[[["x" * 30]]]], b"\xff" * 300, Plain()):
        decoded(value, limit)


def test_text_of_other_values() -> None:
    assert to_text(datetime.date(2026, 11, 23), LIMIT) == "2026-11-23"
    assert to_text({"a": 1}, LIMIT) == '{"a":1}'
    assert to_text(Text("abcdef"), LIMIT) == "abcdef"
    assert to_text(None, LIMIT) == "null"
