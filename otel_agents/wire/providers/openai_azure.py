"""Paths at which Azure serves OpenAI's APIs: the deployment, which is the model asked for, is in them."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

OPENAI: Final = "azure.ai.openai"
INFERENCE: Final = "azure.ai.inference"

_DEPLOYMENTS: Final = "/openai/deployments/"


def place(path: str) -> tuple[str, str | None] | None:
    """The provider and the deployment's name that are in ``path``; None for a path of somebody else.

    Azure OpenAI ignores a model in the body of ``/openai/deployments/{name}/...``. Azure AI
    inference (``/models/...``) has the model in the body.
    """
    start = path.find(_DEPLOYMENTS)
    if start >= 0:
        name = path[start + len(_DEPLOYMENTS) :].partition("/")[0]
        return OPENAI, unquote(name) or None
    if path.startswith("/models/"):
        return INFERENCE, None
    return None
