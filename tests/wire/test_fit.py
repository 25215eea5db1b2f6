"""Messages within the limit of one attribute: always valid JSON in the same schema."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agents.wire import fit


def message(text: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def test_what_fits_is_left_alone() -> None:
    items = [message("hi")]
    assert fit.to_json(items, 1000) == (json.dumps(items, separators=(",", ":")), False)


def test_long_texts_are_cut_before_messages_are_dropped() -> None:
    encoded, cut = fit.to_json([message("a" * 5000), message("short"), message("b" * 5000)], 2000)
    first, second, third = json.loads(encoded)
    assert cut
    assert second == message("short")
    assert first["parts"][0]["content"].startswith("aaaa")
    assert first["parts"][0]["content"].endswith("more characters]")
    assert third["parts"][0]["content"].startswith("bbbb")


def test_of_a_long_conversation_both_ends_stay() -> None:
    encoded, cut = fit.to_json([message(f"message {number}") for number in range(500)], 1000)
    items = json.loads(encoded)
    texts = [item["parts"][0]["content"] for item in items]
    assert cut
    assert texts[0] == "message 0"
    assert texts[-1] == "message 499"
    assert f"[{500 - len(items) + 1} left out]" in texts


def test_half_an_image_is_no_image() -> None:
    blob = {"type": "blob", "mime_type": "image/png", "modality": "image", "content": "QUJD" * 1000}
    encoded, _ = fit.to_json([{"role": "user", "parts": [blob]}], 1000)
    assert json.loads(encoded)[0]["parts"][0] == {**blob, "content": "", "byte_size": 3000}


@given(
    st.lists(st.builds(message, st.text(max_size=400)), max_size=30),
    st.integers(min_value=128, max_value=3000),
)
@settings(deadline=None)
def test_never_over_the_limit(items: list[dict[str, Any]], limit: int) -> None:
    encoded, cut = fit.to_json(items, limit)
    assert len(encoded) <= limit
    decoded = json.loads(encoded)
    assert cut or decoded == items
    assert all(set(item) == {"role", "parts"} for item in decoded)


@pytest.mark.parametrize("limit", [0, 1, 2, 127])
def test_absurd_limits(limit: int) -> None:
    encoded, cut = fit.to_json([message("x" * 100)], limit)
    assert cut
    assert json.loads(encoded) == []
