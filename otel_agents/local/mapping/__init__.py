"""Spans as Langfuse 4.16 reads them.

A second implementation of the server's side, written from its documented behaviour, with its traps. It is
independent of the attributes that this project's exporters write, so that a mistake there shows here.
One file a part of the observation: types (type, name, model), usage, cost, content, trace (session,
tags, metadata ...), status. `otel_agents.local.mapping.observation.read` puts them together.
"""

from __future__ import annotations
