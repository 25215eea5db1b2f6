"""The HTTP endpoints, one file a resource. `otel_agents.local.api.routes.api_routes` lists them all."""

from __future__ import annotations
