"""Writes the table of scenarios into docs/reliability.md: ``python tests/chaos/chaos_table.py``."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "reliability.md"
BEGIN: Final = "<!-- scenarios: written by tests/chaos/chaos_table.py -->"
END: Final = "<!-- end of scenarios -->"


def table() -> str:
    """The scenarios as a Markdown table."""
    from scenarios import SCENARIOS

    rows = ["| what happens | what becomes of the spans | to see it |", "|---|---|---|"]
    for name, function in SCENARIOS.items():
        what, _, promise = inspect.cleandoc(function.__doc__ or "").partition("\n\n")
        cells = (" ".join(text.split()) for text in (what, promise))
        rows.append(f"| {' | '.join(cells)} | `make chaos ONLY={name}` |")
    return "\n".join(rows)


def page(text: str) -> str:
    """The page with the table as it should be."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{PAGE} lacks the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    PAGE.write_text(page(PAGE.read_text()))
