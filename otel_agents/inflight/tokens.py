"""What a suspended run is written down as: a text that another process goes on from.

It holds what the run's spans hold (ids, start, attributes; content as it was captured, redacted), what
it has counted so far, and what was in force around it. It is neither encrypted nor signed.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

_VERSION: Final = "oa1."
#: Most bytes that a token may unpack to.
_LIMIT: Final = 64 * 1024**2


class BadToken(ValueError):
    """A text that is no token, or one of a version that is not known here."""


@dataclass(slots=True)
class Part:
    """One run of those that were suspended together.

    Attributes:
        operation: ``invoke_agent`` or ``invoke_workflow``.
        name: of the agent or workflow; redacted.
        span_name: of the span.
        span: id of the span.
        parent: id of its parent; 0 for none.
        start: nanoseconds since the epoch.
        active: seconds that it has worked so far.
        paused: seconds that it was suspended before this time.
        attributes: of the span.
        calls: of models and of tools so far.
        counted: what the model calls came to: see ``tracing.scopes.Counted``.
        is_task: whether it is counted as a task in the end.
        told: of a task: what the app has said that it used, as the observer's ``Totals``.
    """

    operation: str
    name: str
    span_name: str
    span: int
    parent: int
    start: int
    active: float
    paused: float
    attributes: Mapping[str, Any]
    calls: Sequence[int] = (0, 0)
    counted: Mapping[str, float] = field(default_factory=dict)
    is_task: bool = False
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Suspended:
    """Runs that were suspended together, the outermost first.

    Attributes:
        trace: id of the trace.
        at: when, nanoseconds since the epoch.
        attributes: for every span inside: session, user and so on.
        labels: of metrics inside.
        parts: the runs.
    """

    trace: int
    at: int
    attributes: Mapping[str, Any]
    labels: Mapping[str, str]
    parts: Sequence[Part]


def written(suspended: Suspended) -> str:
    """``suspended`` as a text of letters, digits, ``-``, ``_`` and one dot."""
    packed = zlib.compress(json.dumps(asdict(suspended), separators=(",", ":")).encode())
    return _VERSION + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def read(token: object) -> Suspended:
    """What :func:`written` made a text of.

    Raises:
        BadToken: it did not make this one.
    """
    if not isinstance(token, str) or not token.startswith(_VERSION):
        raise BadToken("it is no token of suspend(), or one of another version")
    text = token.removeprefix(_VERSION)
    try:
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        unpacker = zlib.decompressobj()
        content = json.loads(unpacker.decompress(packed, _LIMIT))
        parts = [Part(**part) for part in content.pop("parts")]
        found = Suspended(**content, parts=parts)
        if not parts or not 0 < found.trace < 1 << 128 or any(not 0 < one.span < 1 << 64 for one in parts):
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError, zlib.error):
        raise BadToken("the token of suspend() is damaged") from None
    return found
