"""Who accounts for the model call behind a span: the first that claims it, and nobody else.

A call can be seen twice: by the hook on the wire and by ``inference(...)`` around it, or by a span
of another instrumentation whose SDK then sends a request through a hooked client. The usage must
be counted once. Whoever is about to account for a span's call asks :func:`claim` first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.context import create_key

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_CLAIM: Final = "_otel_agents_claim"
_OFFER: Final = "_otel_agents_offer"

#: Context key that holds the call being sent: requests that its transport makes are part of it.
SENDING: Final = create_key("otel-agents-sending")


def offer(span: Span) -> None:
    """Marks a span as one model call that the wire hook may complete.

    Recording spans are recognised by ``gen_ai.operation.name``; a span that is not sampled has no
    attributes to look at, so ``inference(...)`` marks its own.
    """
    _set(span, _OFFER, True)


def is_offered(span: Span) -> bool:
    """Whether :func:`offer` was called for the span."""
    return getattr(span, _OFFER, False) is True


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


def is_claimed(span: Span) -> bool:
    """Whether somebody accounts for the span's call already."""
    return getattr(span, _CLAIM, None) is not None


def release(span: Span) -> None:
    """Gives a claim back: the attempt failed, nothing was billed, and another may follow in the span."""
    try:
        vars(span).pop(_CLAIM, None)
    except TypeError:
        pass


def _set(span: Span, name: str, value: object) -> None:
    if span.get_span_context().is_valid:
        try:
            setattr(span, name, value)
        except AttributeError:
            pass
