"""Scraping, and processes that count."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

OPENMETRICS = "application/openmetrics-text;version=1.0.0"

Labels = tuple[tuple[str, str], ...]


def get(port: int, accept: str = "text/plain") -> str:
    """The text of ``/metrics``."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"accept": accept})
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(response.read().decode())


def samples(text: str, openmetrics: bool = False) -> dict[tuple[str, Labels], float]:
    """Every sample by name and labels; fails when one is there twice."""
    found: dict[tuple[str, Labels], float] = {}
    for family in (parse_openmetrics if openmetrics else parse_text)(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f"{key} is there twice"
            found[key] = float(sample.value)
    return found


def values(port: int, name: str, label: str) -> dict[str, float]:
    """Values of one metric, summed by one label; empty while nobody serves."""
    try:
        text = get(port)
    except OSError:
        return {}
    result: dict[str, float] = {}
    for (sample, labels), value in samples(text).items():
        if sample == name:
            key = dict(labels).get(label, "")
            result[key] = result.get(key, 0) + value
    return result


class Worker:
    """A child process that runs ``prometheus_app.py``."""

    def __init__(self, port: int, name: str) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("prometheus_app.py")), str(port), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
        self.line()

    def line(self) -> list[str]:
        """The next line that the process answers."""
        assert self.process.stdout is not None
        answer = self.process.stdout.readline().split()
        assert answer, f"worker {self.name} died"
        return answer

    def tell(self, command: str) -> list[str]:
        """Sends a command and waits for the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.line()

    @property
    def serves(self) -> bool:
        """Whether this process has the port."""
        return self.tell("serving")[1] != "-"
