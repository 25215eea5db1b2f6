"""What may leave the process: capture modes and one redaction policy for every exporter."""

from __future__ import annotations

from otel_agents.privacy.capture import Content, captures
from otel_agents.privacy.policy import REDACTED
from otel_agents.privacy.redactor import Callback, Redactor

__all__ = ["REDACTED", "Callback", "Content", "Redactor", "captures"]
