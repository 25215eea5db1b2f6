"""Other names under which a model may have a price, when its own name has none.

Names on the wire carry more than the model: a date, a region, a route, a project. The price library
knows most spellings; :func:`candidates` makes the ones that are left. A candidate is only as good as
its price, so none is made where another price would be a guess: fine-tuned models are dearer than
their base, and open weights cost something else (or nothing) with everybody who serves them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

#: Whose models these prefixes (of OpenRouter, LiteLLM, Vertex, Bedrock ...) mean, as the library calls them.
_VENDORS: Final = {
    "ai21": "ai21",
    "amazon": "aws",
    "anthropic": "anthropic",
    "azure": "azure",
    "bedrock": "aws",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "google": "google",
    "groq": "groq",
    "mistral": "mistral",
    "mistralai": "mistral",
    "moonshotai": "moonshotai",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "together_ai": "together",
    "vertex_ai": "google",
    "voyage": "voyageai",
    "x-ai": "x-ai",
    "xai": "x-ai",
    "z-ai": "zai",
}
#: Providers that pass calls on to others at the others' prices; ``openai`` also stands for unknown hosts.
_ROUTERS: Final = frozenset({"github", "litellm", "openai", "openrouter", "perplexity", "vercel"})
#: Servers of one's own: a model has no price there, and a name that resembles a sold one means nothing.
SELF_HOSTED: Final = frozenset({"llama.cpp", "lm_studio", "localai", "ollama", "sglang", "tgi", "vllm"})
#: Models that only their maker sells, and its partners at the maker's prices.
_FAMILIES: Final = (
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"gemini-"), "google"),
    (re.compile(r"(?:gpt-(?!oss)|chatgpt-|o[1-9](?:-|$)|text-embedding-(?:3|ada))"), "openai"),
    (re.compile(r"grok-[3-9]"), "x-ai"),
    (re.compile(r"sonar(?:-|$)"), "perplexity"),
)
#: OpenRouter's variants that choose among the same model's hosts, or think; others have prices of their own.
_SAME_PRICE: Final = frozenset({"beta", "exacto", "floor", "nitro", "online", "thinking"})
_REGION: Final = re.compile(r"^(?:us-gov|us|eu|apac|jp|au|ca|sa|me|global)\.(?=[a-z0-9]+\.)")
_VERSION: Final = re.compile(r"(?:-v\d+)?:\d+(?::\w+)?$|-v\d+$")
_DATE: Final = re.compile(
    r"(?:@(?:\d{8}|default|latest)|[-_](?:20\d\d-?[01]\d-?[0-3]\d|\d\d-\d\d|\d\d-20\d\d|[0-3]\d[0-3]\d))$"
)
_LATEST: Final = re.compile(r"[-:]latest$")
#: Resources of Bedrock whose name says nothing of the model, or that are billed by the hour.
_OPAQUE: Final = (
    "application-inference-profile/", "provisioned-model/", "custom-model/", "custom-model-deployment/",
    "imported-model/", "prompt-router/", "default-prompt-router/",
)  # fmt: skip


def candidates(provider: str, model: str, *, listed: bool = True) -> tuple[tuple[str, str], ...]:
    """Pairs of provider and model to look up instead, best first; without the given pair itself.

    Pure: it does not look whether there is a price.

    Args:
        provider: the price library's id of the provider, such as ``aws`` or ``openrouter``.
        model: the name in the request or the response.
        listed: whether the price library knows the provider. Of one that it does not (a gateway, say) only
            models count that nobody but their maker sells: Langfuse prices those by their names, and the
            two have to agree.

    >>> candidates("openai", "gpt-9-2031-01-31")
    (('openai', 'gpt-9'), ('openai', 'gpt-9-latest'))
    """
    given = (provider, model)
    model = unquote(model.strip()).lower()
    found: dict[tuple[str, str], None] = {}
    for owner, name in _names(provider, model) if listed else _closed(model):
        for spelling in _spellings(name):
            if spelling and (owner, spelling) != given:
                found.setdefault((owner, spelling))
    return tuple(found)


def _names(provider: str, model: str) -> Iterator[tuple[str, str]]:
    if provider == "aws":
        yield from _bedrock(model)
    elif model.startswith("ft:"):
        # ft:gpt-4o-mini:organisation:name:id; the library lists fine-tuned models by their dated base.
        base = model.split(":")[1]
        yield provider, f"ft:{base}"
        yield provider, f"ft:{base}-2024-"
    elif provider == "google":
        yield from _vertex(model)
    elif provider == "fireworks":
        yield provider, model.rpartition("/")[2]
    elif provider == "huggingface":
        name, _, host = model.rpartition(":")
        if name:
            yield f"huggingface_{host}", name
    else:
        yield provider, model
        if provider in _ROUTERS:
            yield from _routed(provider, model)


def _closed(model: str) -> Iterator[tuple[str, str]]:
    """The maker of a model that only its maker sells, with or without a vendor before the name."""
    name = model.rpartition("/")[2]
    yield from ((maker, name) for family, maker in _FAMILIES if family.match(name))


def _spellings(name: str) -> Iterator[str]:
    """The name, without its date, without ``latest``, and with it."""
    yield name
    if name.startswith("ft:"):
        return
    undated = _LATEST.sub("", _DATE.sub("", name))
    if undated != name:
        yield undated
    if not _LATEST.search(name):
        yield f"{undated}-latest"


def _routed(provider: str, model: str) -> Iterator[tuple[str, str]]:
    """``anthropic/claude-…:nitro`` at OpenRouter, and what LiteLLM and other gateways pass on."""
    vendor, slash, rest = model.partition("/")
    owner = _VENDORS.get(vendor) if slash else None
    if owner == "aws":
        yield from _bedrock(rest)
        return
    if owner == "google":
        yield from _vertex(rest)
    name, _, variant = model.rpartition(":")
    if name and variant not in _SAME_PRICE:
        return  # ``:free`` costs nothing, which the response says itself
    if name:
        yield provider, name
        rest = rest.removesuffix(f":{variant}")
    if owner is None:
        name = name or model
        yield from ((maker, name) for family, maker in _FAMILIES if maker != provider and family.match(name))
        return
    yield owner, rest
    if owner == "anthropic":
        yield owner, rest.replace(".", "-")  # OpenRouter writes claude-opus-4.5
    elif "/" in rest:  # litellm: openrouter/anthropic/claude-…
        yield from _routed(provider, rest)


def _bedrock(model: str) -> Iterator[tuple[str, str]]:
    """Model ids, inference profiles of regions, and the ARNs of both."""
    if model.startswith("arn:"):
        resource = model.split(":", 5)[-1]
        if resource.startswith(_OPAQUE):
            return
        model = resource.rpartition("/")[2]
        yield "aws", model
    bare = _REGION.sub("", model)
    yield "aws", bare
    plain = _VERSION.sub("", bare)
    yield "aws", plain
    vendor, _, name = plain.partition(".")
    if name and vendor in ("anthropic", "openai", "cohere", "mistral", "deepseek"):
        yield _VENDORS[vendor], name


def _vertex(model: str) -> Iterator[tuple[str, str]]:
    """``publishers/…/models/…``, ``models/…``, ``google/…``, with or without the project before."""
    if "endpoints/" in model or "tunedmodels/" in model:
        return
    publisher, _, name = model.rpartition("/")
    name = name.removesuffix("-maas")
    yield "google", name
    for vendor in ("anthropic", "mistralai"):
        if vendor in publisher:
            yield _VENDORS[vendor], name
