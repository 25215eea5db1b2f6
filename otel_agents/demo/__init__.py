"""The proof: one real agent run, counted by the provider, by Langfuse and by Prometheus."""

from __future__ import annotations
