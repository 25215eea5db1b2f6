"""Numbers and hostile characters as people read them."""

from __future__ import annotations

import time

import pytest

from otel_agents.local.ui import clean, figures


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0, "$0"),
        (0.0046, "$0.0046"),
        (0.00000131, "$0.0000013"),
        (0.000099, "$0.000099"),
        (1e-9, "<$0.0000001"),
        (12.3, "$12.30"),
        (1234.5, "$1,234"),
        (-0.5, "−$0.5000"),
    ],
)
def test_usd(value: float | None, text: str) -> None:
    assert figures.usd(value) == text


def test_usd_short_and_exact() -> None:
    assert figures.usd_short(0.0000013) == "<$0.0001"
    assert figures.usd_short(0.0046) == "$0.0046"
    assert figures.usd_exact(0.0000013) == "$0.0000013"
    assert figures.usd_exact(0.1 + 0.2) == "$0.3"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0 ms"),
        (0.0004, "<1 ms"),
        (0.32, "320 ms"),
        (0.9996, "1.00 s"),
        (1.234, "1.23 s"),
        (12.5, "12.5 s"),
        (59.96, "1m"),
        (247, "4m 07s"),
        (3600, "1h"),
        (7500, "2h 05m"),
        (273_600, "3d 04h"),
        (-1.5, "−1.50 s"),
    ],
)
def test_seconds(value: float | None, text: str) -> None:
    assert figures.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (9_999, "9,999"),
        (12_345, "12.3k"),
        (99_960, "100k"),
        (999_960, "1.0M"),
        (3.2e9, "3.2B"),
    ],
)
def test_compact(value: float | None, text: str) -> None:
    assert figures.compact(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0%"),
        (1, "100%"),
        (0.0001, "<0.1%"),
        (0.9999, ">99.9%"),
        (0.042, "4.2%"),
        (0.25, "25%"),
    ],
)
def test_percent_never_rounds_something_to_nothing(value: float | None, text: str) -> None:
    assert figures.percent(value) == text


def test_times_survive_any_integer() -> None:
    assert figures.iso(1_700_000_000_123_000_000) == "2023-11-14T22:13:20.123Z"
    for odd in (0, -(2**63), 2**63 - 1):
        assert figures.full_time(odd)
        assert figures.clock(odd)


def test_times_are_in_the_machines_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert figures.full_time(1_700_000_000_123_000_000) == "2023-11-15 03:43:20.123 +05:30"
        assert figures.zone() == "IST (UTC+05:30)"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("nul\x00 esc\x1b[31m", "nul␀ esc␛[31m"),
        ("line\r\nend", "line\nend"),
        ("del\x7f c1\x9b", "del␡ c1⟨U+009B⟩"),
        ("evil\u202etxt.exe", "evil⟨U+202E⟩txt.exe"),
        ("zero\u200bwidth", "zero⟨U+200B⟩width"),
        ("half\ud800pair", "half\ufffdpair"),
        ("👩\u200d💻 é", "👩\u200d💻 é"),
    ],
)
def test_characters_that_hide_or_reorder_are_shown(text: str, shown: str) -> None:
    assert clean.visible(text) == shown
    clean.visible(text).encode("utf-8")


def test_one_line_looks_only_at_what_can_show() -> None:
    assert clean.one_line(" a\n b\t c ", 10) == "a b c"
    assert clean.one_line("word " * 10_000_000, 9) == "word word…"
