"""What can go wrong with the local stack and is told in one line."""

from __future__ import annotations


class StackError(Exception):
    """The local stack cannot do what was asked. The text is one line: what, then what to do next."""


class PortInUse(StackError):
    """A port that a part of the stack was told to use already has a listener."""

    def __init__(self, port: int, what: str, setting: str, or_else: str = ", or use --free-ports") -> None:
        super().__init__(f"port {port} ({what}) is in use; set {setting} to another one{or_else}")
        self.port = port
        self.setting = setting
