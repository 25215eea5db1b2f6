"""``observer.langfuse``: the official client for the settings in force, and what it lacks.

It reads and manages, and exports no spans: those go the way of this package. It is kept out of the SDK's
own list of clients, where it would stand in for one that the app makes with the same key.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from otel_agents.langfuse.unavailable import LangfuseUnavailable

if TYPE_CHECKING:
    from langfuse import Langfuse

    from otel_agents.config import Settings
    from otel_agents.observer.traces import TraceRow

logger = logging.getLogger(__name__)


class LangfuseClient:
    """Everything that ``langfuse.Langfuse`` has (``api``, ``auth_check``, ``create_prompt`` ...), and more.

    Without keys it answers as an empty project would: prompts are their fallbacks, there are no traces.

    Args:
        settings: whose address and keys it uses.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: Langfuse | None = None
        self._lock = threading.Lock()

    @property
    def base_url(self) -> str:
        """Langfuse's address."""
        return self._settings.langfuse_base_url.rstrip("/")

    @property
    def _client_wrapper(self) -> Any:
        """What ``_base_url`` is read from; older clients of Langfuse's had it here."""
        if self._has_keys():
            return self._client().api._client_wrapper
        return _Address(self.base_url)

    @property
    def enabled(self) -> bool:
        """Whether there are keys to ask Langfuse with."""
        return self._has_keys()

    def get_prompt(self, name: str, **rest: Any) -> Any:
        """As the official client's; model calls that the current run makes from now on are linked to it.

        Raises:
            langfuse.api.NotFoundError: there is no such prompt, and no ``fallback`` is given; other
                errors of that client when Langfuse cannot be asked.
        """
        from otel_agents.observer import prompts

        if not self._has_keys():
            return prompts.stand_in(name, rest.get("fallback"), rest.get("type"))
        found = self._client().get_prompt(name, **rest)
        if found.is_fallback:
            prompts.count_fallback(name, "unavailable")
        else:
            prompts.link(found.name, found.version)
        return found

    def get_traces(
        self,
        from_timestamp: datetime | date | str | None = None,
        to_timestamp: datetime | date | str | None = None,
        *,
        limit: int | None = None,
        name: str | None = None,
        user_id: str | None = None,
        session_id: str | None = None,
        tags: str | Sequence[str] | None = None,
        environment: str | None = None,
        **more: object,
    ) -> list[TraceRow]:
        """The tasks of a time, the newest first, each with its cost and metadata.

        Args:
            from_timestamp: inclusive; a datetime, a date or ISO text; without a zone, UTC. By default a
                day ago.
            to_timestamp: exclusive; by default now.
            limit: at most so many; by default all.
            name: of the trace's topmost observation, or the trace name.
            user_id: of the user that the work was for.
            session_id: of the conversation.
            tags: that the trace must have, all of them.
            environment: of the trace.
            more: what clients of old had beside (``page``, ``order_by`` ...); of no effect.

        Raises:
            otel_agents.langfuse.unavailable.LangfuseUnavailable: one line that says what is wrong.
            TypeError: an argument is of no use; names it.
        """
        if not self._has_keys():
            return []
        from otel_agents.observer.traces import moment, read

        since, until = moment(from_timestamp, "from_timestamp"), moment(to_timestamp, "to_timestamp")
        if limit is not None and not isinstance(limit, int):
            raise TypeError(f"limit must be a whole number, not {limit!r}")

        wanted: Mapping[str, str | None] = {
            "userId": user_id,
            "sessionId": session_id,
            "environment": environment,
        }
        return read(self._settings, since, until, limit, name, tags, wanted)

    def set_budget(self, amount: float, period: str = "monthly", **rest: Any) -> Any:
        """Sets what may be spent; see :func:`otel_agents.set_budget`. Langfuse itself has no budgets."""
        from otel_agents.budgets import set_budget

        return set_budget(amount, period, **rest)

    def auth_check(self) -> bool:
        """Whether Langfuse accepts the keys; False when there are none.

        Raises:
            langfuse.api.UnauthorizedError: it refuses them; other errors when it cannot be asked.
        """
        return self._has_keys() and bool(self._client().auth_check())

    def serves(self, settings: Settings) -> bool:
        """Whether the client is for these settings' address and keys."""
        return all(
            getattr(self._settings, name) == getattr(settings, name)
            for name in ("langfuse_base_url", "langfuse_public_key", "langfuse_secret_key")
        )

    def flush(self) -> None:
        """Sends what this package holds; see :func:`otel_agents.flush`."""
        from otel_agents import setup

        setup.flush()

    def close(self) -> None:
        """Ends the client's threads and connections."""
        with self._lock:
            made, self._made = self._made, None
        if made is None:
            return
        made.shutdown()
        # The thread that refreshes prompts would wait for more until the process ends.
        manager = getattr(getattr(made._resources, "prompt_cache", None), "_task_manager", None)
        if manager is not None:
            manager.shutdown()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._client(), name)

    def __repr__(self) -> str:
        return f"LangfuseClient({self.base_url!r})"

    def _has_keys(self) -> bool:
        settings = self._settings
        return bool(settings.enabled and settings.langfuse_public_key and settings.langfuse_secret_key)

    def _client(self) -> Langfuse:
        if not self._has_keys():
            raise LangfuseUnavailable(
                "Langfuse is not configured in this process; set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY"
            )
        with self._lock:
            if self._made is None:
                self._made = _make(self._settings)
            return self._made


class _Address:
    __slots__ = ("_base_url",)

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    def get_base_url(self) -> str:
        return self._base_url


def _make(settings: Settings) -> Langfuse:
    """A client without tracing: no tracer provider, no exporter, none made global."""
    from langfuse import Langfuse
    from langfuse._client.resource_manager import LangfuseResourceManager as Manager

    key = settings.langfuse_public_key or ""
    arguments: dict[str, Any] = {
        "public_key": key,
        "secret_key": settings.langfuse_secret_key,
        "base_url": settings.langfuse_base_url.rstrip("/"),
        "tracing_enabled": False,
    }
    # The SDK keeps one client's parts for each key and gives them to whoever asks next, so the app's own
    # client would come without tracing, or ours with the app's.
    instances: dict[str, Any] | None = getattr(Manager, "_instances", None)
    lock = getattr(Manager, "_lock", None)
    if instances is None or lock is None:
        return Langfuse(**arguments)
    with lock:
        apps_own = instances.pop(key, None)
        try:
            return Langfuse(**arguments)
        finally:
            instances.pop(key, None)
            if apps_own is not None:
                instances[key] = apps_own
