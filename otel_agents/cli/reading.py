"""Which Langfuse a command reads: the one of the settings, else the local stack that runs in this home."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_agents.config import Settings
    from otel_agents.langfuse.reading import LangfuseReader


def open_reader(settings: Settings) -> LangfuseReader:
    """A reader for a command, which waits when the server asks it to.

    Raises:
        LangfuseUnavailable: there are no keys, and no local stack runs.
    """
    from otel_agents.langfuse.reading import LangfuseReader

    if not settings.langfuse_public_key and not settings.langfuse_secret_key:
        from otel_agents.stack import state

        running = state.read(settings.home)
        if running is not None:
            keys = state.local_keys(settings.home)
            return LangfuseReader(running.ui, keys.public, keys.secret)
    return LangfuseReader.from_settings(settings)
