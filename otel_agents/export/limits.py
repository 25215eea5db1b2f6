"""How much may wait for the backend, where, and in what portions it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_agents.config import Settings


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one outbox.

    Attributes:
        memory_spans: spans in memory.
        memory_bytes: of them together.
        disk_bytes: of one destination's folder, all processes' files together.
        max_age: seconds that a span may wait on disk.
        checkpoint: seconds after which what still waits in memory is on disk too.
        batch_spans: spans of one request.
        batch_bytes: of one request, before compression; below the 4 MiB that gRPC servers take.
        span_bytes: of one span; larger ones are trimmed.
        by_value: the least valuable give way when room is short, else the oldest.
    """

    memory_spans: int = 8192
    memory_bytes: int = 64 * 1024**2
    disk_bytes: int = 1024**3
    max_age: float = 7 * 86400.0
    checkpoint: float = 1.0
    batch_spans: int = 256
    batch_bytes: int = 3 * 1024**2
    span_bytes: int = 2 * 1024**2
    by_value: bool = False

    @classmethod
    def from_settings(cls, settings: Settings) -> Limits:
        """As the settings say."""
        return cls(
            memory_spans=settings.max_queue_size,
            disk_bytes=settings.spool_max_bytes,
            max_age=settings.spool_max_age,
            checkpoint=settings.spool_checkpoint,
            batch_spans=settings.max_batch_size,
            by_value=settings.spool_eviction == "value",
        )
