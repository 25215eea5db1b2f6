"""Tells opentelemetry-util-genai that a model call is under way: instrumentors made with it add no second.

Its inner invocation makes no span then, and leaves what it has learnt in the outer one's data. Only
where the package is loaded already: whoever makes spans with it has done that.
"""

from __future__ import annotations

import sys
from typing import Any, Final, NamedTuple

from otel_agents import semconv
from otel_agents.accounting import Usage

_MODULE: Final = "opentelemetry.util.genai.invocation"


class UnderWay(NamedTuple):
    """What the context holds while a call is under way: the package's key, and its data."""

    key: str
    data: Any


def under_way(operation: str) -> UnderWay | None:
    """For a call of ``operation`` that begins; None where the package is not loaded or not as we know it."""
    module = sys.modules.get(_MODULE)
    if module is None:
        return None
    kind = "EMBEDDING" if operation == semconv.OP_EMBEDDINGS else "INFERENCE"
    key = getattr(module, f"CLIENT_{kind}_CONTEXT_KEY", None)
    data = getattr(module, f"{kind.title()}Data", None)
    return UnderWay(key, data()) if isinstance(key, str) and callable(data) else None


def usage_of(found: UnderWay) -> Usage | None:
    """Tokens that an instrumentor inside has been told of, for calls that no hook sees (gRPC)."""
    data = found.data

    def count(name: str) -> int:
        value = getattr(data, f"usage_{name}_tokens", None)
        return value if isinstance(value, int) else 0

    made = Usage(
        input=count("input"),
        output=count("output"),
        cache_read=count("cache_read_input"),
        cache_write=count("cache_write_input"),
        reasoning=count("reasoning_output"),
    )
    return made if made != Usage() else None


def response_model_of(found: UnderWay) -> str:
    """The model that an instrumentor inside says has answered; empty when none has said."""
    name = getattr(found.data, "response_model", None)
    return name if isinstance(name, str) else ""
