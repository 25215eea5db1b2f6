"""Runs a recorded task or model call again, beside what was recorded."""
