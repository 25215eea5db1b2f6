"""What the path of a request to Amazon Bedrock says: ``/model/{id}/{action}``.

The id may be a model's, an inference profile's or an ARN; clients write its ``:`` and ``/`` as they
are or escaped.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

_MODEL: Final = "/model/"


def action(path: str) -> str:
    """``converse``, ``invoke`` ...; empty for a path of another kind."""
    before, _, last = path.rpartition("/")
    return last if _MODEL in before else ""


def model(path: str) -> str | None:
    """The model's id in ``path``."""
    before, _, _ = path.rpartition("/")
    return unquote(before.partition(_MODEL)[2]) or None
