"""A small app for the tests of ``/metrics``: counts as told, answers by pipe, forks when asked to.

Run as ``python prometheus_app.py PORT NAME``; reads commands from standard input, one a line:
``call MODEL N`` (N model calls of 10 tokens), ``fork NAME`` (a forked child counts 7 calls and stays),
``flush``, ``serving``, ``exit``.
"""

from __future__ import annotations

import os
import sys
import time
import uuid

from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from otel_agents import config
from otel_agents.export import prometheus


class App:
    """One process's instruments."""

    def __init__(self, port: int, name: str) -> None:
        settings = config.resolve({"metrics_port": port}, {}, False)
        resource = Resource(
            {
                "service.name": "worker-app",
                "service.namespace": "tests",
                "service.instance.id": f"{name}-{uuid.uuid4()}",
                "service.version": "1.2",
                "worker": name,
            }
        )
        self.reader = prometheus.start(settings, resource, interval=0.3)
        self.provider = MeterProvider([self.reader], resource=resource, shutdown_on_exit=False)
        meter = self.provider.get_meter("otel_agents", "0")
        self.tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
        self.tokens = meter.create_counter(
            "gen_ai.client.inference.usage.input_tokens", unit="{token}", description="Input tokens"
        )
        self.duration = meter.create_histogram(
            "gen_ai.client.inference.duration",
            unit="s",
            description="Model call",
            explicit_bucket_boundaries_advisory=[0.1, 1.0, 10.0],
        )

    def call(self, model: str) -> None:
        """One model call under a span."""
        attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": model}
        with self.tracer.start_as_current_span("chat") as span:
            context = trace.set_span_in_context(span)
            self.tokens.add(10, attributes, context)
            self.duration.record(0.5, attributes, context)


def _child(port: int, name: str) -> None:
    prometheus.after_fork()
    app = App(port, name)
    for _ in range(7):
        app.call("forked")
    app.provider.force_flush()
    print("forked", os.getpid(), flush=True)
    parent = os.getppid()
    while os.getppid() == parent:  # lives a little longer than its parent, to see what is inherited
        time.sleep(0.05)
    time.sleep(30)


def main() -> None:
    """Obeys until ``exit`` or the end of the input."""
    port, name = int(sys.argv[1]), sys.argv[2]
    app = App(port, name)
    print("ready", os.getpid(), flush=True)
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "call":
            for _ in range(int(arguments[1])):
                app.call(arguments[0])
        elif command == "fork":
            if os.fork() == 0:
                _child(port, arguments[0])
                os._exit(0)
            continue  # the child answers
        elif command == "flush":
            app.provider.force_flush()
        elif command == "exit":
            app.provider.shutdown()
            print("bye", flush=True)
            return
        print(f"done {app.reader.port or '-'}", flush=True)


if __name__ == "__main__":
    main()
