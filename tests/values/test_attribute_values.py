"""What users hand over as attributes and metadata becomes what OpenTelemetry takes."""

from __future__ import annotations

import datetime
import decimal
import enum

import numpy as np
import pytest

from otel_agents.values.attributes import attribute_value, attributes_of


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", "a"),
        (1, 1),
        (True, True),
        (1.5, 1.5),
        (None, None),
        ([], None),
        ((), None),
        (["a", "b"], ["a", "b"]),
        ((1, 2), [1, 2]),
        ([1, "a"], '[1,"a"]'),
        ([[1]], "[[1]]"),
        ([None], "[null]"),
        ({"a": {"b": 1}}, '{"a":{"b":1}}'),
        ({}, "{}"),
        (2**70, "1180591620717411303424"),
        (float("nan"), "nan"),
        (np.float64(2.5), 2.5),
        (np.int64(2), 2),
        (Colour.RED, "red"),
        (decimal.Decimal("1.5"), "1.5"),
        (datetime.date(2026, 11, 23), "2026-11-23"),
        ("\ud800", "�"),
        (["\ud800"], ["�"]),
    ],
)
def test_attribute_value(value: object, expected: object) -> None:
    found = attribute_value(value, 1000)
    assert found == expected
    assert type(found) is type(expected)


def test_long_lists_become_bounded_text() -> None:
    found = attribute_value(["x" * 100] * 100, 500)
    assert isinstance(found, str)
    assert len(found) < 1000


def test_mapping() -> None:
    given = {"a": 1, 2: "two", "none": None, "empty": [], "": "no name", "deep": {"x": [1]}}
    assert attributes_of(given, 1000) == {"a": 1, "2": "two", "deep": '{"x":[1]}'}


@pytest.mark.parametrize("nonsense", [None, 5, "text", [1], object()])
def test_no_mapping_no_attributes(nonsense: object) -> None:
    assert attributes_of(nonsense, 1000) == {}
