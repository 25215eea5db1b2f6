"""Who accounts for the model call behind a span: the first that claims it, and nobody else.

A call can be seen twice: by the hook on the wire and by ``inference(...)`` around it, or by a span
of another instrumentation whose SDK then sends a request through a hooked client. The usage must
be counted once. Whoever is about to account for a span's call asks :func:`claim` first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from opentelemetry.context import create_key

from otel_agents import runtime

if TYPE_CHECKING:
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

_CLAIM: Final = "_otel_agents_claim"
_OFFER: Final = "_otel_agents_offer"
_FREE: Final = "_otel_agents_free"

#: Context key that holds the call being sent: requests that its transport makes are part of it.
SENDING: Final = create_key("otel-agents-sending")


class Slot:
    """What the hook will know of an offered span, for the span's exported copy; empty until it does."""

    __slots__ = ("late",)

    def __init__(self) -> None:
        self.late: Callable[[], Mapping[str, AttributeValue]] | None = None

    def __call__(self) -> Mapping[str, AttributeValue]:
        return {} if self.late is None else self.late()


def offer(span: Span) -> None:
    """Marks a span as one model call that the wire hook may complete.

    Recording spans are recognised by ``gen_ai.operation.name``; a span that is not sampled has no
    attributes to look at, so ``inference(...)`` marks its own. It does so before it puts content on
    the span: what comes later wins, so what the app hands over stays.
    """
    slot = Slot()
    _set(span, _OFFER, slot)
    if span.get_span_context().trace_flags.sampled:
        runtime.current().defer(span, slot)


def offered(span: Span) -> Slot | None:
    """The slot of a span that :func:`offer` was called for."""
    slot = getattr(span, _OFFER, None)
    return slot if isinstance(slot, Slot) else None


def claim(span: Span) -> bool:
    """True for the first that asks, who then accounts for the span's call; False for all later ones.

    Spans that cannot carry the mark (the API's shared invalid span, foreign classes with slots) are
    always granted: nothing else can have claimed them either.
    """
    if not span.get_span_context().is_valid:
        return True
    mine = object()
    try:
        return vars(span).setdefault(_CLAIM, mine) is mine
    except TypeError:
        return True


def claim_attempt(span: Span) -> bool:
    """Like :func:`claim`, for the wire hook: also takes over from an attempt that :func:`release` ended."""
    if claim(span):
        return True
    try:
        return vars(span).pop(_FREE, None) is not None
    except TypeError:
        return False


def release(span: Span) -> None:
    """Ends an attempt that failed and was accounted as such; another attempt may follow in the same span."""
    _set(span, _FREE, True)


def is_free(span: Span) -> bool:
    """Whether the last attempt in the span failed and none has followed."""
    return getattr(span, _FREE, False) is True


def _set(span: Span, name: str, value: object) -> None:
    if span.get_span_context().is_valid:
        try:
            setattr(span, name, value)
        except AttributeError:
            pass
