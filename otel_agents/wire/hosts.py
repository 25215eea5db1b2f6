"""Which provider is behind a host: exact names, domains where every customer has one, local servers.

Values are the conventions' provider names where they have one. Others are named as they name
themselves, in the conventions' spelling. ``OTEL_AGENTS_PROVIDER_HOSTS`` comes before all of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Host → ``gen_ai.provider.name``.
PROVIDER_HOSTS: Final[Mapping[str, str]] = {
    "ai-gateway.vercel.sh": "vercel",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "api.ai21.com": "ai21",
    "api.anthropic.com": "anthropic",
    "api.cerebras.ai": "cerebras",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    "api.deepinfra.com": "deepinfra",
    "api.deepseek.com": "deepseek",
    "api.fireworks.ai": "fireworks",
    "api.groq.com": "groq",
    "api.hyperbolic.xyz": "hyperbolic",
    "api.minimax.io": "minimax",
    "api.minimaxi.com": "minimax",
    "api.mistral.ai": "mistral_ai",
    "api.moonshot.ai": "moonshot_ai",
    "api.moonshot.cn": "moonshot_ai",
    "api.novita.ai": "novita",
    "api.openai.com": "openai",
    "api.perplexity.ai": "perplexity",
    "api.sambanova.ai": "sambanova",
    "api.studio.nebius.com": "nebius",
    "api.together.ai": "together",
    "api.together.xyz": "together",
    "api.tokenfactory.nebius.com": "nebius",
    "api.voyageai.com": "voyageai",
    "api.x.ai": "x_ai",
    "api.z.ai": "zai",
    "codestral.mistral.ai": "mistral_ai",
    "dashscope-intl.aliyuncs.com": "alibaba_cloud",
    "dashscope.aliyuncs.com": "alibaba_cloud",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "inference.baseten.co": "baseten",
    "integrate.api.nvidia.com": "nvidia",
    "models.github.ai": "github",
    "models.inference.ai.azure.com": "github",
    "ollama.com": "ollama",
    "open.bigmodel.cn": "zhipuai",
    "openrouter.ai": "openrouter",
    "router.huggingface.co": "huggingface",
}

#: End of the host → provider, where every customer or region has a host of its own.
PROVIDER_DOMAINS: Final[tuple[tuple[str, str], ...]] = (
    (".openai.azure.com", "azure.ai.openai"),
    (".cognitiveservices.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    (".models.ai.azure.com", "azure.ai.inference"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),  # us-central1-aiplatform, ...
    (".api.openai.com", "openai"),  # data residency: us., eu., ...
    (".api.fireworks.ai", "fireworks"),
    (".api.x.ai", "x_ai"),
    (".cloud.databricks.com", "databricks"),
    (".azuredatabricks.net", "databricks"),
)

#: Ports on which a local server is almost certainly that one. vLLM (8000) and LiteLLM (4000) use
#: ports that everything else uses too, so they are known by their host's name or by the setting.
LOCAL_PORTS: Final[Mapping[int, str]] = {1234: "lm_studio", 11434: "ollama"}

#: First label of a host inside a cluster or a compose file → provider.
SERVICE_NAMES: Final[Mapping[str, str]] = {
    "litellm": "litellm",
    "lmstudio": "lm_studio",
    "lm-studio": "lm_studio",
    "ollama": "ollama",
    "vllm": "vllm",
}

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1", "[::1]", "host.docker.internal"})
_AZURE: Final = "azure.ai."
#: Hosts of Azure that serve OpenAI's API, Azure's own and those of other makers.
_SEVERAL: Final = ".services.ai.azure.com"


def provider_of(host: str, port: int, named: Mapping[str, str], spoken: str | None = None) -> str | None:
    """The provider behind a host, or None when nothing is known about it.

    Args:
        named: as the settings name it; ``host:port`` counts before ``host``.
        spoken: the provider whose API is at the path; tells the services of Azure apart.
    """
    if named:
        name = named.get(f"{host}:{port}") or named.get(host)
        if name is not None:
            return name
    known = PROVIDER_HOSTS.get(host) or (LOCAL_PORTS.get(port) if host in _LOOPBACK else _by_domain(host))
    if known is not None and known.startswith(_AZURE) and spoken is not None:
        if spoken.startswith(_AZURE):
            return spoken
        if spoken == "openai" and host.endswith(_SEVERAL):
            return "azure.ai.openai"
    return known


def _by_domain(host: str) -> str | None:
    for domain, provider in PROVIDER_DOMAINS:
        if host.endswith(domain):
            return provider
    if host.startswith(("bedrock-runtime.", "bedrock-mantle.")):
        return "aws.bedrock"
    label = host.partition(".")[0]
    return SERVICE_NAMES.get(label) or next(
        (provider for name, provider in SERVICE_NAMES.items() if label.startswith(f"{name}-")), None
    )
