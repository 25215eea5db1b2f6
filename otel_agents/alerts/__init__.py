"""Thresholds on what Langfuse has: told once without Alertmanager, or as rules for Prometheus."""
