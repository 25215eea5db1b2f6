"""``/dashboards``: the Grafana dashboards of the project, drawn from their JSON for people without Grafana.

Everything is drawn here and sent as HTML and SVG; Prometheus is asked by this server, so that the browser
talks to nobody else and the page cannot be made to ask anything but the committed queries. The script adds
what a pointer does: values at a moment, one series alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from otel_agents.dashboards import boards, looks
from otel_agents.dashboards.boards import BoardError
from otel_agents.dashboards.prometheus import Away, Prometheus
from otel_agents.local.ui import render
from otel_agents.local.ui.dashboards import chart, reading


class Pages:
    """The pages over one Prometheus.

    Args:
        prometheus: its address; None where nobody has named one.
        langfuse: address of the project in Langfuse that links lead to; "" for the pages of this server.
        alone: whether there are no other pages on this server.

    Raises:
        BoardError: the address of Prometheus is none.
    """

    def __init__(self, prometheus: str | None, langfuse: str = "", *, alone: bool = False) -> None:
        self._server = Prometheus(prometheus) if prometheus else None
        self._langfuse = langfuse
        self._alone = alone

    def home(self, store: object, request: Request) -> Response:
        """``/dashboards`` (and ``/`` where there is nothing else): the first dashboard."""
        return RedirectResponse(f"/dashboards/{boards.names()[0]}")

    def changes(self, store: object, request: Request) -> Response:
        """A number that is another one when the page is to be refreshed."""
        return render.data({"change": _tick(reading.seconds_of(request.query_params.get("every")))})

    def board(self, store: object, request: Request) -> Response:
        """``/dashboards/{name}``: one dashboard."""
        name = request.path_params["name"]
        if name not in boards.names():
            return render.page(
                request, "dashboard_missing.html", 404, change=0, findings=0, alone=self._alone,
                boards=_menu(), name=name,
            )  # fmt: skip
        board = boards.load(name)
        query = reading.read(request.query_params, board, time.time())
        problem, offered, shown = "", {}, []
        if self._server is None:
            problem = (
                "no Prometheus is known here; start one with `otel-agents up`, or name one with --prometheus"
            )
        else:
            try:
                offered = looks.offered(board, query.asked, self._server)
                shown = looks.look(board, query.asked, self._server)
            except Away as away:
                problem = f"{away}; start it with `otel-agents up`, or name another with --prometheus"
        langfuse = query.langfuse if query.langfuse is not None else self._langfuse
        if self._alone and not langfuse:
            langfuse = board.langfuse
        return render.page(
            request,
            "dashboard.html",
            alone=self._alone,
            change=_tick(query.every),
            every=query.every,
            findings=0,
            boards=_menu(),
            board=board,
            query=query,
            facets=[(one, offered.get(one.name, []), query.chosen(one.name)) for one in board.variables],
            problem=problem,
            rows=_rows(shown),
            draw=partial(chart.draw, asked=query.asked),
            langfuse=langfuse,
            trace_url=lambda trace_id: f"{langfuse}/traces/{render.path_segment(trace_id)}",
            ranges=reading.RANGES,
            refreshes=reading.REFRESHES,
        )


def _menu() -> list[tuple[str, str]]:
    return [(name, boards.load(name).title) for name in boards.names()]


def _tick(every: float) -> int:
    return int(time.time() / every) if every else 0


def _rows(shown: Sequence[looks.Look]) -> list[tuple[str, list[Any]]]:
    """Panels below their headings."""
    rows: list[tuple[str, list[Any]]] = []
    for one in shown:
        if one.panel.kind == "row":
            rows.append((one.panel.title, []))
        elif rows:
            rows[-1][1].append(one)
        else:
            rows.append(("", [one]))
    return rows


__all__ = ["BoardError", "Pages"]
