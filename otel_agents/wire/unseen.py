"""Model calls that only another library's span tells of: counted from that span, once.

Models inside the process, answers from a cache, clients that speak gRPC: no hook sees them, but they are
generations in Langfuse all the same, so they are calls for the accountant too. A span whose call a hook
has seen is never counted here, even where the two could not be brought together while the call was under
way (some libraries make their span afterwards): then it is recognised by model, usage and time, and
exported as what it is, a second word about the same call.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from time import time_ns
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry import trace

from otel_agents import runtime, semconv
from otel_agents.accounting import CallRecord, Usage, price, span_attributes
from otel_agents.normalize import kinds
from otel_agents.normalize.record import Record, integer, number
from otel_agents.tracing.scopes import scope

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span as SdkSpan

logger = logging.getLogger(__name__)

#: Calls of the hooks that are remembered.
_KEPT: Final = 256
#: Nanoseconds by which the clocks of two that look at one call may differ.
_SLACK: Final = 1_000_000
#: Content, which says nothing of usage; so do values that are longer.
_CONTENT: Final = ("llm.input_messages.", "llm.output_messages.", "llm.tools.", "input.", "output.")
_LONGEST: Final = 1000
_UNKNOWN: Final = "unknown"
#: Where the Langfuse SDK has, as JSON, what the conventions have attributes for.
_DETAILS: Final = "langfuse.observation.usage_details"
_COSTS: Final = "langfuse.observation.cost_details"
_MODEL: Final = "langfuse.observation.model.name"


class _Seen(NamedTuple):
    span: int
    ended: int
    duration: float
    models: tuple[str | None, str | None]
    usage: Usage


_seen: deque[_Seen] = deque(maxlen=_KEPT)


def note(record: CallRecord, span: int) -> None:
    """Remembers a call that a hook has seen, by its span's id."""
    if record.usage is not None:
        models = (record.request_model, record.response_model)
        _seen.append(_Seen(span, time_ns(), record.duration, models, record.usage))


def account(span: SdkSpan, context: Context) -> int | None:
    """Counts the model call of an ended span that no hook has claimed. Never raises.

    Args:
        span: tells of a model call, and what it used.
        context: what was current when it started.

    Returns:
        The id of the span that tells of the same call, when a hook has seen it after all.
    """
    try:
        record = _record(span, context)
        if record is None or record.usage is None:
            return None
        same = _same(record, span)
        if same is not None:
            return same
        priced = record.cost is not None
        price(record)
        current = runtime.current()
        if not priced:
            told = {
                name: value
                for name, value in span_attributes(record).items()
                if name in (semconv.USAGE_COST, semconv.UNPRICED_REASON)
            }
            current.defer(span, lambda: told)
        run = scope(context).run
        if run is not None:
            run.inference_calls += 1
        current.accountant.submit(record)
    except Exception:
        logger.debug("otel-agents: a model call could not be recorded", exc_info=True)
    return None


def _record(span: SdkSpan, context: Context) -> CallRecord | None:
    from otel_agents.normalize.engine import normalize

    made_by = span.instrumentation_scope
    said = {
        name: value
        for name, value in (span.attributes or {}).items()
        if not (name.startswith(_CONTENT) or (isinstance(value, str) and len(value) > _LONGEST))
    }
    operation = kinds.model_call(said)
    words = Record("" if made_by is None else made_by.name, span.name, said)
    normalize(words)
    if operation is None:
        return None
    around = scope(context)
    agent = around.attributes.get(semconv.AGENT_NAME)
    return CallRecord(
        operation=operation,
        provider=_text(said, semconv.PROVIDER_NAME) or _UNKNOWN,
        request_model=_text(said, semconv.REQUEST_MODEL) or _text(said, _MODEL),
        response_model=_text(said, semconv.RESPONSE_MODEL),
        usage=_usage(said),
        error_type=_text(said, semconv.ERROR_TYPE),
        duration=max((span.end_time or 0) - (span.start_time or 0), 0) / 1e9,
        agent_name=agent if isinstance(agent, str) else None,
        labels=around.labels,
        context=trace.set_span_in_context(span, context),
        cost=_cost(said),
    )


def _usage(said: Mapping[str, Any]) -> Usage | None:
    counts = [
        integer(said.get(name))
        for name in (
            semconv.USAGE_INPUT_TOKENS,
            semconv.USAGE_OUTPUT_TOKENS,
            semconv.USAGE_CACHE_READ,
            semconv.USAGE_CACHE_WRITE,
            semconv.USAGE_REASONING,
        )
    ]
    if counts[0] is None and counts[1] is None:
        return _detailed(said)
    sent, made, read, written, thought = (max(count or 0, 0) for count in counts)
    return Usage(sent, made, min(read, sent), min(written, sent), reasoning=min(thought, made))


def _detailed(said: Mapping[str, Any]) -> Usage | None:
    """Langfuse's own counts, added up as Langfuse adds them: every kind by the word in its name."""
    details = _object(said.get(_DETAILS))
    sums = {
        word: sum(integer(count) or 0 for kind, count in details.items() if word in kind)
        for word in ("input", "output")
    }
    return Usage(max(sums["input"], 0), max(sums["output"], 0)) if any(sums.values()) else None


def _cost(said: Mapping[str, Any]) -> float | None:
    cost = number(said.get(semconv.USAGE_COST))
    return number(_object(said.get(_COSTS)).get("total")) if cost is None else cost


def _object(value: Any) -> dict[str, Any]:
    from otel_agents.wire import tolerant

    try:
        return tolerant.mapping(tolerant.decode_any(value.encode())) if isinstance(value, str) else {}
    except ValueError:
        return {}


def _text(said: Mapping[str, Any], name: str) -> str | None:
    value = said.get(name)
    return value if isinstance(value, str) and value else None


def _same(record: CallRecord, span: SdkSpan) -> int | None:
    """The span of a call that was made while this one was open, by the same model, with the same counts."""
    first, last = (span.start_time or 0) - _SLACK, (span.end_time or 0) + _SLACK
    names = [_bare(name) for name in (record.request_model, record.response_model) if name]
    for one in reversed(_seen):
        if first <= one.ended - one.duration * 1e9 and one.ended <= last and _equal(one.usage, record.usage):
            others = [_bare(name) for name in one.models if name]
            if any(a.startswith(b) or b.startswith(a) for a in names for b in others):
                return one.span
    return None


def _equal(seen: Usage, told: Usage | None) -> bool:
    if told is None or seen.output != told.output:
        return False
    return told.input in (seen.input, seen.input - seen.cache_read - seen.cache_write)


def _bare(model: str) -> str:
    return model.rpartition("/")[2].lower()
