"""The one kind of error that the bridge reports to people."""

from __future__ import annotations


class BridgeError(Exception):
    """The bridge cannot start; the message is one line that says what to do."""
