"""Which content may leave the process at all; redaction comes after that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from otel_agents.config import Settings

#: Model messages on the wire; arguments and results of decorated functions; what the user hands
#: over by ``record()``, ``update()``, ``event()`` or ``score()``.
Content = Literal["messages", "arguments", "explicit"]

_CAPTURED: Final[dict[str, frozenset[str]]] = {
    "all": frozenset({"messages", "arguments", "explicit"}),
    "messages": frozenset({"messages", "explicit"}),
    "explicit": frozenset({"explicit"}),
    "none": frozenset(),
}


def captures(settings: Settings, what: Content) -> bool:
    """Whether content of this kind is exported (``OTEL_AGENTS_CAPTURE_CONTENT``).

    A mode that is not known captures nothing.
    """
    return what in _CAPTURED.get(settings.capture, frozenset())
