"""What the local backend can be told, and the one kind of error it reports to people."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_PUBLIC_KEY = "pk-lf-local"
DEFAULT_SECRET_KEY = "sk-lf-local"


class LocalError(Exception):
    """The local backend cannot start or go on; the message is one line that says what to do."""


@dataclass(slots=True)
class LocalOptions:
    """Settings of the local backend.

    Attributes:
        db: SQLite file; its folder is made when it is missing.
        host: address to bind. Anything but loopback makes the web UI ask for the keys too.
        port: TCP port; 0 takes a free one.
        public_key: accepted public key.
        secret_key: accepted secret key.
        project_id: id of the one project.
        project_name: its name.
        retention_days: traces, scores and findings that arrived longer ago are deleted; 0 keeps them.
        max_bytes: oldest traces are deleted while the data is larger than this; 0 means no bound.
        retention_interval: seconds between two looks at age and size.
        strict: apply the server's traps as Langfuse 4.16 has them and record findings. When false,
            known traps are read the way they were meant, and nothing is recorded.
        server_version: version that ``/api/public/health`` tells.
        ingest_delay_ms: spans and scores become visible this much later (imitates a queue).
        legacy_scores: reject an array body of scores with 400, as servers before 4.59 do.
        orphan_grace_s: seconds a parent may arrive later than its child before it counts as missing.
        max_body_bytes: largest request body, also after decompression.
        prometheus: address of the Prometheus that ``/dashboards`` asks; None leaves them without numbers.
        raw_spans: how many received spans ``/api/local/raw`` remembers.
        raw_chars: characters of attributes it remembers at most.
    """

    db: Path
    host: str = "127.0.0.1"
    port: int = 3000
    public_key: str = DEFAULT_PUBLIC_KEY
    secret_key: str = DEFAULT_SECRET_KEY
    project_id: str = "local"
    project_name: str = "local"
    retention_days: float = 30.0
    max_bytes: int = 4 * 1024**3
    retention_interval: float = 300.0
    strict: bool = True
    server_version: str = "4.59.0"
    ingest_delay_ms: int = 0
    legacy_scores: bool = False
    orphan_grace_s: float = 10.0
    max_body_bytes: int = 256 * 1024**2
    prometheus: str | None = None
    raw_spans: int = 2000
    raw_chars: int = 32_000_000
