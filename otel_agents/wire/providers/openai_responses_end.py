"""How far a response of the Responses API has come, and over what time it was made."""

from __future__ import annotations

from time import time_ns
from typing import Final

import msgspec

from otel_agents.wire import sse

_OVER: Final = ("completed", "incomplete", "failed", "cancelled")
_DAY: Final = 86_400_000_000_000  # nanoseconds


class End(msgspec.Struct, gc=False):
    """State of a response; times are in seconds since the epoch, whole ones."""

    status: str | None = None
    created_at: float | None = None
    completed_at: float | None = None

    @property
    def over(self) -> bool:
        """Whether nothing will be added to it."""
        return self.status in _OVER

    def times(self, accepted: int) -> tuple[int, int]:
        """When the run began and ended (nanoseconds), as the provider says if that can be.

        The provider's clock is not ours: what does not lie between the acceptance (``accepted``, less
        a day) and now is replaced by these.
        """
        now = time_ns()
        started, ended = (
            int(at * 1e9) if at and 0 < at < 1e11 else None for at in (self.created_at, self.completed_at)
        )
        started = accepted if started is None or not accepted - _DAY < started < now else started
        ended = now if ended is None or not started < ended < now else ended
        return started, ended


class _Event(msgspec.Struct, gc=False):
    response: End | None = None


_end = msgspec.json.Decoder(End)
_event = msgspec.json.Decoder(_Event)


def read_end(body: bytes, streamed: bool) -> End:
    """The state that a body, or the last event of a stream, says; an empty one for what cannot be read."""
    try:
        if not streamed:
            return _end.decode(body)
        line = sse.last_data_line(body, b'"response":{') or sse.last_data_line(body, b'"response": {')
        return (_event.decode(line).response if line is not None else None) or End()
    except (ValueError, RecursionError):
        return End()
