"""Which requests are model calls, and whose.

A known host says the provider. On an unknown one (proxy, gateway, local server) the path and the
shape of the body decide, and the provider is the wire format's own unless a setting names another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from otel_agents.wire.formats import RequestFacts, WireFormat, dialect, formats
from otel_agents.wire.hosts import provider_of


class Recognised(NamedTuple):
    """A request that is a model call."""

    format: WireFormat
    provider: str
    facts: RequestFacts


def format_of(path: str) -> WireFormat | None:
    """The format whose API has a call at ``path``, or None.

    A format whose calls depend on the path (the model is in it) has a method ``at(path)`` that
    answers the format to use there.
    """
    global _among
    known = formats()
    if known is not _among:
        _by_path.clear()
        _among = known
    try:
        return _by_path[path]
    except KeyError:
        pass
    if len(_by_path) >= _REMEMBERED:
        _by_path.clear()
    _by_path[path] = found = _find(path, known)
    return found


#: Path → its format. Apps post to few paths, mostly to others than models'; those are not to pay for a
#: dozen formats.
_by_path: dict[str, WireFormat | None] = {}
_REMEMBERED: Final = 512
_among: tuple[WireFormat, ...] = ()


def _find(path: str, known: tuple[WireFormat, ...]) -> WireFormat | None:
    for wire_format in known:
        if wire_format.matches(path):
            at = getattr(wire_format, "at", None)
            found: WireFormat = wire_format if at is None else at(path)
            return found
    return None


def recognise(
    wire_format: WireFormat, host: str, port: int, body: bytes | None, named: Mapping[str, str]
) -> Recognised | None:
    """Decides on a POST whose path is that of ``wire_format``; ``body`` None means that it cannot be seen."""
    provider = provider_of(host, port, named, wire_format.provider)
    wire_format = dialect(wire_format, provider)
    facts: RequestFacts | None = None
    if body is not None:
        try:
            facts = wire_format.read_request(body)
        except ValueError:
            facts = None
    if facts is None:
        if provider is None or getattr(wire_format, "strict", False):
            return None
        facts = RequestFacts()
    return Recognised(wire_format, provider or wire_format.provider, facts)
