"""Which Langfuse a command talks to: the one of the settings, else the local stack of this home."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_agents.config import Settings
    from otel_agents.langfuse.reading import LangfuseReader


def settings() -> Settings:
    """The settings in force, with address and keys of the running local stack where none are set.

    Raises:
        otel_agents.ConfigError: a setting cannot be used.
    """
    from otel_agents.config import resolve

    return with_local_stack(resolve())


def with_local_stack(resolved: Settings) -> Settings:
    """``resolved``, with address and keys of the running local stack where no keys are set."""
    if resolved.langfuse_public_key or resolved.langfuse_secret_key:
        return resolved
    from otel_agents.stack import state

    running = state.read(resolved.home)
    if running is None:
        return resolved
    keys = state.local_keys(resolved.home)
    return replace(
        resolved,
        langfuse_base_url=running.ui,
        langfuse_public_key=keys.public,
        langfuse_secret_key=keys.secret,
    )


def open_reader(resolved: Settings) -> LangfuseReader:
    """A reader for a command, which waits when the server asks it to.

    Raises:
        LangfuseUnavailable: there are no keys, and no local stack runs.
    """
    from otel_agents.langfuse.reading import LangfuseReader

    return LangfuseReader.from_settings(with_local_stack(resolved))
