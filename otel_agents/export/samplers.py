"""The sampler that ``configure()`` was given by arguments; the SDK reads the environment's itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.sampling import Sampler

    from otel_agents.config import Settings


def given(settings: Settings) -> Sampler | None:
    """The sampler of ``traces_sampler`` and ``traces_sampler_arg``; None when neither is an argument.

    Names and defaults are those of ``OTEL_TRACES_SAMPLER`` in OpenTelemetry's specification. A name or ratio
    of the environment's that means nothing to it counts as not given, as the specification asks.
    """
    if "argument" not in (settings.origins.get("traces_sampler"), settings.origins.get("traces_sampler_arg")):
        return None
    from opentelemetry.sdk.trace import sampling

    try:
        ratio = float(1 if settings.traces_sampler_arg is None else settings.traces_sampler_arg)
        by_ratio = {
            "traceidratio": sampling.TraceIdRatioBased(ratio),
            "parentbased_traceidratio": sampling.ParentBasedTraceIdRatio(ratio),
        }
    except ValueError:
        by_ratio = {}
    samplers = {
        "always_on": sampling.ALWAYS_ON,
        "always_off": sampling.ALWAYS_OFF,
        "parentbased_always_on": sampling.DEFAULT_ON,
        "parentbased_always_off": sampling.DEFAULT_OFF,
        **by_ratio,
    }
    return samplers.get(settings.traces_sampler.lower(), sampling.DEFAULT_ON)
