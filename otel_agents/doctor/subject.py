"""What is examined: the settings of this shell, and the local stack that runs in this home."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from otel_agents.config import Settings
    from otel_agents.stack.state import State


@dataclass(frozen=True, slots=True)
class Subject:
    """What is known before anything is asked.

    Attributes:
        settings: as an app started here would have them, or as one that uses the local stack would.
        stack: the local stack, if the settings lead to it.
        adopted: whether nothing was set here, and the stack's addresses were taken.
        prometheus: its address, and whether somebody has named it (or it is a guess).
    """

    settings: Settings
    stack: State | None
    adopted: bool
    prometheus: str
    prometheus_named: bool

    @property
    def can_read(self) -> bool:
        """Whether there are keys to read Langfuse with."""
        return bool(self.settings.langfuse_public_key and self.settings.langfuse_secret_key)

    @property
    def otlp_host(self) -> str:
        """Host of the Collector."""
        target = self.settings.otlp("traces")
        return (urlsplit(target.endpoint).hostname if target else None) or "127.0.0.1"

    @property
    def metrics_port(self) -> int:
        """Where the apps' metrics are: of the Collector, or in direct mode of the app."""
        if self.stack is not None:
            return urlsplit(self.stack.metrics_page).port or 0
        direct = self.settings.mode == "direct"
        return self.settings.metrics_port if direct else self.settings.collector_metrics_port


def subject(environ: Mapping[str, str] | None = None, prometheus: str | None = None) -> Subject:
    """What is to be examined.

    Args:
        environ: ``os.environ`` by default.
        prometheus: its address, when it was given on the command line.

    Raises:
        otel_agents.ConfigError: a setting cannot be used.
    """
    from otel_agents.config import resolve
    from otel_agents.stack import state

    environ = os.environ if environ is None else environ
    settings = resolve({"prometheus_url": prometheus}, environ)
    running = state.read(settings.home)
    adopted = False
    if running is not None and settings.enabled and settings.mode == "disabled":
        from otel_agents.stack.services import app_environment

        own = app_environment(running, state.local_keys(settings.home))
        settings = resolve({"prometheus_url": prometheus}, {**environ, **own})
        adopted = True
    stack = running if running is not None and _leads_to(settings, running) else None
    if stack is not None and not (settings.langfuse_public_key or settings.langfuse_secret_key):
        keys = state.local_keys(settings.home)
        settings = replace(
            settings,
            langfuse_base_url=stack.ui,
            langfuse_public_key=keys.public,
            langfuse_secret_key=keys.secret,
        )
    named = settings.prometheus_url or (stack.prometheus if stack is not None else None)
    guess = f"http://127.0.0.1:{settings.prometheus_port}"
    return Subject(settings, stack, adopted, (named or guess).rstrip("/"), named is not None)


def _leads_to(settings: Settings, stack: State) -> bool:
    if settings.mode == "direct":
        return settings.langfuse_base_url == stack.ui
    target = settings.otlp("traces")
    return target is not None and stack.otlp is not None and target.endpoint.startswith(stack.otlp)
