"""Whatever hypothesis comes up with: valid JSON, UTF-8, within the limit; plain values are kept."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from otel_agents.values import MARKER_ROOM, bounded_json, bounded_text
from otel_agents.values.attributes import attribute_value

texts = st.text(alphabet=st.characters(exclude_categories=()), max_size=60)  # lone surrogates too
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    texts,
    st.binary(max_size=40),
    st.datetimes(),
    st.dates(),
    st.timedeltas(),
    st.decimals(),
    st.fractions(),
    st.uuids(),
    st.complex_numbers(),
)
keys = st.one_of(texts, st.integers(), st.none(), st.booleans(), st.floats(), st.tuples(texts, st.integers()))
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=8),
        st.tuples(inner, inner),
        st.dictionaries(keys, inner, max_size=8),
        st.sets(st.one_of(texts, st.integers()), max_size=5),
        st.frozensets(st.integers(), max_size=5),
    ),
    max_leaves=40,
)
plain = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=40),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=6), st.dictionaries(st.text(max_size=20), inner, max_size=6)
    ),
    max_leaves=30,
)


@given(anything, st.integers(0, 3000))
@settings(max_examples=400, deadline=None)
@example({"a": {"b": ["x" * 500] * 30}}, 40)
@example([["\x00" * 50] * 5] * 5, 60)
@example({"": {"": {"": {"": [0] * 400}}}}, 3)
def test_bounded_valid_json(value: Any, limit: int) -> None:
    text, _ = bounded_json(value, limit)
    assert len(text) <= limit + MARKER_ROOM
    msgspec.json.decode(text.encode("utf-8"))


@given(plain)
@settings(max_examples=300, deadline=None)
def test_plain_values_survive_unchanged(value: Any) -> None:
    text, truncated = bounded_json(value, 1_000_000)
    assert not truncated
    assert json.loads(text) == value


@given(anything)
@settings(max_examples=200, deadline=None)
def test_cut_says_that_it_was_cut(value: Any) -> None:
    whole, nothing_cut = bounded_json(value, 1_000_000)
    assert not nothing_cut
    part, truncated = bounded_json(value, 20)
    assert truncated == (part != whole)


@given(anything, st.integers(0, 500))
@settings(max_examples=200, deadline=None)
def test_text(value: Any, limit: int) -> None:
    text, _ = bounded_text(value, limit)
    assert len(text) <= limit + MARKER_ROOM
    text.encode("utf-8")


@given(anything)
@settings(max_examples=200, deadline=None)
def test_attribute_values_are_what_spans_take(value: Any) -> None:
    found = attribute_value(value, 500)
    items = found if isinstance(found, list) else [found]
    assert found is None or items, "an empty list was made"
    assert len({type(item) for item in items}) == 1
    for item in items:
        assert item is None or type(item) in (str, bool, int, float)
        if isinstance(item, str):
            item.encode("utf-8")
        if type(item) is int:
            assert -(2**63) <= item < 2**63
        if isinstance(item, float):
            assert math.isfinite(item)
