"""A real Prometheus scrapes ``/metrics`` of three worker processes; promtool reads the page."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from parts import free_port, require, wait_for
from scraping import Worker, get

Start = Callable[[int, str], Worker]
Query = Callable[..., Any]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[[int], Query]]:
    """Starts Prometheus on a scrape target and answers a function that asks its API."""
    binary = require("prometheus")
    processes: list[subprocess.Popen[bytes]] = []
    logs = []

    def start(target: int) -> Query:
        port = free_port()
        (tmp_path / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s}\n"
            "scrape_configs:\n"
            "  - {job_name: ignored, honor_labels: true, static_configs: "
            f"[{{targets: ['127.0.0.1:{target}']}}]}}\n"
        )
        log = (tmp_path / "prometheus.log").open("wb")
        logs.append(log)
        processes.append(
            subprocess.Popen(
                [
                    binary,
                    f"--config.file={tmp_path / 'prometheus.yml'}",
                    f"--storage.tsdb.path={tmp_path / 'data'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                    "--enable-feature=exemplar-storage",
                ],
                stdout=log,
                stderr=log,
            )
        )

        def ask(path: str, **parameters: str) -> Any:
            url = f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
            try:
                with urllib.request.urlopen(url, timeout=10) as response:
                    return json.load(response)["data"]
            except OSError:
                return None

        return ask

    yield start
    for process in processes:
        process.terminate()
        process.wait(20)
    for log in logs:
        log.close()


def _vector(answer: Any, label: str) -> dict[str, float]:
    return {one["metric"].get(label, ""): float(one["value"][1]) for one in (answer or {}).get("result", ())}


@pytest.mark.prometheus
def test_prometheus_sees_every_worker_once_with_exemplars(
    workers: Start, server: Callable[[int], Query]
) -> None:
    port = free_port()
    started = {name: workers(port, name) for name in ("a", "b", "c")}
    ask = server(port)
    for number, worker in enumerate(started.values(), 1):
        worker.tell(f"call model-{number} {number}")
    tokens = "gen_ai_client_inference_usage_input_tokens_total"

    def total(expected: float) -> bool:
        return _vector(ask("query", query=f"sum({tokens})"), "") == {"": expected}

    wait_for(lambda: total(60), "60 tokens", timeout=40)
    assert _vector(ask("query", query=f"sum by (job) ({tokens})"), "job") == {"tests/worker-app": 60}
    joined = f"sum by (worker) ({tokens} * on (instance) group_left (worker) target_info)"
    assert _vector(ask("query", query=joined), "worker") == {"a": 10, "b": 20, "c": 30}
    models = f"sum by (gen_ai_request_model) ({tokens})"
    assert _vector(ask("query", query=models), "gen_ai_request_model") == {
        "model-1": 10,
        "model-2": 20,
        "model-3": 30,
    }
    median = "histogram_quantile(0.5, sum by (le) (gen_ai_client_inference_duration_seconds_bucket))"
    assert 0.1 < _vector(ask("query", query=median), "")[""] < 1.0

    def exemplars() -> list[str]:
        answer = ask(
            "query_exemplars",
            query="gen_ai_client_inference_duration_seconds_bucket",
            start="2000-01-01T00:00:00Z",
            end="2100-01-01T00:00:00Z",
        )
        return [one["labels"]["trace_id"] for series in answer or () for one in series["exemplars"]]

    assert all(len(trace_id) == 32 for trace_id in wait_for(exemplars, "exemplars"))

    # The serving process dies: the sum neither falls nor doubles.
    serving = next(worker for worker in started.values() if worker.serves)
    serving.process.kill()
    serving.process.wait()
    del started[serving.name]
    next(iter(started.values())).tell("call model-1 4")
    wait_for(lambda: total(100), "100 tokens", timeout=40)
    highest = f"max_over_time(sum({tokens})[5m:1s])"
    wait_for(lambda: _vector(ask("query", query=highest), "")[""] >= 100, "the highest sum")
    assert _vector(ask("query", query=highest), "") == {"": 100}


@pytest.mark.prometheus
def test_promtool_has_nothing_to_say_about_the_page(workers: Start) -> None:
    promtool = require("promtool")
    port = free_port()
    workers(port, "a").tell("call m 1")
    page = wait_for(lambda: _page(port), "the page")
    run = subprocess.run(
        [promtool, "check", "metrics"], input=page, capture_output=True, text=True, timeout=60
    )
    # target_info is how the Collector names it, and its help text is the Collector's.
    complaints = [line for line in (run.stdout + run.stderr).splitlines() if line.strip()]
    assert not complaints, complaints
    assert run.returncode == 0


def _page(port: int) -> str | None:
    try:
        text = get(port)
    except OSError:
        return None
    return text if "duration_seconds_bucket" in text else None
