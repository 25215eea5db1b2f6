"""Inference spans that other instrumentations make: found, so that a model call has one span only.

Most make their span current while the request is sent. Some do not (wrappers of streams, the Langfuse
SDK's ``langfuse.openai``), some are around another one (an official instrumentor around an SDK that
traces itself), some end before the stream does (Logfire). So every span is known from its start to its
end, and a call looks for its span by parent, model and place. What is left over is exported without
what would make it a second model call.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
import opentelemetry.context as context_api
from opentelemetry.sdk.trace import ReadableSpan

from otel_agents import semconv
from otel_agents.export.copies import changed
from otel_agents.normalize import kinds
from otel_agents.normalize.dialect import DUPLICATE_OF
from otel_agents.wire import claims, unseen

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span as SdkSpan
    from opentelemetry.trace import Span

    from otel_agents.wire.call import Call


_MODELS: Final = (
    semconv.REQUEST_MODEL, "llm.model_name", "embedding.model_name", "langfuse.observation.model.name",
    "llm.request.model",
)  # fmt: skip
_TELLING: Final = (
    "gen_ai.", "llm.", "openinference.", "langfuse.observation.", "embedding.", "input.", "output.",
    "operation.cost", "anthropic.usage.", semconv.PARENT_HINT, semconv.APP_ROOT,
)  # fmt: skip
_USAGE: Final = ("gen_ai.usage.", "llm.usage.", "llm.token_count.", "langfuse.observation.usage_details")
#: Context key of opentelemetry-util-genai: an inference is under way and is to be the only one.
_UTIL_GENAI: Final = "opentelemetry.genai.client.inference.context"
_LIMIT: Final = 10_000
#: Seconds that an ended span waits for the stream behind it.
_PATIENCE: Final = 600.0


class _Open(msgspec.Struct, eq=False):
    span: SdkSpan
    parent: int
    place: int
    foreign: bool
    context: Context


_open: OrderedDict[int, _Open] = OrderedDict()
#: Parent's id (or, for roots, the negative number of the place) → what is open below, by span id.
_below: dict[int, dict[int, _Open]] = {}
#: Span id of a leftover → id of the span that is the call's.
_duplicates: OrderedDict[int, int] = OrderedDict()
#: Span id → the call that completes it, and since when.
_under_way: OrderedDict[int, tuple[Call, float]] = OrderedDict()
#: Parent (as in ``_below``) and model of streams whose Logfire span has a log record to follow → span id.
_streams: OrderedDict[tuple[int, str | None], int] = OrderedDict()
_lock = threading.Lock()


def started(span: SdkSpan, parent_context: Context | None) -> None:
    """Notes a span that starts."""
    parent = 0 if span.parent is None else span.parent.span_id
    scope = span.instrumentation_scope
    foreign = scope is None or scope.name != semconv.SCOPE_NAME
    context = context_api.get_current() if parent_context is None else parent_context
    one = _Open(span, parent, _place() if foreign else 0, foreign, context)
    identity = span.get_span_context().span_id
    if foreign:
        kinds.at_start(span)
    with _lock:
        _open[identity] = one
        if foreign:
            _below.setdefault(parent or -one.place, {})[identity] = one
            if (attributes := span.attributes) and attributes.get("logfire.span_type") == "log":
                _drop_log(identity, one, attributes)
        oldest = next(iter(_open)) if len(_open) > _LIMIT else None
    if oldest is not None:
        _forget(oldest)


def ended(identity: int) -> SdkSpan | None:
    """Forgets a span that has ended, and returns it when it is somebody else's.

    A model call that it tells of and that no hook has seen is counted.
    """
    one = _forget(identity)
    if one is None:
        return None
    if _tells_usage(one.span.attributes or {}) and identity not in _duplicates and claims.claim(one.span):
        _account(one)
    return one.span


def _forget(identity: int) -> _Open | None:
    """The span, when it was known and is somebody else's."""
    with _lock:
        one = _open.pop(identity, None)
        if one is None or not one.foreign:
            return None
        key = one.parent or -one.place
        siblings = _below.get(key)
        if siblings is not None:
            siblings.pop(identity, None)
            if not siblings:
                del _below[key]
    return one


def _account(one: _Open) -> None:
    """Counts the call of a span that nobody has claimed, for the spans of it that are around that, too."""
    identity = one.span.get_span_context().span_id
    same = unseen.account(one.span, one.context)
    if same is not None:
        _note(_duplicates, identity, same)
        return
    operation = kinds.model_call(one.span.attributes or {}) or ""
    for outer in upwards(one.parent):
        kinds.at_call(outer)
        if not is_inference(outer, operation):
            break
        if claims.claim(outer):
            _note(_duplicates, outer.get_span_context().span_id, identity)


def find(call: Call, parent: Span) -> Span | None:
    """The span that somebody else made for ``call``, claimed for it; None when it needs one of its own."""
    operation, model = call.recognised.format.operation, call.recognised.facts.model
    if _below:  # spans of others are open
        for outer in upwards(parent.get_span_context().span_id):
            if not kinds.at_call(outer):
                break
    if is_inference(parent, operation):
        chain = _around(parent, operation)
        for position, span in enumerate(chain):
            if claims.claim_attempt(span):
                for inner in chain[position + 1 :]:
                    _note(_duplicates, inner.get_span_context().span_id, span.get_span_context().span_id)
                return _taken(call, span, operation)
        return None
    if not _below:  # nobody else has a span open
        return None
    around = _inside(parent, operation)
    if around is not None and claims.claim_attempt(around):
        return _taken(call, around, operation)
    for one in _beside(parent, operation, model):
        if claims.claim_attempt(one.span):
            return _taken(call, one.span, operation)
    return None


def is_inference(span: Span, operation: str) -> bool:
    """Whether ``span`` is one model call (embeddings or other, as ``operation``), in any dialect."""
    attributes = getattr(span, "attributes", None) if span.is_recording() else None
    if attributes is None:
        return claims.offered(span) is not None
    name = kinds.model_call(attributes)
    embeds = semconv.OP_EMBEDDINGS
    return name is not None and (name == embeds) == (operation == embeds)


def original(span: Span) -> Span:
    """The SDK's span behind a wrapper of it, such as Logfire's."""
    one = _open.get(span.get_span_context().span_id)
    return span if one is None else one.span


def open_spans() -> list[SdkSpan]:
    """Every span that has started and has not ended, the oldest first."""
    with _lock:
        return [one.span for one in _open.values()]


def upwards(identity: int) -> Iterator[SdkSpan]:
    """The span ``identity`` and those around it, as far as they are of this process and have not ended."""
    while (one := _open.get(identity)) is not None:
        yield one.span
        identity = one.parent


def under_way(identity: int) -> bool:
    """Whether a span that has ended is still to be completed by a call that has not."""
    found = _under_way.get(identity)
    if found is None:
        return False
    call, since = found
    if not call.finished and time.monotonic() - since < _PATIENCE:
        return True
    _under_way.pop(identity, None)
    return False


def without_repetition(span: ReadableSpan) -> ReadableSpan:
    """The span as it is, or, when another one tells of its model call, a copy that does not."""
    context = span.context
    if context is None or not _duplicates:
        return span
    chosen = _duplicates.pop(context.span_id, None)
    if chosen is None:
        return span
    kept = {name: value for name, value in (span.attributes or {}).items() if not name.startswith(_TELLING)}
    return changed(
        span,
        attributes={**kept, DUPLICATE_OF: format(chosen, "016x")},
    )


def _tells_usage(attributes: Mapping[str, Any]) -> bool:
    """Whether a span tells of a model call, and what it used."""
    return kinds.model_call(attributes) is not None and any(name.startswith(_USAGE) for name in attributes)


def _around(span: Span, operation: str) -> list[Span]:
    """``span`` and the inference spans that it is directly inside of, the outermost first."""
    chain = [span]
    one = _open.get(span.get_span_context().span_id)
    while one is not None and (outer := _open.get(one.parent)) is not None:
        if not is_inference(outer.span, operation):
            break
        chain.insert(0, outer.span)
        one = outer
    return chain


def _inside(parent: Span, operation: str) -> Span | None:
    """The inference span of opentelemetry-util-genai that is under way around spans which are no GenAI ones.

    Its context key says that model calls here are part of that inference; calls of tools and agents
    inside of it are not, though it would swallow them as well.
    """
    if context_api.get_value(_UTIL_GENAI) is None:
        return None
    one = _open.get(parent.get_span_context().span_id)
    while one is not None:
        if is_inference(one.span, operation):
            return one.span
        if semconv.OPERATION_NAME in (one.span.attributes or {}):
            return None
        one = _open.get(one.parent)
    return None


def _beside(parent: Span, operation: str, model: str | None) -> list[_Open]:
    """Open inference spans below ``parent`` that are not current, the most likely first."""
    place = _place()
    above = parent.get_span_context().span_id
    with _lock:
        siblings = list(_below.get(above or -place, {}).values())
    here, elsewhere = [], []
    for one in reversed(siblings):
        if not one.span.is_recording() or not is_inference(one.span, operation):
            continue
        asked = _model(one.span.attributes or {})
        if one.place == place and (asked is None or asked == model):
            here.append(one)
        elif above and model is not None and asked == model:
            elsewhere.append(one)
    return here + elsewhere


def _model(attributes: Mapping[str, Any]) -> str | None:
    return next((str(attributes[name]) for name in _MODELS if name in attributes), None)


def _taken(call: Call, span: Span, operation: str) -> Span:
    identity = span.get_span_context().span_id
    claims.claim(original(span))  # it is the one that will end
    _note(_under_way, identity, (call, time.monotonic()))
    attributes = getattr(span, "attributes", None)
    if attributes is None or not span.is_recording():
        return span
    kinds.at_claim(span)
    from otel_agents.export import roots

    if semconv.OPERATION_NAME not in attributes:
        # Whatever looks at the span from here on knows it for what it is.
        span.set_attribute(semconv.OPERATION_NAME, operation)
    roots.promote(original(span))
    if "logfire.msg" in attributes and call.recognised.facts.stream:
        one = _open.get(identity)
        if one is not None:
            _note(_streams, (one.parent or -one.place, _model(attributes)), identity)
    return span


def _drop_log(identity: int, one: _Open, attributes: Mapping[str, Any]) -> None:
    """Logfire tells of a stream's end by a second span without duration."""
    if kinds.model_call(attributes) is None:
        return
    chosen = _streams.pop((one.parent or -one.place, _model(attributes)), None)
    if chosen is not None:
        _note(_duplicates, identity, chosen)


def _note(kept: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    kept[key] = value
    if len(kept) > _LIMIT:
        kept.popitem(last=False)


def _place() -> int:
    """The asyncio task, else the thread, that runs now."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        try:
            task = asyncio.current_task()
        except RuntimeError:
            task = None
        if task is not None:
            return id(task)
    return threading.get_ident()
