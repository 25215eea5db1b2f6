"""``observer.prompt(...)``: prompts by the SDK's cache, and model calls that know which one they used."""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from otel_agents import metrics, runtime, semconv, values
from otel_agents.observer import registry
from otel_agents.observer.state import enabled
from otel_agents.tracing import contexts, spans
from otel_agents.tracing.contexts import short_name
from otel_agents.tracing.scopes import take_up_prompt
from otel_agents.values.objects import is_a

if TYPE_CHECKING:
    from otel_agents.observer.facade import LangfuseObserver

logger = logging.getLogger(__name__)

#: Seconds that a first use may wait for Langfuse.
_TIMEOUT: Final = 3
#: Seconds in which a prompt that could not be had is not asked for again.
_RETRY_AFTER: Final = 30.0
_LIMIT: Final = 1000

#: Prompts that could not be had → when to ask again, and the reason.
_missing: dict[tuple[str, str, str | None, int | None], tuple[float, str]] = {}
_lock = threading.Lock()


class LinkedPrompt:
    """A prompt, and a block whose model calls are linked to it.

    Attributes:
        name: of the prompt.
        version: Langfuse's number; 0 of a fallback.
        is_fallback: Langfuse did not have it or did not answer.
    """

    __slots__ = ("_block", "_client", "is_fallback", "name", "version")

    def __init__(self, client: Any) -> None:
        self._client = client
        self._block: contexts.context | None = None
        self.name: str = client.name
        self.version: int = client.version
        self.is_fallback: bool = client.is_fallback

    @property
    def prompt(self) -> Any:
        """The text, or the messages, with their ``{{variables}}``."""
        return self._client.prompt

    @property
    def config(self) -> Any:
        """What is kept with the prompt, such as model and temperature."""
        return self._client.config

    @property
    def labels(self) -> list[str]:
        """Of this version, such as ``production``."""
        return list(self._client.labels)

    def compile(self, **variables: Any) -> Any:
        """The text, or the messages, with the variables put in; a variable that is not given stays."""
        return self._client.compile(**variables)

    def __enter__(self) -> LinkedPrompt:
        if not self.is_fallback:
            self._block = contexts.context(prompt_name=self.name, prompt_version=self.version)
            self._block.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        if self._block is not None:
            self._block.__exit__(exc_type, exc, traceback)

    async def __aenter__(self) -> LinkedPrompt:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.__exit__(exc_type, exc, traceback)

    def __str__(self) -> str:
        return values.to_text(self.prompt, 1_000_000)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._client, name)

    def __repr__(self) -> str:
        return f"LinkedPrompt({self.name!r}, version={self.version})"


def get_prompt(
    observer: LangfuseObserver,
    name: object,
    label: object,
    version: object,
    fallback: Any,
    kind: object,
) -> LinkedPrompt:
    """See :meth:`otel_agents.observer.facade.LangfuseObserver.prompt`."""
    called = short_name(name)
    if not observer.langfuse.enabled:
        return LinkedPrompt(stand_in(called, fallback, kind))
    wanted = _number(version)
    tag = None if wanted is not None else short_name(label) or None
    key = (observer.langfuse.base_url, called, tag, wanted)
    found, reason = None, _asked_in_vain(key)
    if not reason:
        found, reason = _ask(observer, key, kind or _kind(fallback))
    if found is None:
        count_fallback(called, reason)
        return LinkedPrompt(stand_in(called, fallback, kind))
    link(found.name, found.version)
    return LinkedPrompt(found)


def _ask(
    observer: LangfuseObserver, key: tuple[str, str, str | None, int | None], kind: object
) -> tuple[Any, str]:
    """The official client's prompt; or None and why there is none."""
    _, name, label, version = key
    try:
        return (
            observer.langfuse._client().get_prompt(
                name,
                label=label,
                version=version,
                type=kind,  # type: ignore[call-overload]
                max_retries=0,
                fetch_timeout_seconds=_TIMEOUT,
            ),
            "",
        )
    except Exception as error:
        status = getattr(error, "status_code", None)
        reason = "not_found" if status == 404 or not name else "unavailable"
        if reason == "unavailable" and status in (401, 403):
            reason = "refused"
        logger.warning("otel-agents: the fallback is used for prompt %r: %s", name, _why(reason, key[0]))
        with _lock:
            if len(_missing) >= _LIMIT:
                _missing.clear()
            _missing[key] = (time.monotonic() + _RETRY_AFTER, reason)
        return None, reason


def _asked_in_vain(key: tuple[str, str, str | None, int | None]) -> str:
    """Why a prompt was not to be had a moment ago; empty when it may be asked for."""
    found = _missing.get(key)
    return found[1] if found is not None and time.monotonic() < found[0] else ""


def _why(reason: str, base_url: str) -> str:
    if reason == "not_found":
        return f"{base_url} has none of that name with that label or version; push it there"
    if reason == "refused":
        return f"{base_url} refuses the keys; check LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY"
    return f"{base_url} did not give it; asked for again in {_RETRY_AFTER:g} s"


def stand_in(name: object, fallback: Any, kind: object) -> Any:
    """The official client's object for a prompt that is not there: the fallback, else an empty text."""
    from langfuse.api import Prompt_Chat, Prompt_Text
    from langfuse.model import ChatPromptClient, TextPromptClient

    common: dict[str, Any] = {
        "name": values.to_text(name, 255) if name else "",
        "version": 0,
        "config": {},
        "labels": [],
        "tags": [],
    }
    if (kind or _kind(fallback)) == "chat" and is_a(fallback, list, tuple, type(None)):
        try:
            chat = Prompt_Chat(**common, type="chat", prompt=list(fallback or ()))
            return ChatPromptClient(chat, is_fallback=True)
        except Exception:
            spans.note("read the messages of a fallback")
            fallback = values.to_json(fallback, 1_000_000)
    text = "" if fallback is None else values.to_text(fallback, 1_000_000)
    return TextPromptClient(Prompt_Text(**common, type="text", prompt=text), is_fallback=True)


def link(name: str, version: int) -> None:
    """Links the model calls that the current run makes from now on to a prompt's version."""
    try:
        if not enabled():
            return
        around = contexts.scope()
        if around.run is None:
            return
        redact = runtime.current().redactor.text
        called, numbered = redact(short_name(name)), str(version)
        take_up_prompt(around.run, around, called, numbered)
        execution = registry.current()
        if execution is not None:
            execution.note({"prompt_name": called, "prompt_version": numbered})
            named = {semconv.PROMPT_NAME: called, semconv.PROMPT_VERSION: numbered}
            spans.set_attributes(execution.span, named)
    except Exception:
        spans.note("link a prompt")


def count_fallback(name: object, reason: str) -> None:
    """Counts a prompt for which the fallback was used."""
    try:
        redact = runtime.current().redactor.text
        labels = {"prompt": redact(short_name(name)) or None, "reason": reason}
        runtime.current().instruments.count(metrics.PROMPT_FALLBACKS, 1, labels)
    except Exception:
        spans.note("count a fallback")


def _kind(fallback: object) -> str:
    return "chat" if is_a(fallback, list, tuple) else "text"


def _number(version: object) -> int | None:
    try:
        return int(version) if version is not None else None  # type: ignore[call-overload]
    except Exception:
        return None
