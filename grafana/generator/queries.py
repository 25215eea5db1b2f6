"""PromQL, each idiom written once.

"How many in this window" is asked with :func:`increase_in`; ``otel_agents/promql.py`` says why not with
``increase()``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from otel_agents import metrics, semconv
from otel_agents.export.prometheus_names import label_name, metric_name
from otel_agents.metrics import Definition
from otel_agents.promql import LOOK_BACK, grown

#: Dashboard variables, and the label that each of them filters.
ENVIRONMENT: Final = ("environment", "deployment_environment_name")
SERVICE: Final = ("service", "job")
AGENT: Final = ("agent", label_name(semconv.AGENT_NAME))
MODEL: Final = ("model", label_name(semconv.REQUEST_MODEL))
TASK_TYPE: Final = ("task_type", "task_type")

#: Says of a label that it must be there.
SET: Final = "*"

#: Seconds without news after which a process counts as gone.
GONE: Final = 300

#: Labels that the scrape adds to everything.
SCRAPE_LABELS: Final = ("job", "instance", "deployment_environment_name")


def name(definition: Definition, suffix: str = "") -> str:
    """A metric's name in Prometheus; ``suffix`` is ``_count``, ``_sum`` or ``_bucket`` of a histogram."""
    return metric_name(definition.name, definition.unit, definition.kind) + suffix


def labels(definition: Definition) -> tuple[str, ...]:
    """A metric's labels in Prometheus, those of the scrape among them."""
    return (*(label_name(label) for label in definition.labels), *SCRAPE_LABELS)


def select(definition: Definition, suffix: str = "", *, variables: bool = True, **where: str) -> str:
    """``metric{...}`` with the dashboard's variables that apply to it, and ``where``.

    Args:
        definition: of the catalogue.
        suffix: of a histogram.
        variables: whether the dashboard's variables narrow it; rules have none.
        where: label and the value that it must have; :data:`SET` for any but none.
    """
    known = labels(definition)
    matchers = {label: f'="{value}"' if value != SET else '!=""' for label, value in where.items()}
    for label in matchers:
        if label not in known:
            raise ValueError(f"{definition.name} has no label {label}")
    if variables:
        for variable, label in (ENVIRONMENT, SERVICE, AGENT, MODEL, TASK_TYPE):
            if label in known and label not in matchers:
                matchers[label] = f'=~"${variable}"'
    inside = ", ".join(label + matcher for label, matcher in matchers.items())
    return f"{name(definition, suffix)}{{{inside}}}" if inside else name(definition, suffix)


def total(expression: str, by: Sequence[str] = ()) -> str:
    """The sum over everything but the labels ``by``."""
    return f"sum by ({', '.join(by)}) ({expression})" if by else f"sum({expression})"


def increase_in(
    definition: Definition,
    window: str,
    by: Sequence[str] = (),
    suffix: str = "",
    *,
    variables: bool = True,
    **where: str,
) -> str:
    """How much a counter (or a histogram's ``_count`` or ``_sum``) grew in ``window``, exactly."""
    return total(grown(select(definition, suffix, variables=variables, **where), window), by)


def living(gauge: str) -> str:
    """Those series of a gauge whose process is still there.

    The Collector serves what one said last for hours after its end. Every process says when it collected
    its metrics last, which it does every minute.
    """
    return f"{gauge} and on (job, instance) (time() - {name(metrics.COLLECTED)} < {GONE})"


def present(definition: Definition, *, variables: bool = True, **where: str) -> str:
    """A gauge of a budget, without what belongs to a period that is over: nobody may have spent since."""
    chosen = select(definition, variables=variables, **where)
    return f"{chosen} and on (job, instance, budget, period) ({name(metrics.BUDGET_ENDS)} > time())"


def counted(selector: str, window: str) -> str:
    """How much counters of others, which begin anew with every restart, grew in ``window``.

    The Collector and the bridge show a counter of failures from the first failure on: ``rate()`` and
    ``increase()`` never see that one. What is less than before has begun anew, from zero.
    """
    now, before = (
        f"last_over_time({selector}[{window}])",
        f"last_over_time({selector}[{LOOK_BACK}] offset {window})",
    )
    return f"({now} - (({before} <= {now}) or {now} * 0))"


def ratio(part: str, whole: str) -> str:
    """``part / whole``: 0 when there is no part, nothing when there is no whole."""
    return f"(({part}) or ({whole}) * 0) / (({whole}) > 0)"


def mean(
    definition: Definition,
    window: str,
    by: Sequence[str] = (),
    *,
    variables: bool = True,
    **where: str,
) -> str:
    """The mean of what a histogram recorded in ``window``."""
    part = increase_in(definition, window, by, "_sum", variables=variables, **where)
    whole = increase_in(definition, window, by, "_count", variables=variables, **where)
    return f"{part} / ({whole} > 0)"


def quantile(
    share: float,
    definition: Definition,
    window: str,
    by: Sequence[str] = (),
    *,
    variables: bool = True,
    **where: str,
) -> str:
    """The quantile of what a classic histogram recorded in ``window``."""
    buckets = increase_in(definition, window, ("le", *by), "_bucket", variables=variables, **where)
    return f"histogram_quantile({share:g}, {buckets})"


def values_of(
    variable: tuple[str, str], definitions: Sequence[Definition], chained: Mapping[str, str]
) -> str:
    """The query of a dashboard variable: values of its label on some metrics, narrowed by ``chained``."""
    label = variable[1]
    names = [name(one) + ("_count" if one.kind == "histogram" else "") for one in definitions]
    matchers = [f'{other}=~"${variable_}"' for variable_, other in chained.items()]
    if len(names) == 1:
        return f"label_values({names[0]}{{{', '.join(matchers)}}}, {label})"
    inside = ", ".join([f'__name__=~"{"|".join(names)}"', *matchers])
    return f"label_values({{{inside}}}, {label})"


#: Short names of labels that panels group by.
BY_AGENT: Final = (label_name(semconv.AGENT_NAME),)
BY_MODEL: Final = (label_name(semconv.REQUEST_MODEL),)
BY_PROVIDER: Final = (label_name(semconv.PROVIDER_NAME),)
BY_TOOL: Final = (label_name(semconv.TOOL_NAME),)
BY_ERROR: Final = (label_name(semconv.ERROR_TYPE),)
BY_TASK_TYPE: Final = ("task_type",)
BY_SCORE: Final = (label_name(semconv.EVALUATION_NAME),)

CATALOGUE: Final = metrics.CATALOGUE
