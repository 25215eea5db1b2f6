"""The few kinds of panels that the dashboards use, each with everything that it has to say filled in.

The local preview (``otel-agents dashboards preview``) draws these kinds and no others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from grafana_foundation_sdk.builders import bargauge, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.models import common, units
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from generator import queries
from otel_agents import metrics

DATASOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH: Final = 24

#: Points of a graph, however wide. Each is counted over a window of its own, for every series: over weeks a
#: point for every pixel takes Prometheus four times as long.
MOST_POINTS: Final = 240

DOLLARS: Final = units.Dollars
SECONDS: Final = units.Seconds
SHARE: Final = units.PercentUnit
COUNT: Final = units.Short
BYTES: Final = units.BytesIEC
NUMBER: Final = units.Number


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression of a panel.

    Attributes:
        expression: PromQL; may use the dashboard's variables.
        legend: name of a series, with labels in double braces.
        exemplars: whether its points lead to traces.
    """

    expression: str
    legend: str = ""
    exemplars: bool = False


@dataclass(frozen=True, slots=True)
class Steps:
    """Colours by value: green below ``warn``, yellow from there, red from ``alarm`` (or the other way)."""

    warn: float
    alarm: float
    falling: bool = False

    def build(self) -> dashboard.ThresholdsConfig:
        good, bad = ("red", "green") if self.falling else ("green", "red")
        low, high = (self.alarm, self.warn) if self.falling else (self.warn, self.alarm)
        return (
            dashboard.ThresholdsConfig()
            .mode(models.ThresholdsMode.ABSOLUTE)
            .steps(
                [
                    models.Threshold(value=None, color=good),
                    models.Threshold(value=low, color="yellow"),
                    models.Threshold(value=high, color=bad),
                ]
            )
        )


_PLAIN: Final = (
    dashboard.ThresholdsConfig()
    .mode(models.ThresholdsMode.ABSOLUTE)
    .steps([models.Threshold(value=None, color="text")])
)


def figure(
    title: str,
    description: str,
    unit: str,
    expression: str,
    *,
    steps: Steps | None = None,
    decimals: int | None = None,
    span: int = 4,
) -> stat.Panel:
    """One number for the whole time range."""
    panel = (
        stat.Panel()
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .graph_mode(common.BigValueGraphMode.NONE)
        .color_mode(common.BigValueColorMode.VALUE)
        .thresholds(steps.build() if steps else _PLAIN)
    )
    _describe(panel, title, description, unit, span, 4)
    if decimals is not None:
        panel.decimals(decimals)
    panel.with_target(_target(Query(expression), "A", instant=True))
    return panel


def graph(
    title: str,
    description: str,
    unit: str,
    *shown: Query,
    stacked: bool = False,
    bars: bool = False,
    interval: str = "1m",
    maximum: float | None = None,
    span: int = 12,
) -> timeseries.Panel:
    """Lines, areas or bars over time.

    Args:
        interval: the shortest step; what is counted per step is counted over ``$__interval``.
    """
    panel = (
        timeseries.Panel()
        .line_width(1)
        .fill_opacity(60 if bars else 10)
        .show_points(common.VisibilityMode.AUTO)
        .draw_style(common.GraphDrawStyle.BARS if bars else common.GraphDrawStyle.LINE)
        .interval(interval)
        .max_data_points(MOST_POINTS)
        .min(0)
        .legend(
            common_builders.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(
            common_builders.VizTooltipOptions()
            .mode(common.TooltipDisplayMode.MULTI)
            .sort(common.SortOrder.DESCENDING)
        )
    )
    if stacked:
        panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if maximum is not None:
        panel.max(maximum)
    _describe(panel, title, description, unit, span, 8)
    for at, query in enumerate(shown):
        panel.with_target(_target(query, chr(ord("A") + at), instant=False))
    return panel


def ranking(title: str, description: str, unit: str, query: Query, *, span: int = 8) -> bargauge.Panel:
    """Bars side by side, the longest first, for the whole time range."""
    panel = (
        bargauge.Panel()
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .orientation(common.VizOrientation.HORIZONTAL)
        .display_mode(common.BarGaugeDisplayMode.BASIC)
        .thresholds(_PLAIN)
        .min(0)
    )
    _describe(panel, title, description, unit, span, 8)
    ordered = Query(f"sort_desc({query.expression})", query.legend)
    panel.with_target(_target(ordered, "A", instant=True))
    return panel


@dataclass(frozen=True, slots=True)
class Column:
    """A column of numbers in a table: one PromQL expression, by the table's labels."""

    title: str
    unit: str
    expression: str


def listing(
    title: str, description: str, keys: Sequence[tuple[str, str]], *columns: Column, span: int = 12
) -> table.Panel:
    """A table: one row for each combination of the labels ``keys`` (label, heading)."""
    panel = table.Panel().with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    names = dict(keys)
    excluded: dict[str, Any] = {"Time": True}
    order = {label: at for at, (label, _) in enumerate(keys)}
    for at, column in enumerate(columns):
        ref = chr(ord("A") + at)
        panel.with_target(_target(Query(column.expression), ref, instant=True, as_table=True))
        key = f"Value #{ref}" if len(columns) > 1 else "Value"
        names[key] = column.title
        order[key] = len(keys) + at
        panel.override_by_name(column.title, [models.DynamicConfigValue(id_val="unit", value=column.unit)])
    panel.with_transformation(
        models.DataTransformerConfig(
            id_val="organize",
            options={"excludeByName": excluded, "indexByName": order, "renameByName": names},
        )
    )
    _describe(panel, title, description, NUMBER, span, 8)
    panel.thresholds(_PLAIN)
    return panel


def _describe(panel: Any, title: str, description: str, unit: str, span: int, height: int) -> None:
    panel.title(title).description(description).unit(unit).datasource(DATASOURCE).span(span).height(height)
    panel.no_value("no data")


def _target(query: Query, ref: str, *, instant: bool, as_table: bool = False) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expression).ref_id(ref).datasource(DATASOURCE)
    target.legend_format(query.legend or "__auto")
    target.format(PromQueryFormat.TABLE if as_table else PromQueryFormat.TIME_SERIES)
    if instant:
        target.instant()
    else:
        target.range().exemplar(query.exemplars)
    return target


def board(
    uid: str,
    title: str,
    description: str,
    variables: Sequence[str],
    rows: Mapping[str, Sequence[Any]],
    *,
    since: str,
) -> dashboard.Dashboard:
    """A dashboard with the variables that every one has, and those of ``variables``.

    Args:
        rows: title and panels of each row, from the top.
        variables: of ``agent``, ``model`` and ``task_type``.
        since: where the time range starts, such as ``now-24h``.
    """
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["otel-agents"])
        .refresh("5m" if since.endswith("d") else "1m")
        .time(since, "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .link(
            dashboard.DashboardLink("otel-agents")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags(["otel-agents"])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
        .link(
            dashboard.DashboardLink("Langfuse")
            .type(models.DashboardLinkType.LINK)
            .url("${langfuse}")
            .icon("external link")
            .tooltip("The traces behind the numbers")
            .target_blank(True)
        )
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data Source").type("prometheus"))
    )
    chain: dict[str, str] = {}
    for variable, definitions in _VARIABLES.items():
        if variable[0] in ("agent", "model", "task_type") and variable[0] not in variables:
            continue
        made.with_variable(
            dashboard.QueryVariable(variable[0])
            .label(variable[0].replace("_", " ").capitalize())
            .datasource(DATASOURCE)
            .query(queries.values_of(variable, definitions, chain))
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(models.VariableSort.ALPHABETICAL_ASC)
            .multi(True)
            .include_all(True)
            # Not ".+": a series without the label belongs to All, too.
            .all_value(".*")
            .current(models.VariableOption(selected=True, text="All", value="$__all"))
        )
        if variable[0] in ("environment", "service"):
            chain[variable[0]] = variable[1]
    made.with_variable(
        dashboard.TextBoxVariable("langfuse")
        .label("Langfuse")
        .description("Where the links go: the address of the project in Langfuse")
        .default_value("http://127.0.0.1:3000")
    )
    for row, shown in rows.items():
        made.with_row(dashboard.Row(row))
        for panel in shown:
            made.with_panel(panel)
    return made


#: Where the values of variables come from. Not every service calls models itself, some are not ours, and
#: calls of which only a coding agent's account is known have no duration.
_VARIABLES: Final = {
    queries.ENVIRONMENT: (metrics.COLLECTED, metrics.CALL_DURATION),
    queries.SERVICE: (metrics.COLLECTED, metrics.CALL_DURATION),
    queries.AGENT: (metrics.AGENT_DURATION,),
    queries.MODEL: (metrics.CALL_DURATION, metrics.INPUT_TOKENS),
    queries.TASK_TYPE: (metrics.AGENT_DURATION, metrics.CALL_DURATION),
}
