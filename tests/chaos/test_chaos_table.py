"""What the documentation says of the scenarios is what they are."""

from __future__ import annotations

from chaos_table import PAGE, page
from scenarios import SCENARIOS


def test_the_table_is_up_to_date() -> None:
    """Else: ``python tests/chaos/chaos_table.py``."""
    text = PAGE.read_text()
    assert page(text) == text


def test_each_says_what_happens_and_what_is_promised() -> None:
    for name, function in SCENARIOS.items():
        assert "\n\n" in (function.__doc__ or ""), name
