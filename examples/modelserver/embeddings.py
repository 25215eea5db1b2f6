"""OpenAI's embeddings: unit vectors from a hash, the same for the same text."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from collections.abc import Mapping
from typing import Any

from modelserver.caching import count
from modelserver.prompt import BadRequest


def embed(body: Mapping[str, Any], model: str) -> tuple[dict[str, Any], int]:
    """The answer and the tokens to bill."""
    wanted = body.get("input")
    texts = [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(texts, list) or not texts:
        raise BadRequest("Missing required parameter: 'input'.", "input")
    # A list of numbers is one text that is already tokenized.
    if isinstance(texts[0], int):
        texts = [texts]
    size = int(body.get("dimensions") or 64)
    tokens = 0
    data = []
    for index, text in enumerate(texts):
        tokens += count(text) if isinstance(text, str) else len(text)
        vector = _vector(str(text), size)
        packed: object = vector
        if body.get("encoding_format") == "base64":
            packed = base64.b64encode(struct.pack(f"<{size}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": packed})
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}, tokens


def _vector(text: str, size: int) -> list[float]:
    raw = hashlib.shake_128(text.encode(errors="surrogatepass")).digest(size)
    values = [(byte - 127.5) / 127.5 for byte in raw]
    length = math.sqrt(sum(value * value for value in values))
    return [value / length for value in values]
