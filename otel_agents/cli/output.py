"""How commands print rows, differences and figures."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Final

from otel_agents.cli.errors import CommandError

#: Control characters but tab and line end.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def one_of(option: str, given: str, known: Sequence[str]) -> str:
    """``given`` if it is one of those that an option takes.

    Raises:
        CommandError: naming those that there are.
    """
    if given not in known:
        raise CommandError(f"{option} {given!r} is not known; choose from {', '.join(known)}", 2)
    return given


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns; plain text, so that it can be piped, with bold titles on a terminal."""
    widths = [max(len(row[index]) for row in (titles, *rows)) for index in range(len(titles))]
    heading = _line(titles, widths)
    print(f"\x1b[1m{heading}\x1b[0m" if sys.stdout.isatty() else heading)
    for row in rows:
        print(_line(row, widths))


def print_diff(text: str) -> None:
    """A unified diff, coloured on a terminal."""
    if not sys.stdout.isatty():
        print(text)
        return
    for line in text.splitlines():
        colour = {"+": "32", "-": "31", "@": "36"}.get(line[:1])
        print(f"\x1b[{colour}m{line}\x1b[0m" if colour else line)


def dollars(value: float | None) -> str:
    """US dollars with as many digits as say something; ``-`` for what is not known."""
    if value is None:
        return "-"
    if value == 0:
        return "$0"
    return f"${value:,.2f}" if abs(value) >= 10 else f"${value:.6f}".rstrip("0").rstrip(".")


def seconds(value: float | None) -> str:
    """A duration; ``-`` for what is not known."""
    if value is None:
        return "-"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def percent(value: float | None) -> str:
    """A share from 0 to 1; ``-`` for what is not known."""
    return "-" if value is None else f"{value * 100:.3g} %"


def whole(value: float | None) -> str:
    """A number without a fraction; ``-`` for what is not known."""
    return "-" if value is None else f"{value:,.0f}"


def counted(number: int, what: str) -> str:
    """``1 call``, ``2 calls``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def visible(text: str) -> str:
    """Recorded text without control characters, which could do things to a terminal."""
    return _CONTROL.sub("", text)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
