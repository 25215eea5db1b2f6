"""Examines a whole installation, from the settings to a span that has to show up at the other end."""
