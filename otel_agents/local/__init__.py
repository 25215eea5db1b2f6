"""The local backend: a Langfuse-compatible API on SQLite, with a small web UI.

It stands in for a real Langfuse on a developer's machine and in tests. Names live in their modules:
``otel_agents.local.app.create_app``, ``otel_agents.local.server.serve`` and ``.running``,
``otel_agents.local.options.LocalOptions``, ``otel_agents.local.store.Store``.
"""

from __future__ import annotations
