"""What sends to a Collector, by the protocol that the settings name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from otel_agents.export.grpc_sender import GrpcSender
from otel_agents.export.sender import HttpSender

if TYPE_CHECKING:
    from otel_agents.config import Otlp


def connection(target: Otlp, signal: str) -> Callable[[], HttpSender | GrpcSender]:
    """What makes the sender of ``signal`` (``traces``, ``metrics`` or ``logs``) to ``target``.

    What it needs is imported here: a thread that is importing cannot be forked.
    """
    make: type[HttpSender | GrpcSender]
    if target.protocol == "grpc":
        import grpc  # noqa: F401

        make = GrpcSender
    else:
        import requests  # noqa: F401

        make = HttpSender
    return partial(make, target.endpoint, target.headers, target.timeout, target.compression, signal)
