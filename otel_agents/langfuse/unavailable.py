"""The one error of reading from Langfuse, apart so that whoever catches it imports nothing else."""

from __future__ import annotations


class LangfuseUnavailable(Exception):
    """Langfuse cannot be read. The text is one line: what happened where, then what to do next.

    Attributes:
        status: of the answer that could not be used; None when there was none.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
