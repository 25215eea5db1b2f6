"""Agent frameworks that are installed without an instrumentor: their calls are seen, their runs are not."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Final

#: Framework → its distribution, and the instrumentor that it is tested with (tests/frameworks). Those
#: that trace themselves need none.
_TESTED: Final = {
    "agno": ("agno", "opentelemetry-instrumentation-genai-agno"),
    "autogen-agentchat": ("autogen-agentchat", "openinference-instrumentation-autogen-agentchat"),
    "crewai": ("crewai", "openinference-instrumentation-crewai"),
    "dspy": ("dspy", "openinference-instrumentation-dspy"),
    "langchain": ("langchain-core", "opentelemetry-instrumentation-genai-langchain"),
    "llama-index": ("llama-index-core", "openinference-instrumentation-llama-index"),
    "openai-agents": ("openai-agents", "opentelemetry-instrumentation-genai-openai-agents"),
    "smolagents": ("smolagents", "openinference-instrumentation-smolagents"),
}


def missing(instrumented: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """Framework, its distribution with the version, and the instrumentor that would show its runs.

    Args:
        instrumented: frameworks for which some instrumentor is installed.
    """
    for framework, (distribution, instrumentor) in _TESTED.items():
        if framework in instrumented:
            continue
        try:
            yield framework, f"{distribution} {version(distribution)}", instrumentor
        except PackageNotFoundError:
            continue
