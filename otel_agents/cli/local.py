"""``otel-agents local``: the Langfuse-compatible backend with its web UI, alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def add(app: typer.Typer) -> None:
    """Registers the command."""
    app.command("local")(local)


def local(
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Default: OTEL_AGENTS_UI_PORT.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    prometheus: Annotated[
        str | None, typer.Option(metavar="URL", help="What the dashboards ask; default: the local stack's.")
    ] = None,
    db: Annotated[Path | None, typer.Option(help="SQLite file; default: in OTEL_AGENTS_HOME.")] = None,
) -> None:
    """Serve the local backend: Langfuse's API on SQLite, and a web UI. Keys: LANGFUSE_*, else made up."""
    from otel_agents.cli.servers import keys_of, require_free
    from otel_agents.config import resolve
    from otel_agents.stack.packages import require_server

    require_server("starlette", "uvicorn")  # without jinja2 it serves, but for the web UI
    settings = resolve({"mode": "disabled", "backend_port": port})
    require_free(settings, "backend_port", host)
    keys = keys_of(settings)
    from otel_agents.local.options import LocalOptions
    from otel_agents.local.server import serve

    options = LocalOptions(
        db=db or settings.home / "langfuse.db",
        host=host,
        port=settings.backend_port,
        public_key=keys.public,
        secret_key=keys.secret,
        prometheus=prometheus or settings.prometheus_url or f"http://127.0.0.1:{settings.prometheus_port}",
    )
    made_up = "" if settings.langfuse_secret_key else f", keys in {settings.home / 'keys.json'}"
    serve(options, ready=lambda url: print(f"UI on {url}{made_up}", file=sys.stderr, flush=True))
