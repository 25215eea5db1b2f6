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

#: Who serves models of others, and bills what they say.
_HOSTS: Final = frozenset({"github", "groq", "perplexity", "ollama"})

UNKNOWN: Final = "unknown"


def provider_of(agent: str | None, model: str | None) -> str:
    """The provider of an agent, by its model's name, else by its own; ``unknown`` when neither says.

    A host comes before the maker of its models: Copilot bills what they say, whoever made them.
    """
    serving, made_by = _known(agent), _known(model)
    if serving in _HOSTS:
        return serving or UNKNOWN
    return made_by or serving or UNKNOWN


def _known(name: str | None) -> str | None:
    plain = (name or "").lower().rpartition("/")[2]
    return next((provider for beginning, provider in _BEGINNINGS if plain.startswith(beginning)), None)
