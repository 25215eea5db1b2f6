"""A report as one HTML file: no scripts, nothing loaded from anywhere, light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from otel_agents.reports import charts, words
from otel_agents.reports.figures import Figures
from otel_agents.reports.report import Point, Report
from otel_agents.reports.style import STYLE

#: Groups that a chart shows; the table has all of them.
_CHARTED: Final = 12


def to_html(report: Report) -> str:
    """The whole page."""
    since, until = report.since, report.until
    title = f"Agents' work, {since:%Y-%m-%d} to {until:%Y-%m-%d}"
    environments = f" · environment {', '.join(report.environments)}" if report.environments else ""
    parts = [
        "<header>",
        f"<h1>{_text(title)}</h1>",
        f'<p class="soft">{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC '
        f"({words.length(report.projection.days)}) · {_text(report.source)}{_text(environments)}</p>",
        "</header>",
        _cards(report),
    ]
    if report.insights:
        found = "".join(f"<li>{_text(one.text)}</li>" for one in report.insights)
        parts.append(f'<h2>Insights</h2><div class="card list"><ul>{found}</ul></div>')
    parts.extend(f'<p class="note">{_text(note)}</p>' for note in report.notes)
    if report.total.tasks or report.outside_calls:
        parts.append(f"<h2>By {report.step}</h2>{_over_time(report)}")
    if report.groups:
        name = words.by(report.by)
        parts.append(f"<h2>By {_text(name)}</h2>{_by_group(report)}")
        parts.append(f"<h2>All figures by {_text(name)}</h2>{_tables(report)}")
    if report.plans:
        parts.append(f"<h2>Plans</h2>{_plans(report)}")
    parts.append(
        '<footer class="soft"><p>“By the token” is the metered price of every model call. “With plans” is '
        "what is left to pay: flat fees, and the metered price of what no plan covers. A projected month has "
        "30 days at this period's pace, a year twelve of them. Quality is the mean over tasks that have a "
        f"score.</p><p>Made {report.generated:%Y-%m-%d %H:%M} UTC by otel-agents.</p></footer>"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{_text(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><main>\n{chr(10).join(parts)}\n</main></body></html>\n"
    )


def _cards(report: Report) -> str:
    total, projection = report.total, report.projection
    cost, tokens = total.cost, total.tokens
    cards = [
        ("Tasks", words.count(total.tasks), [f"{words.count(total.attempts)} attempts"]),
        ("Success rate", words.share(total.success_rate), [f"{words.count(total.failed)} failed"]),
        (
            "Cost by the token",
            words.money(cost.metered),
            [
                f"{words.money(cost.metered_mean)} a task",
                f"{words.money(projection.metered_month)} a month",
                f"{words.money(projection.metered_year)} a year",
            ],
        ),
    ]
    if report.plans:
        cards.append(
            (
                "Cost with plans",
                words.money(cost.paid),
                [
                    f"{words.money(cost.paid_mean)} a task",
                    f"{words.money(projection.paid_month)} a month",
                    f"{words.money(projection.paid_year)} a year",
                ],
            )
        )
    times = total.response_time
    cards += [
        (
            "Response time",
            words.seconds(times.mean),
            [f"p50 {words.seconds(times.p50)}, p95 {words.seconds(times.p95)}"],
        ),
        ("Quality", words.quality(total.quality.mean), [f"{words.count(total.quality.scored)} tasks scored"]),
        (
            "Tokens",
            words.count(tokens.total),
            [
                f"{words.count(tokens.input)} in, {words.count(tokens.output)} out",
                f"{words.count(tokens.per_success)} a successful task",
            ],
        ),
    ]
    if total.compression.events:
        ratio, reduction = total.compression.ratio, total.compression.reduction
        cards.append(("Compression", words.times(ratio), [f"{words.share(reduction)} fewer tokens"]))
    if total.switches.count:
        gained = words.change(total.switches.quality_gained)
        cards.append(("Agent switches", words.count(total.switches.count), [f"quality gained {gained} each"]))
    return (
        '<div class="cards">'
        + "".join(
            f'<div class="card"><small>{_text(name)}</small><b>{_text(value)}</b>'
            + "".join(f"<small>{_text(line)}</small>" for line in lines)
            + "</div>"
            for name, value, lines in cards
        )
        + "</div>"
    )


def _over_time(report: Report) -> str:
    points = report.timeline

    def label(point: Point) -> str:
        return _label(point, report.step)

    cost = charts.columns(
        [charts.Bar(label(one), one.metered, f"{label(one)}: {words.money(one.metered)}") for one in points],
        words.money,
        f"Cost by {report.step}",
    )
    tasks = charts.columns(
        [
            charts.Bar(
                label(one),
                one.tasks,
                f"{label(one)}: {one.tasks} tasks, {one.failed} failed; response time (p50) "
                f"{words.seconds(one.response_time)}, quality {words.quality(one.quality)}",
                one.failed,
            )
            for one in points
        ],
        words.count,
        f"Tasks by {report.step}",
    )
    key = '<span class="key" style="background:var(--bad)"></span><span class="soft">failed</span>'
    return (
        f'<div class="charts"><div class="card"><h3>Cost by the token</h3>{cost}</div>'
        f'<div class="card"><h3>Tasks{key}</h3>{tasks}</div></div>'
    )


def _label(point: Point, step: str) -> str:
    return point.start.strftime("%d %b %H:%M" if step == "hour" else "%d %b")


def _by_group(report: Report) -> str:
    shown = report.groups[:_CHARTED]
    named = [(group.key or "(none)", group.figures) for group in shown]

    def title(name: str, text: str) -> str:
        return f"{name}: {text}"

    cost = charts.rows(
        [charts.Row(name, one.cost.metered, title(name, _cost_words(one))) for name, one in named],
        words.money,
        f"Cost by {words.by(report.by)}",
    )
    success = charts.rows(
        [
            charts.Row(name, one.success_rate, title(name, f"{one.succeeded} succeeded, {one.failed} failed"))
            for name, one in named
        ],
        words.share,
        f"Success rate by {words.by(report.by)}",
    )
    speed = charts.ranges(
        [
            charts.Row(
                name,
                one.response_time.p50,
                title(
                    name,
                    f"mean {words.seconds(one.response_time.mean)}, "
                    f"p50 {words.seconds(one.response_time.p50)}, p95 {words.seconds(one.response_time.p95)}",
                ),
                one.response_time.p50,
                one.response_time.p95,
            )
            for name, one in named
        ],
        words.seconds,
        f"Response time by {words.by(report.by)}",
    )
    quality = charts.ranges(
        [
            charts.Row(
                name,
                one.quality.mean,
                title(name, _quality_words(one)),
                one.quality.low,
                one.quality.high,
            )
            for name, one in named
        ],
        words.quality,
        f"Quality by {words.by(report.by)}",
        zoom=True,
    )
    more = len(report.groups) - len(shown)
    note = f'<p class="soft">{more} more are in the table.</p>' if more else ""
    cards = (
        ("Cost by the token", cost),
        ("Success rate", success),
        ("Response time, p50 to p95", speed),
        ("Quality, mean with 95 % interval", quality),
    )
    boxes = "".join(f'<div class="card"><h3>{name}</h3>{chart}</div>' for name, chart in cards)
    return f'<div class="charts">{boxes}</div>{note}'


def _cost_words(one: Figures) -> str:
    text = f"{words.money(one.cost.metered)} by the token, {words.money(one.cost.metered_mean)} each"
    if one.cost.paid is not None:
        text += f"; with plans {words.money(one.cost.paid)}, {words.money(one.cost.paid_mean)} each"
    return text


def _quality_words(one: Figures) -> str:
    found = one.quality
    return (
        f"{words.quality(found.mean)} of {found.scored} scored tasks, 95 % between "
        f"{words.quality(found.low)} and {words.quality(found.high)}"
    )


def _tables(report: Report) -> str:
    """Two tables, because one of all columns is wider than a screen."""
    name = words.by(report.by)
    with_plans = bool(report.plans) and report.by != "model"
    rows = [(group.key or "(none)", group.figures, "") for group in report.groups]
    rows.append(("total", report.total, "total"))
    plan_heads = ["with plans", "each"] if with_plans else []
    costs = _grid(
        [name, "tasks", "calls", "by the token", "each", *plan_heads, "of failures", "tokens", "a success"],
        [
            (
                [
                    key,
                    words.count(one.tasks),
                    words.count(one.calls),
                    words.money(one.cost.metered),
                    words.money(one.cost.metered_mean),
                    *([words.money(one.cost.paid), words.money(one.cost.paid_mean)] if with_plans else []),
                    words.money(one.cost.failed),
                    words.count(one.tokens.total),
                    words.count(one.tokens.per_success),
                ],
                kind,
            )
            for key, one, kind in rows
        ],
    )
    heads = [name, "succeeded", "mean time", "p50", "p95", "quality", "scored"]
    outcomes = _grid(
        [*heads, "compression", "switches", "gained"],
        [
            (
                [
                    key,
                    words.share(one.success_rate),
                    words.seconds(one.response_time.mean),
                    words.seconds(one.response_time.p50),
                    words.seconds(one.response_time.p95),
                    words.quality(one.quality.mean),
                    words.count(one.quality.scored),
                    words.times(one.compression.ratio),
                    words.count(one.switches.count),
                    words.change(one.switches.quality_gained),
                ],
                kind,
            )
            for key, one, kind in rows
        ],
    )
    return costs + outcomes


def _plans(report: Report) -> str:
    heads = [
        "plan",
        "a month",
        "this period",
        "tasks",
        "each",
        "by the token",
        "saved",
        "busiest day",
        "room",
    ]
    body = [
        (
            [
                plan.name,
                words.money(plan.fee_month),
                words.money(plan.fee),
                words.count(plan.tasks),
                words.money(plan.paid_mean),
                words.money(plan.metered),
                words.money(plan.saved),
                f"{plan.busiest_day_tasks} tasks" if plan.busiest_day else words.NONE,
                words.share(plan.room),
            ],
            "",
        )
        for plan in report.plans
    ]
    return _grid(heads, body)


def _grid(heads: Sequence[str], rows: Sequence[tuple[Sequence[str], str]]) -> str:
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in heads)
    body = []
    for cells, kind in rows:
        first = f'<td title="{escape(cells[0], quote=True)}">{_text(cells[0])}</td>'
        rest = "".join(f"<td>{_text(cell)}</td>" for cell in cells[1:])
        body.append(f'<tr class="{kind}">{first}{rest}</tr>')
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _text(text: str) -> str:
    """Text in HTML; lone surrogates, which no file can hold, become question marks."""
    return escape(text.encode("utf-8", "replace").decode("utf-8"), quote=False)
