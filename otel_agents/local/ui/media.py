"""Images and files inside a message, without a request leaving the page.

A recorded URL is never loaded: showing a trace must not tell a third party that it is being read. Only
small raster images that were recorded inline are shown, as ``data:`` URLs; SVG is left out, it is a
document with scripts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from otel_agents.local.ui.blocks import Block

_RASTER = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]+={0,2}\s*")
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,", re.IGNORECASE)
#: Characters of base64 shown as an image (about 1.5 MB decoded).
_IMAGE_LIMIT = 2_000_000


def media_block(part: Mapping[str, Any]) -> Block:
    """The block of a part that holds or names media, in any of the known dialects."""
    source = _source(part)
    kind = _text(source.get("mime_type") or source.get("media_type") or source.get("mimeType"))
    data = _text(source.get("content") or source.get("data"))
    url = _text(source.get("uri") or source.get("url") or source.get("fileUri"))
    if match := _DATA_URL.match(url):
        kind, data, url = match[1].lower(), url[match.end() :], ""
    name = kind or _text(part.get("modality")) or _text(part.get("type")) or "file"
    if url:
        return Block("media", url[:2000], label=name, note="link, not loaded")
    if data:
        size = f"{len(data) * 3 // 4:,} bytes"
        image = ""
        if kind in _RASTER and len(data) <= _IMAGE_LIMIT and _BASE64.fullmatch(data):
            image = f"data:{kind};base64,{''.join(data.split())}"
        return Block("media", "", label=name, note=size, image=image)
    reference = _text(source.get("file_id") or part.get("file_id") or source.get("id"))
    return Block("media", reference[:2000], label=name, note="reference" if reference else "")


def _source(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where a dialect keeps the data: Anthropic ``source``, OpenAI ``image_url``, Gemini ``inlineData``."""
    for key in (
        "source",
        "image_url",
        "input_audio",
        "inlineData",
        "inline_data",
        "fileData",
        "file_data",
        "file",
    ):
        inner = part.get(key)
        if isinstance(inner, dict):
            return inner
        if key == "image_url" and isinstance(inner, str):
            return {"url": inner}
    return part


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
