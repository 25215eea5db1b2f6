"""Who serves an agent, as best known from its name: for totals that name no provider."""

from __future__ import annotations

from typing import Final

#: Beginnings of agents' and models' names → provider, by the names of the GenAI conventions.
_BEGINNINGS: Final = (
    ("claude", "anthropic"),
    ("anthropic", "anthropic"),
    ("gemini", "gcp.gemini"),
    ("google", "gcp.gemini"),
    ("copilot", "github"),
    ("github", "github"),
    ("codex", "openai"),
    ("openai", "openai"),
    ("chatgpt", "openai"),
    ("gpt", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("mistral", "mistral_ai"),
    ("codestral", "mistral_ai"),
    ("grok", "x_ai"),
    ("deepseek", "deepseek"),
    ("command", "cohere"),
    ("cohere", "cohere"),
    ("groq", "groq"),
    ("perplexity", "perplexity"),
    ("ollama", "ollama"),
)

UNKNOWN: Final = "unknown"


def provider_of(agent: str | None, model: str | None) -> str:
    """The provider of an agent, by its name, else by its model's; ``unknown`` when neither says.

    The agent comes first: Copilot bills what its models say, whoever made them.
    """
    for name in (agent, model):
        plain = (name or "").lower().rpartition("/")[2]
        for beginning, provider in _BEGINNINGS:
            if plain.startswith(beginning):
                return provider
    return UNKNOWN
