"""``otel-agents bridge``: the sidecar for what a Collector cannot do."""

from __future__ import annotations

from typing import Annotated

import typer


def add(app: typer.Typer) -> None:
    """Registers the command."""
    app.command("bridge")(bridge)


def bridge(
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Default: OTEL_AGENTS_BRIDGE_PORT.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve the bridge: scores to Langfuse, its short outages bridged, and /langfuse/summary."""
    from otel_agents.cli.servers import require_free
    from otel_agents.config import resolve

    settings = resolve({"mode": "disabled", "bridge_port": port})
    require_free(settings, "bridge_port", host)
    from otel_agents.bridge import serve

    serve(settings, host=host, port=settings.bridge_port)
