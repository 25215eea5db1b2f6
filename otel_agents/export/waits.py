"""How long to wait before the next try: what the server asks for, else longer each time, with jitter."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

_FIRST: Final = 0.5
_LONGEST: Final = 30.0
#: A server may ask for more patience than we would have, up to this many seconds.
_LONGEST_ASKED: Final = 300.0


def pause(failures: int, asked: float | None) -> float:
    """Seconds to wait after the ``failures``-th failure in a row; ``asked`` is what the server wants.

    With jitter, so that many processes do not come back at one instant.
    """
    if asked is not None:
        asked = min(max(asked, 0.0), _LONGEST_ASKED)
        return asked + random.uniform(0.0, 0.1 * asked + 0.05)
    longest = min(_FIRST * 2.0 ** min(max(failures, 1) - 1, 10), _LONGEST)
    return random.uniform(longest / 2, longest)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a ``Retry-After`` header, given in seconds or as a date; None without one (RFC 9110)."""
    given = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
    if given is None:
        return None
    try:
        seconds = float(given)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(given).timestamp() - time.time()
        except (TypeError, ValueError):
            return None
    return max(seconds, 0.0) if seconds == seconds else None
