"""Where the models are: the providers when there are keys, else the bundled scripted server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")
_URLS = ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL")


@contextmanager
def available() -> Iterator[str]:
    """Sees to it that both SDKs find something to talk to; yields what that is, in words."""
    if all(os.environ.get(name) for name in _URLS):
        for name in _KEYS:
            # The SDKs insist on a key; a local server takes any.
            os.environ.setdefault(name, "sk-local")
        yield f"models at {os.environ['OPENAI_BASE_URL']} and {os.environ['ANTHROPIC_BASE_URL']}"
        return
    if all(os.environ.get(name) for name in _KEYS):
        yield "models of OpenAI and Anthropic"
        return
    sys.path.append(str(Path(__file__).resolve().parent.parent))
    from modelserver import running

    with running(faults=True) as server:
        os.environ["OPENAI_BASE_URL"] = f"{server.url}/v1"
        os.environ["ANTHROPIC_BASE_URL"] = server.url
        for name in _KEYS:
            os.environ[name] = "sk-scripted"
        yield "scripted models (set OPENAI_API_KEY and ANTHROPIC_API_KEY for real ones)"
