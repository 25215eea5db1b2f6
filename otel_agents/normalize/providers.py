"""Providers by the conventions' names, from the names that others give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Source: https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/ (``gen_ai.provider.name``
#: and the deprecated ``gen_ai.system``); the rest as the packages write them, see docs/dialects.md.
PROVIDERS: Final[Mapping[str, str]] = {
    "OpenAI": "openai",
    "Anthropic": "anthropic",
    "az.ai.openai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "azure": "azure.ai.openai",
    "Azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "aws": "aws.bedrock",
    "AWS": "aws.bedrock",
    "Bedrock": "aws.bedrock",
    "amazon_bedrock": "aws.bedrock",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "VertexAI": "gcp.vertex_ai",
    "google_vertexai": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "Gemini": "gcp.gemini",
    "google": "gcp.gen_ai",
    "Google": "gcp.gen_ai",
    "google_genai": "gcp.gemini",
    "google-gla": "gcp.gemini",
    "google-vertex": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "MistralAI": "mistral_ai",
    "mistral-ai": "mistral_ai",
    "Cohere": "cohere",
    "Groq": "groq",
    "DeepSeek": "deepseek",
    "xai": "x_ai",
    "xAI": "x_ai",
    "moonshot": "moonshot_ai",
    "watsonx": "ibm.watsonx.ai",
    "Watsonx": "ibm.watsonx.ai",
    "perplexity.ai": "perplexity",
}
