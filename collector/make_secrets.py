"""Passwords and keys for docker-compose.yaml, generated into collector/.env: ``make secrets``.

What the file says already stays as it is, so running this again only adds what a newer compose file
needs. The file is readable by its owner alone. Needs nothing but Python.
"""

from __future__ import annotations

import os
import secrets
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

#: Variables and how each is made. All of them are safe in a URL and need no quotes in a .env file.
GENERATED: Final[dict[str, Callable[[], str]]] = {
    "POSTGRES_PASSWORD": lambda: secrets.token_hex(24),
    "CLICKHOUSE_PASSWORD": lambda: secrets.token_hex(24),
    "REDIS_AUTH": lambda: secrets.token_hex(24),
    "MINIO_ROOT_PASSWORD": lambda: secrets.token_hex(20),  # MinIO takes at most 40 characters
    "NEXTAUTH_SECRET": lambda: secrets.token_hex(32),
    "SALT": lambda: secrets.token_hex(32),
    "ENCRYPTION_KEY": lambda: secrets.token_hex(32),  # has to be 64 hex digits
    "LANGFUSE_INIT_USER_PASSWORD": lambda: secrets.token_urlsafe(18),
    "LANGFUSE_PUBLIC_KEY": lambda: f"pk-lf-{uuid.uuid4()}",
    "LANGFUSE_SECRET_KEY": lambda: f"sk-lf-{uuid.uuid4()}",
    "GRAFANA_ADMIN_PASSWORD": lambda: secrets.token_urlsafe(18),
}
_HEAD: Final = (
    "# Passwords and keys of docker-compose.yaml, made by `make secrets`. Never commit this file.\n"
)


def add_missing(path: Path) -> list[str]:
    """Adds to ``path`` the variables that it does not set, and answers their names.

    Raises:
        OSError: the file cannot be read or written.
    """
    try:
        before = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        before = ""
    # An empty value counts as set: compose says so when one is needed.
    there = {line.split("=", 1)[0].removeprefix("export ").strip() for line in before.splitlines()}
    missing = [name for name in GENERATED if name not in there]
    if not missing:
        return []
    start = "" if not before or before.endswith("\n") else "\n"
    text = start + ("" if before else _HEAD) + "".join(f"{name}={GENERATED[name]()}\n" for name in missing)
    # Created with its mode, not given it afterwards: nobody else reads it in between.
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.fchmod(file, 0o600)
        os.write(file, text.encode())
    finally:
        os.close(file)
    return missing


def main(path: Path) -> int:
    """Adds what is missing and says so; never prints a value."""
    try:
        added = add_missing(path)
    except (OSError, UnicodeDecodeError) as error:
        print(f"error: {path}: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
        return 1
    print(f"{path}: added {', '.join(added)}" if added else f"{path}: has everything already")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / ".env"))
