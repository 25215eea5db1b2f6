"""The one error of replaying, apart so that whoever catches it imports nothing else."""

from __future__ import annotations


class ReplayError(Exception):
    """Something cannot be replayed. The text is one line: what, then what to do."""
