"""Asks Prometheus: the few calls that the panels need."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

import httpx

from otel_agents.dashboards.boards import BoardError

#: Seconds for one answer, and for all answers of a page.
PATIENCE: Final = 30.0
_CONNECT: Final = 3.0
_TOO_MUCH: Final = f"no answer in {PATIENCE:g} s; choose a shorter time range"


class Away(Exception):
    """Prometheus gives no usable answer; the message is one line without the address' password."""


class Refused(Exception):
    """Prometheus does not answer this query, or takes too long; the message is one line."""


@dataclass(frozen=True, slots=True)
class Series:
    """Labels, and the points (seconds since 1970, value) that belong to them."""

    labels: Mapping[str, str]
    points: list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One recorded value whose trace is known."""

    labels: Mapping[str, str]
    trace_id: str
    at: float
    value: float


class Prometheus:
    """One server's HTTP API; may be used by several threads.

    Args:
        url: its address, such as ``http://127.0.0.1:9090``; may carry a user and a password.

    Raises:
        BoardError: that is no address.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url.strip().rstrip("/"))
            host = parts.hostname or ""
            parts.port  # noqa: B018 - raises for a port that is no number
        except ValueError:
            host = ""
        if not host or parts.scheme not in ("http", "https"):
            raise BoardError("Prometheus' address cannot be used; give one such as http://127.0.0.1:9090")
        #: The address without what could be a secret.
        self.url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        self._client = httpx.Client(
            base_url=urlunsplit(parts),
            timeout=httpx.Timeout(PATIENCE, connect=_CONNECT),
            # A proxy of the environment knows nothing of this machine's own servers.
            trust_env=host not in ("localhost", "127.0.0.1", "::1"),
            limits=httpx.Limits(max_connections=16),
        )

    def instant(self, expression: str, at: float, until: float = math.inf) -> list[Series]:
        """Every series at one moment.

        Args:
            until: when nobody waits for the answer any more, by the monotonic clock.

        Raises:
            Away: no usable answer.
            Refused: the query is not to Prometheus' liking, or takes too long.
        """
        data = self._ask("query", {"query": expression, "time": f"{at:.3f}"}, until)
        kind, result = data.get("resultType"), data.get("result", [])
        if kind == "scalar":
            return [Series({}, [(float(result[0]), float(result[1]))])]
        return [
            Series(one["metric"], [(float(one["value"][0]), float(one["value"][1]))])
            for one in result
            if "value" in one
        ]

    def over_time(
        self, expression: str, start: float, end: float, step: float, until: float = math.inf
    ) -> list[Series]:
        """Every series at every step; ``until`` and what is raised as for :meth:`instant`."""
        asked = {"query": expression, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        return [
            Series(one["metric"], [(float(at), float(value)) for at, value in one["values"]])
            for one in self._ask("query_range", asked, until).get("result", [])
            if "values" in one
        ]

    def label_values(self, selector: str, label: str, start: float, end: float) -> list[str]:
        """The values of ``label`` among the series of ``selector`` in the time range, sorted.

        Raises:
            Away, Refused: see :meth:`instant`.
        """
        asked = {"match[]": selector, "start": f"{start:.3f}", "end": f"{end:.3f}"}
        answer = self._send("GET", f"label/{quote(label)}/values", asked)
        found = answer if isinstance(answer, list) else []
        return sorted((str(one) for one in found if one), key=lambda one: (one.casefold(), one))

    def exemplars(self, expression: str, start: float, end: float, until: float = math.inf) -> list[Exemplar]:
        """What was recorded with a trace in the time range, for the metrics that ``expression`` names.

        ``until`` and what is raised as for :meth:`instant`.
        """
        asked = {"query": expression, "start": f"{start:.3f}", "end": f"{end:.3f}"}
        answer = self._send("POST", "query_exemplars", asked, until)
        found = [
            Exemplar(
                series.get("seriesLabels", {}),
                one["labels"]["trace_id"],
                float(one["timestamp"]),
                float(one["value"]),
            )
            for series in (answer if isinstance(answer, list) else [])
            for one in series.get("exemplars", [])
            if one.get("labels", {}).get("trace_id")
        ]
        return [one for one in found if math.isfinite(one.value)]

    def _ask(self, path: str, asked: Mapping[str, str], until: float) -> dict[str, Any]:
        # As a form, not in the address: filled in, the longer queries do not fit through every proxy.
        data = self._send("POST", path, asked, until)
        return data if isinstance(data, dict) else {}

    def _send(self, method: str, path: str, asked: Mapping[str, str], until: float = math.inf) -> Any:
        # Prometheus gives up a query when nobody waits for it any more.
        left = min(until - time.monotonic(), PATIENCE)
        if left <= 0:
            raise Refused(_TOO_MUCH)
        form: dict[str, Any] = {"params": asked} if method == "GET" else {"data": asked}
        form["timeout"] = httpx.Timeout(left, connect=min(left, _CONNECT))
        try:
            answer = self._client.request(method, f"/api/v1/{path}", **form)
        except (httpx.ReadTimeout, httpx.PoolTimeout):
            # It is there, but this is too much for it: other panels may do.
            raise Refused(_TOO_MUCH) from None
        except httpx.HTTPError as error:
            raise Away(f"Prometheus at {self.url} does not answer ({_why(error)})") from None
        try:
            told = answer.json()
        except ValueError:
            told = None
        if not isinstance(told, dict) or told.get("status") not in ("success", "error"):
            raise Away(f"{self.url} does not answer as Prometheus does (status {answer.status_code})")
        if told["status"] == "error":
            raise Refused(" ".join(str(told.get("error", "no reason given")).split())[:300])
        return told.get("data")


def _why(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return f"no answer in {_CONNECT:g} s"
    if isinstance(error, httpx.TimeoutException):
        return f"no answer in {PATIENCE:g} s"
    text = str(error).lower()
    if "refused" in text:
        return "connection refused"
    if "name" in text and ("resol" in text or "known" in text):
        return "no such host"
    return type(error).__name__
