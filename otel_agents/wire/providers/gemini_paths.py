"""Paths of Google's model APIs, which say the model and the method: ``.../models/{model}:{method}``.

The same methods are served by the Gemini API (``/v1beta/models/...``) and by Vertex AI
(``/v1/projects/.../publishers/{publisher}/models/...``, tuned models under ``endpoints/``).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote

_MODEL: Final = re.compile(
    r"/(?:publishers/(?P<publisher>[^/]+)/)?(?P<kind>models|tunedModels|endpoints)/(?P<model>[^/:]+)"
    r":(?P<method>\w+)$"
)


class Place(NamedTuple):
    """What a path says. ``model`` is as it is asked for; tuned ones keep the collection they are in."""

    model: str
    method: str
    publisher: str | None
    vertex: bool

    @property
    def provider(self) -> str:
        """The conventions' name of the API whose path this is."""
        return "gcp.vertex_ai" if self.vertex else "gcp.gemini"


def place(path: str) -> Place | None:
    """The model and method of ``path``, or None."""
    if ":" not in path and "%3" not in path:
        return None
    path = unquote(path)
    found = _MODEL.search(path)
    if found is None:
        return None
    kind, model, publisher = found["kind"], found["model"], found["publisher"]
    vertex = publisher is not None or kind == "endpoints" or "/projects/" in path
    return Place(model if kind == "models" else f"{kind}/{model}", found["method"], publisher, vertex)
