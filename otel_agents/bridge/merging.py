"""Puts the content of events onto the spans that they belong to, and waits for it a little."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.concurrency import run_in_threadpool

from otel_agents import semconv as sc
from otel_agents.bridge.batches import Batch, set_text, text_of
from otel_agents.bridge.event_content import Said, input_output, is_whole
from otel_agents.langfuse.content import INPUT, OUTPUT

if TYPE_CHECKING:
    from otel_agents.bridge.contents import Contents
    from otel_agents.bridge.meters import Meters

logger = logging.getLogger(__name__)

#: Operations whose content is not messages.
_OTHER_CONTENT: Final = frozenset({sc.OP_EXECUTE_TOOL, sc.OP_RETRIEVAL})
#: Seconds for which a service that sent content is expected to send more.
_FLOWS: Final = 600.0
#: After this many waits in vain, one after the other, a service is not waited for ...
_IN_VAIN: Final = 3
#: ... for this many seconds.
_NOT_WAITED: Final = 60.0
_STATUS_ERROR: Final = 2


@dataclass(slots=True)
class _Flow:
    """What is known of one service's events."""

    last: float
    in_vain: int = 0
    not_before: float = 0.0


@dataclass(frozen=True, slots=True)
class _Bare:
    """A span of a GenAI operation without content."""

    span: Any
    key: bytes
    operation: str
    service: str


class Merger:
    """Merges what is there; waits for what is not, if the span's service is known to send such events.

    Args:
        contents: where the content of events is.
        meters: counts.
        seconds: longest wait of one request; 0 never waits.
    """

    def __init__(self, contents: Contents, meters: Meters, seconds: float) -> None:
        self._contents = contents
        self._meters = meters
        self._seconds = seconds
        self._flows: dict[str, _Flow] = {}
        self._news = asyncio.Event()
        #: Requests that wait now.
        self.waiting = 0

    def heard(self, services: Iterable[str]) -> None:
        """Content of these services is there now; called on the event loop."""
        now = time.monotonic()
        for service in services:
            self._flows.setdefault(service, _Flow(now)).last = now
        if len(self._flows) > 1000:  # names that change all the time are no names
            for service in [one for one, flow in self._flows.items() if now - flow.last > _FLOWS]:
                del self._flows[service]
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def merge(self, batch: Batch) -> None:
        """Sets input and output of the batch's spans that have neither."""
        if not self._flows and not self._contents.waiting():
            return
        bare = {one.key: one for one in _bare(batch)}
        if not bare:
            return
        found = await self._look(bare)
        expected = {key for key, one in bare.items() if self._is_expected(one)}
        missing = _missing(expected, bare, found)
        if missing:
            self.waiting += 1
            try:
                found = await self._wait(bare, found, expected)
            finally:
                self.waiting -= 1
        for key, said in found.items():
            _set(bare[key], said)
            batch.changed = True
        if found:
            self._meters.content.labels("merged").inc(sum(map(len, found.values())))

    async def _wait(
        self, bare: Mapping[bytes, _Bare], found: dict[bytes, list[Said]], expected: set[bytes]
    ) -> dict[bytes, list[Said]]:
        deadline = time.monotonic() + self._seconds
        awaited = {bare[key].service for key in _missing(expected, bare, found)}
        while True:
            news = self._news
            # Looked for after `news` was taken, so that nothing can come unnoticed in between.
            found |= await self._look(_missing(expected, bare, found))
            missing = _missing(expected, bare, found)
            left = deadline - time.monotonic()
            if not missing or left <= 0:
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), left)
        self._learn(awaited, {bare[key].service for key in missing})
        return found

    def _learn(self, awaited: set[str], in_vain: set[str]) -> None:
        for service in awaited:
            flow = self._flows.get(service)
            if flow is None:
                continue
            flow.in_vain = flow.in_vain + 1 if service in in_vain else 0
            if flow.in_vain >= _IN_VAIN:
                flow.in_vain = 0
                flow.not_before = time.monotonic() + _NOT_WAITED
        self._meters.waits.labels("in_vain" if in_vain else "found").inc()

    def _is_expected(self, one: _Bare) -> bool:
        """Whether content of the span is worth waiting for."""
        if one.operation not in sc.INFERENCE_OPERATIONS or self._seconds <= 0:
            return False
        flow = self._flows.get(one.service)
        now = time.monotonic()
        return flow is not None and now - flow.last < _FLOWS and now >= flow.not_before

    async def _look(self, keys: Iterable[bytes]) -> dict[bytes, list[Said]]:
        try:
            return await run_in_threadpool(self._contents.find, list(keys))
        except sqlite3.Error as error:
            logger.error("content of events cannot be read: %s", error)
            return {}


def key_of(span: Any) -> bytes:
    """What content names its span by."""
    return bytes(span.trace_id) + bytes(span.span_id)


def _bare(batch: Batch) -> Iterable[_Bare]:
    for resource, span in batch.spans():
        operation = text_of(span.attributes, sc.OPERATION_NAME)
        if operation is None or operation in _OTHER_CONTENT:
            continue
        # Empty input is there to keep Langfuse from showing something else as the input.
        if text_of(span.attributes, INPUT) or text_of(span.attributes, OUTPUT):
            continue
        yield _Bare(span, key_of(span), operation, text_of(resource.attributes, "service.name") or "")


def _missing(
    expected: set[bytes], bare: Mapping[bytes, _Bare], found: Mapping[bytes, Sequence[Said]]
) -> set[bytes]:
    """Spans whose content is not there, or not all of it. A call that failed has no answer to wait for."""
    return {
        key
        for key in expected
        if key not in found or not (is_whole(found[key]) or bare[key].span.status.code == _STATUS_ERROR)
    }


def _set(one: _Bare, said: Sequence[Said]) -> None:
    given, produced = input_output(said, one.operation)
    if given is not None:
        set_text(one.span, INPUT, given)
    if produced is not None:
        set_text(one.span, OUTPUT, produced)
