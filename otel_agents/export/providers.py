"""Fits our span processor into whatever tracer provider the app has, or will have.

Three cases, and one later surprise:

- nobody has set a provider: an SDK provider of ours becomes the global one;
- an SDK provider is there: our processor is added to it;
- something else is there (ddtrace's has no ``add_span_processor``): we keep a provider to ourselves;
- a library sets a provider *after* us: OpenTelemetry would refuse it with "Overriding of current
  TracerProvider is not allowed" and that library's spans would take its settings from nowhere.
  We let it have its way and add our processor to its provider too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.util._once import Once

from otel_agents.export import same_target

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.sampling import Sampler

    from otel_agents.export.same_target import Target

logger = logging.getLogger(__name__)


def install(
    processor: SpanProcessor,
    resource: Resource,
    target: Target | None = None,
    sampler: Sampler | None = None,
) -> TracerProvider | None:
    """Attaches ``processor`` to the global provider, making one when there is none.

    Args:
        processor: ours.
        resource: of a provider that is made.
        target: where ``processor`` sends; other exporters of the provider's send nothing there any more.
        sampler: of a provider that is made; None leaves it to ``OTEL_TRACES_SAMPLER``, which the SDK reads.

    Returns:
        A private provider for our own spans when the global one takes no processors, else None.
    """
    from opentelemetry.sdk.trace import TracerProvider

    from otel_agents.export.ids import TaskIds

    def made() -> TracerProvider:
        return TracerProvider(sampler, resource=resource, shutdown_on_exit=False, id_generator=TaskIds())

    existing = trace.get_tracer_provider()
    if isinstance(existing, trace.ProxyTracerProvider):
        # The limits come from OTEL_SPAN_*: the SDK reads them.
        ours = made()
        ours.add_span_processor(processor)
        trace.set_tracer_provider(ours)
        if target is not None:
            same_target.silence(ours, target)
        _give_way(lambda later: _attach(later, processor, target))
        return None
    if _attach(existing, processor, target):
        return None
    logger.warning(
        "otel-agents: %s takes no span processors; agents' spans go through a provider of our own",
        type(existing).__qualname__,
    )
    private = made()
    private.add_span_processor(processor)
    return private


def detach(processor: SpanProcessor) -> None:
    """Takes ``processor`` out of the global provider again, as far as the SDK's structure is known."""
    same_target.restore(trace.get_tracer_provider())
    group = getattr(trace.get_tracer_provider(), "_active_span_processor", None)
    processors = getattr(group, "_span_processors", None)
    if group is not None and isinstance(processors, tuple) and processor in processors:
        group._span_processors = tuple(one for one in processors if one is not processor)


def _attach(provider: Any, processor: SpanProcessor, target: Target | None) -> bool:
    add = getattr(provider, "add_span_processor", None)
    if add is None:
        return False
    add(processor)
    if target is not None:
        same_target.silence(provider, target)
    return True


class _LetOthersIn(Once):
    """Stands in for the guard of ``set_tracer_provider`` while the global provider is ours."""

    def __init__(self, attach: Callable[[Any], object]) -> None:
        super().__init__()
        self._attach = attach

    def do_once(self, func: Callable[[], None]) -> bool:
        set_it = super().do_once(func)  # the first to come after us wins, as it would have without us
        if set_it:
            self._attach(trace.get_tracer_provider())
        return set_it


def _give_way(attach: Callable[[Any], object]) -> None:
    # The guard is private to OpenTelemetry; without it a later provider is refused, as it always was.
    if isinstance(getattr(trace, "_TRACER_PROVIDER_SET_ONCE", None), Once):
        trace._TRACER_PROVIDER_SET_ONCE = _LetOthersIn(attach)
