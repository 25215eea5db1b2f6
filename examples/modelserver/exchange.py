"""One request and its answer, between the wire formats and the server."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from modelserver.prices import Bill
from modelserver.prompt import Answer, Prompt
from modelserver.scenario import ORDINARY, Scenario


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer, such as one event of a stream.

    Attributes:
        tokens: output tokens that it stands for.
        final: with it the answer is complete, usage included; what may follow is punctuation.
    """

    data: bytes
    tokens: int = 0
    final: bool = False


@dataclass(slots=True)
class Exchange:
    """An accepted request with its answers (several for OpenAI's ``n``) and its bill."""

    provider: str
    prompt: Prompt = field(default_factory=lambda: Prompt("", []))
    answers: list[Answer] = field(default_factory=list)
    bill: Bill = field(default_factory=Bill)
    model: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)
    scenario: Scenario = ORDINARY
    request_id: str = field(default_factory=lambda: f"req_{uuid.uuid4().hex}")
    response_id: str = ""
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def shows_usage(self) -> bool:
        """Whether the client is sent the usage."""
        return self.prompt.include_usage and "no_usage" not in self.scenario.flags


class Format(Protocol):
    """What a provider's wire format has to do; one module each."""

    provider: str

    def read(self, body: Mapping[str, Any]) -> Prompt:
        """The request's meaning; raises ``BadRequest``."""

    def plain(self, exchange: Exchange) -> dict[str, Any]:
        """The answer as one JSON object."""

    def stream(self, exchange: Exchange) -> Iterator[Piece]:
        """The answer as server-sent events."""

    def stream_error(self, exchange: Exchange) -> bytes:
        """The error event that ends a stream which fails in the middle."""

    def error(self, status: int, message: str | None, request_id: str, param: str | None) -> dict[str, Any]:
        """The body of an error answer; the provider's usual words when ``message`` is None."""

    def headers(self, request_id: str) -> dict[str, str]:
        """The headers that the provider adds to every answer."""

    def key(self, headers: Mapping[str, str]) -> str | None:
        """The API key that the request carries."""


def compact(value: object) -> str:
    """JSON as providers send it: without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def slices(text: str, size: int = 16) -> Iterator[str]:
    """The text in parts of about four tokens, as streams deliver it."""
    for at in range(0, len(text), size):
        yield text[at : at + size]
