"""Gives the topmost span of a trace the conversation that went on beneath it.

Langfuse's list of traces shows input and output of the topmost observation, and filters by them. An agent or
workflow whose own arguments are not captured has neither, while its model calls do: so what the first call
was asked and what the last one answered is shown there, too. Only on the exported copy, only in the
process that made the calls, and never beside content of the span's own.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from otel_agents import semconv
from otel_agents.export.copies import changed

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

#: Characters kept of all traces whose topmost span has not ended yet; beyond it the oldest get nothing.
_ALL: Final = 16_000_000
#: Characters of a trace's first question, and of its last answer.
_EACH: Final = 65_536
#: Traces, however short.
_TRACES: Final = 10_000
_CALLS: Final = frozenset({semconv.OP_CHAT, semconv.OP_TEXT_COMPLETION, semconv.OP_GENERATE_CONTENT})
_RUNS: Final = frozenset({semconv.OP_INVOKE_AGENT, semconv.OP_INVOKE_WORKFLOW})
_CONTENT: Final = (semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES)


class _Conversation:
    """The first question and the last answer of a trace so far, with their times."""

    __slots__ = ("answer", "answered", "asked", "question")

    def __init__(self) -> None:
        self.question: str | None = None
        self.asked = 0
        self.answer: str | None = None
        self.answered = 0

    def __len__(self) -> int:
        return len(self.question or "") + len(self.answer or "")

    def add(self, span: ReadableSpan) -> None:
        attributes = span.attributes or {}
        question, answer = (attributes.get(name) for name in _CONTENT)
        asked, answered = span.start_time or 0, span.end_time or 0
        short = isinstance(question, str) and len(question) <= _EACH
        if short and (self.question is None or asked < self.asked):
            self.question, self.asked = str(question), asked
        short = isinstance(answer, str) and len(answer) <= _EACH
        if short and answered >= self.answered:
            self.answer, self.answered = str(answer), answered


class Hoist:
    """Sees every span on its way out, children before those above them. For one thread."""

    def __init__(self) -> None:
        self._traces: OrderedDict[int, _Conversation] = OrderedDict()
        self._kept = 0  # characters

    def __call__(self, span: ReadableSpan) -> ReadableSpan:
        """The span, with the conversation beneath it if it is topmost and has none of its own."""
        attributes = span.attributes or {}
        operation = attributes.get(semconv.OPERATION_NAME)
        if span.context is None or operation is None:
            return span
        if operation in _CALLS and any(name in attributes for name in _CONTENT):
            self._note(span)
        if operation not in _RUNS or not (span.parent is None or attributes.get(semconv.APP_ROOT)):
            return span
        found = self._traces.pop(span.context.trace_id, None)
        if found is not None:
            self._kept -= len(found)
        if found is None or any(name in attributes for name in _CONTENT):
            return span
        both = zip(_CONTENT, (found.question, found.answer), strict=True)
        told = {name: value for name, value in both if value is not None}
        return changed(span, attributes={**attributes, **told})

    def _note(self, span: ReadableSpan) -> None:
        assert span.context is not None
        found = self._traces.setdefault(span.context.trace_id, _Conversation())
        before = len(found)
        found.add(span)
        self._kept += len(found) - before
        while len(self._traces) > _TRACES or self._kept > _ALL:
            self._kept -= len(self._traces.popitem(last=False)[1])
