"""Capture modes: what is exported at all."""

from __future__ import annotations

import pytest

from otel_agents import config
from otel_agents.privacy import captures


@pytest.mark.parametrize(
    ("mode", "messages", "arguments", "explicit"),
    [
        ("all", True, True, True),
        ("messages", True, False, True),
        ("explicit", False, False, True),
        ("none", False, False, False),
    ],
)
def test_each_mode(mode: str, messages: bool, arguments: bool, explicit: bool) -> None:
    settings = config.resolve({"capture": mode}, {}, False)
    assert captures(settings, "messages") is messages
    assert captures(settings, "arguments") is arguments
    assert captures(settings, "explicit") is explicit


def test_only_what_is_handed_over_by_default() -> None:
    settings = config.resolve({}, {}, False)
    assert not captures(settings, "messages")
    assert captures(settings, "explicit")


def test_a_mode_nobody_knows_captures_nothing() -> None:
    from types import SimpleNamespace

    assert not captures(SimpleNamespace(capture="everything"), "explicit")  # type: ignore[arg-type]
