"""Which requests are model calls, and whose.

A known host says the provider. On an unknown one (proxy, gateway, local server) the path and the
shape of the body decide, and the provider is the wire format's own unless a setting names another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from otel_agents.wire.formats import RequestFacts, WireFormat, formats

#: Host → ``gen_ai.provider.name``. The conventions' names where they have one.
PROVIDER_HOSTS: Final[Mapping[str, str]] = {
    "api.openai.com": "openai",
    "us.api.openai.com": "openai",
    "eu.api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    "api.deepseek.com": "deepseek",
    "api.fireworks.ai": "fireworks",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.moonshot.ai": "moonshot_ai",
    "api.moonshot.cn": "moonshot_ai",
    "api.perplexity.ai": "perplexity",
    "api.together.ai": "together",
    "api.together.xyz": "together",
    "api.x.ai": "x_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "openrouter.ai": "openrouter",
}

#: End of the host → provider, where every customer has a host of its own.
PROVIDER_DOMAINS: Final[tuple[tuple[str, str], ...]] = (
    (".openai.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    (".aiplatform.googleapis.com", "gcp.vertex_ai"),
)


class Recognised(NamedTuple):
    """A request that is a model call."""

    format: WireFormat
    provider: str
    facts: RequestFacts


def provider_of(host: str, port: int, named: Mapping[str, str]) -> str | None:
    """The provider behind a host: as the settings name it (``host:port`` before ``host``), else by table."""
    if named:
        name = named.get(f"{host}:{port}") or named.get(host)
        if name is not None:
            return name
    known = PROVIDER_HOSTS.get(host)
    if known is None:
        for domain, provider in PROVIDER_DOMAINS:
            if host.endswith(domain):
                return provider
    return known


def format_of(path: str) -> WireFormat | None:
    """The format whose API has a call at ``path``, or None."""
    for wire_format in formats():
        if wire_format.matches(path):
            return wire_format
    return None


def recognise(
    wire_format: WireFormat, host: str, port: int, body: bytes | None, named: Mapping[str, str]
) -> Recognised | None:
    """Decides on a POST whose path is that of ``wire_format``; ``body`` None means that it cannot be seen."""
    provider = provider_of(host, port, named)
    facts: RequestFacts | None = None
    if body is not None:
        try:
            facts = wire_format.read_request(body)
        except ValueError:
            facts = None
    if facts is None:
        if provider is None:
            return None
        facts = RequestFacts()
    return Recognised(wire_format, provider or wire_format.provider, facts)
