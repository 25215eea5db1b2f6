"""A real Prometheus over samples of the past."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from parts import free_port, optional, require, wait_for


@contextmanager
def prometheus(folder: Path, samples: Path | None = None, *options: str) -> Iterator[Prometheus]:
    """Prometheus with the samples of an OpenMetrics file, scraping nothing."""
    binary, promtool = require("prometheus"), require("promtool")
    data = folder / "data"
    if samples is not None:
        subprocess.run(
            [promtool, "tsdb", "create-blocks-from", "openmetrics", samples, data],
            check=True,
            capture_output=True,
            text=True,
        )
    config = folder / "prometheus.yml"
    if not config.exists():
        config.write_text("{}")
    port = free_port()
    log = (folder / "prometheus.log").open("w")
    process = subprocess.Popen(
        [
            binary,
            f"--config.file={config}",
            f"--storage.tsdb.path={data}",
            "--storage.tsdb.retention.time=10y",
            f"--web.listen-address=127.0.0.1:{port}",
            *options,
        ],
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    server = Prometheus(f"http://127.0.0.1:{port}")
    try:
        wait_for(server.ready, "Prometheus")
        yield server
    finally:
        process.terminate()
        process.wait(15)
        log.close()


@contextmanager
def victoria_metrics(folder: Path, samples: Path | None = None, *options: str) -> Iterator[Prometheus]:
    """VictoriaMetrics with the samples of an OpenMetrics file, if any; it answers as Prometheus does."""
    binary = optional("victoria-metrics")
    port = free_port()
    log = (folder / "victoria-metrics.log").open("w")
    process = subprocess.Popen(
        [
            binary,
            f"-storageDataPath={folder / 'data'}",
            f"-httpListenAddr=127.0.0.1:{port}",
            "-retentionPeriod=10y",
            *options,
        ],
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    server = Prometheus(f"http://127.0.0.1:{port}")
    try:
        wait_for(lambda: server.ready("health"), "VictoriaMetrics")
        text = samples.read_text(encoding="utf-8") if samples is not None else ""
        lines = [line.rpartition(" ") for line in text.splitlines()]
        told = [f"{series} {float(at) * 1000:.0f}" for series, _, at in lines if series != "#"]
        for path, body in (("api/v1/import/prometheus", "\n".join(told)), ("internal/force_flush", "")):
            urllib.request.urlopen(f"{server.url}/{path}", data=body.encode(), timeout=60).close()
        yield server
    finally:
        process.terminate()
        process.wait(15)
        log.close()


class Prometheus:
    """Prometheus' HTTP API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ready(self, path: str = "-/ready") -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/{path}", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def get(self, path: str, **parameters: object) -> Any:
        """The ``data`` of an answer.

        Raises:
            AssertionError: with Prometheus' own words, when it refuses.
        """
        query = urllib.parse.urlencode({key: str(value) for key, value in parameters.items()})
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=60) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error
        return answer["data"]

    def instant(self, expression: str, at: float) -> dict[tuple[tuple[str, str], ...], float]:
        """Labels and value of every series at one moment."""
        found = self.get("query", query=expression, time=at)["result"]
        return {_key(one["metric"]): float(one["value"][1]) for one in found}

    def over_time(
        self, expression: str, start: float, end: float, step: float
    ) -> dict[float, dict[tuple[tuple[str, str], ...], float]]:
        """The same at every step."""
        steps: dict[float, dict[tuple[tuple[str, str], ...], float]] = {}
        for one in self.get("query_range", query=expression, start=start, end=end, step=step)["result"]:
            for at, value in one["values"]:
                steps.setdefault(float(at), {})[_key(one["metric"])] = float(value)
        return steps


def _key(metric: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(metric.items()))
