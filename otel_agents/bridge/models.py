"""Names the model of Codex' calls, whose spans say tokens and no model: without one they have no price.

The model is on spans around a call, which mostly come in one request with it. They end after the tools that
the call asked for, though, so they may come later; then the call is of the one model that its trace is known
to use. Only the first call of a trace can miss that.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from otel_agents import semconv as sc
from otel_agents.bridge.batches import set_text, text_of
from otel_agents.normalize.dialect import NORMALIZED

if TYPE_CHECKING:
    from otel_agents.bridge.batches import Batch

_CODEX: Final = "codex"
_MODEL: Final = "model"
#: Traces of which the models are remembered, and spans that are looked at above one.
_MAX_TRACES: Final = 10_000
_MAX_ABOVE: Final = 64


class Models:
    """What is known of the models of traces."""

    __slots__ = ("_of_trace",)

    def __init__(self) -> None:
        self._of_trace: OrderedDict[bytes, set[str]] = OrderedDict()

    def name(self, batch: Batch) -> None:
        """Sets the model of Codex' calls that have none."""
        codex = {
            (bytes(span.trace_id), bytes(span.span_id)): span
            for _, span in batch.spans()
            if text_of(span.attributes, NORMALIZED) == _CODEX
        }
        for (trace, _), span in codex.items():
            if model := _said(span):
                self._learn(trace, model)
        for (trace, _), span in codex.items():
            if text_of(span.attributes, sc.OPERATION_NAME) != sc.OP_CHAT or _said(span):
                continue
            known = self._of_trace.get(trace, set())
            model = _around(span, codex) or (next(iter(known)) if len(known) == 1 else None)
            if model:
                set_text(span, sc.REQUEST_MODEL, model)
                batch.changed = True

    def _learn(self, trace: bytes, model: str) -> None:
        self._of_trace.setdefault(trace, set()).add(model)
        self._of_trace.move_to_end(trace)
        if len(self._of_trace) > _MAX_TRACES:
            self._of_trace.popitem(last=False)


def _said(span: Any) -> str | None:
    return text_of(span.attributes, sc.REQUEST_MODEL) or text_of(span.attributes, _MODEL)


def _around(span: Any, others: dict[tuple[bytes, bytes], Any]) -> str | None:
    """The model of the nearest span above that says one, in the same request."""
    trace = bytes(span.trace_id)
    for _ in range(_MAX_ABOVE):
        above = others.get((trace, bytes(span.parent_span_id)))
        if above is None:
            return None
        if model := _said(above):
            return model
        span = above
    return None
