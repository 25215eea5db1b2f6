"""otel-agents."""
