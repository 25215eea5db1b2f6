"""Prompts in Langfuse: versions, labels, and moving labels between versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from otel_agents.langfuse.official import connect, explaining
from otel_agents.langfuse.unavailable import LangfuseUnavailable
from otel_agents.prompts.content import LATEST, Prompt, PromptError

if TYPE_CHECKING:
    from otel_agents.config import Settings

_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Listed:
    """All versions of one prompt."""

    name: str
    type: str
    versions: tuple[int, ...]
    labels: tuple[str, ...]
    tags: tuple[str, ...]
    updated: datetime


class PromptServer:
    """The prompts of a project, through the official SDK's REST client.

    Every method raises ``LangfuseUnavailable`` when the server cannot be
    asked, and :class:`PromptError` when it has not got what was asked for.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._api = connect(settings)

    def list(self, name: str | None = None, label: str | None = None) -> list[Listed]:
        """Every prompt, by name; only those of a name or with a label if given."""
        found: list[Listed] = []
        page = pages = 1
        while page <= pages:
            with explaining(self._settings):
                answer = self._api.prompts.list(name=name, label=label, page=page, limit=_PAGE)
            found += [
                Listed(
                    one.name,
                    str(one.type.value),
                    tuple(sorted(one.versions)),
                    tuple(sorted(one.labels)),
                    tuple(one.tags),
                    one.last_updated_at,
                )
                for one in answer.data
            ]
            page, pages = page + 1, answer.meta.total_pages
        return sorted(found, key=lambda one: one.name)

    def versions(self, name: str) -> tuple[int, ...]:
        """The numbers of all versions, oldest first; none when the prompt does not exist."""
        # The label filter would also filter the versions; names are matched exactly or by part.
        return next((one.versions for one in self.list(name) if one.name == name), ())

    def find(self, name: str, version: int | None = None, label: str | None = None) -> Prompt | None:
        """One version, by number or label; None when there is none.

        References to other prompts are left as they are written.
        """
        try:
            with explaining(self._settings):
                found = self._api.prompts.get(name, version=version, label=label, resolve=False)
        except LangfuseUnavailable as problem:
            if problem.status == 404:
                return None
            raise
        return _prompt(found)

    def get(self, name: str, version: int | None = None, label: str | None = None) -> Prompt:
        """One version, by number or label."""
        found = self.find(name, version, label)
        if found is not None:
            return found
        known = self.versions(name)
        if not known:
            raise PromptError(
                f"no prompt {name!r} in {self._settings.langfuse_base_url}; see `otel-agents prompts list`"
            )
        wanted = f"version {version}" if version is not None else f"version labelled {label!r}"
        there = ", ".join(map(str, known))
        raise PromptError(f"prompt {name!r} has no {wanted}; it has the versions {there}")

    def create(self, prompt: Prompt, labels: Sequence[str], message: str | None = None) -> Prompt:
        """Makes the next version.

        Args:
            labels: that it gets, taken from the versions that have them.
            message: why, at most 500 characters.
        """
        from langfuse.api import CreateChatPromptRequest, CreateTextPromptRequest
        from langfuse.api.prompts.types import CreateChatPromptType, CreateTextPromptType

        rest: dict[str, Any] = {
            "name": prompt.name,
            "config": dict(prompt.config),
            "labels": list(labels),
            "tags": list(prompt.tags) if prompt.tags is not None else None,
            "commit_message": message,
        }
        with self._explaining_refusals(prompt.name), explaining(self._settings):
            request: CreateChatPromptRequest | CreateTextPromptRequest
            if prompt.messages is None:
                request = CreateTextPromptRequest(
                    type=CreateTextPromptType("text"), prompt=prompt.text or "", **rest
                )
            else:
                messages: Any = [dict(one) for one in prompt.messages]
                request = CreateChatPromptRequest(type=CreateChatPromptType("chat"), prompt=messages, **rest)
            return _prompt(self._api.prompts.create(request=request))

    def add_labels(self, name: str, version: int, labels: Sequence[str]) -> None:
        """Puts labels on a version, taking them from others."""
        with self._explaining_refusals(name), explaining(self._settings):
            self._api.prompt_version.update(name, version, new_labels=list(labels))

    @contextmanager
    def _explaining_refusals(self, name: str) -> Iterator[None]:
        try:
            yield
        except LangfuseUnavailable as problem:
            if problem.status == 400:
                reason = str(problem).partition(": ")[2].rstrip(".")
                raise PromptError(f"Langfuse does not take {name!r}: {reason}; correct it") from None
            raise


def _prompt(found: Any) -> Prompt:
    chat = found.type == "chat"
    return Prompt(
        found.name,
        text=None if chat else found.prompt,
        messages=[_message(one) for one in found.prompt] if chat else None,
        config=found.config if isinstance(found.config, dict) else {},
        labels=tuple(sorted(found.labels, key=lambda label: (label == LATEST, label))),
        tags=tuple(found.tags),
        version=found.version,
    )


def _message(found: Any) -> dict[str, Any]:
    given = found.dict(exclude_none=True) if hasattr(found, "dict") else dict(found)
    # The SDK has enumerations where the API has words.
    return {key: str(getattr(value, "value", value)) for key, value in given.items()}
