"""Sends a recorded conversation to a model, through the provider's own SDK.

Addresses and keys are the SDKs' own business: ``OPENAI_BASE_URL``, ``OPENAI_API_KEY`` and so on.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from inspect import signature
from typing import Any, Final

from otel_agents.langfuse.conversation import Conversation
from otel_agents.replay import requests
from otel_agents.replay.errors import ReplayError
from otel_agents.replay.runners import Result

#: Providers whose servers speak OpenAI's API, at an address that OPENAI_BASE_URL has to say.
_LIKE_OPENAI: Final = frozenset(
    {
        "azure.ai.inference",
        "azure.ai.openai",
        "cerebras",
        "deepseek",
        "fireworks",
        "groq",
        "litellm",
        "lmstudio",
        "mistral_ai",
        "ollama",
        "openrouter",
        "perplexity",
        "together",
        "together_ai",
        "vllm",
        "x_ai",
        "xai",
    }
)


def api_of(provider: str, api_type: str | None) -> str:
    """Which API a call is replayed by: ``anthropic``, ``openai_chat`` or ``openai_responses``.

    Args:
        api_type: ``chat_completions`` or ``responses``, as it was recorded for OpenAI's calls.

    Raises:
        ReplayError: there is none for this provider, its SDK is not installed, or its address not said.
    """
    if provider == "anthropic":
        _need("anthropic")
        return "anthropic"
    if provider not in _LIKE_OPENAI and provider != "openai":
        raise ReplayError(
            f"no SDK is used for {provider!r}; give --provider openai with OPENAI_BASE_URL, a registered "
            "runner by --agent, or --command"
        )
    _need("openai")
    if provider != "openai" and not os.environ.get("OPENAI_BASE_URL"):
        raise ReplayError(
            f"where {provider!r} answers to OpenAI's API is not said; set OPENAI_BASE_URL and OPENAI_API_KEY"
        )
    return "openai_responses" if api_type == "responses" else "openai_chat"


def request(
    api: str, model: str, said: Conversation, parameters: Mapping[str, Any], provider: str
) -> dict[str, Any]:
    """The arguments that the SDK is called with.

    Raises:
        ReplayError: the conversation has parts that were not recorded.
    """
    if api == "anthropic":
        return requests.anthropic(model, said, parameters)
    if api == "openai_responses":
        return requests.openai_responses(model, said, parameters)
    return requests.openai_chat(model, said, parameters, newest=provider == "openai")


def check(api: str) -> None:
    """Whether the SDK has a key.

    Raises:
        ReplayError: it has none.
    """
    if api == "anthropic":
        import anthropic

        with anthropic.Anthropic() as client:
            keys = (client.api_key, client.auth_token, getattr(client, "credentials", None))
            headers = {name.lower() for name in client.default_headers}
            if not any(keys) and not headers & {"authorization", "x-api-key"}:
                raise ReplayError("Anthropic's SDK has no key; set ANTHROPIC_API_KEY")
        return
    import openai

    try:
        openai.OpenAI().close()
    except openai.OpenAIError as error:
        raise ReplayError(f"OpenAI's SDK does not start: {error}; set OPENAI_API_KEY") from None


def send(api: str, arguments: Mapping[str, Any], timeout: float) -> Result:
    """Makes the call and gives the answer; what it cost is counted where all calls are counted.

    Args:
        timeout: seconds.

    Raises:
        ReplayError: there is no key for the SDK.
        Exception: any of the SDK's, when the model does not answer.
    """
    if api == "anthropic":
        return _send_anthropic(arguments, timeout)
    import openai

    try:
        client = openai.OpenAI(timeout=timeout)
    except openai.OpenAIError as error:
        raise ReplayError(f"OpenAI's SDK does not start: {error}; set OPENAI_API_KEY") from None
    with client:
        if api == "openai_responses":
            known = _known(client.responses.create, arguments)
            started = time.perf_counter()
            response = client.responses.create(**known)
            took = time.perf_counter() - started
            lines = [response.output_text] if response.output_text else []
            lines += [
                f"{one.name}({_tidy(one.arguments)})"
                for one in response.output
                if one.type == "function_call"
            ]
            return Result("\n".join(lines), model=response.model, latency=took)
        known = _known(client.chat.completions.create, arguments)
        started = time.perf_counter()
        completion = client.chat.completions.create(**known)
        took = time.perf_counter() - started
        message = completion.choices[0].message
        lines = [message.content or message.refusal or ""]
        for call in message.tool_calls or ():
            function: Any = getattr(call, "function", None)
            if function is not None:
                lines.append(f"{function.name}({_tidy(function.arguments)})")
        answer = "\n".join(line for line in lines if line)
        return Result(answer, model=completion.model, latency=took)


def _send_anthropic(arguments: Mapping[str, Any], timeout: float) -> Result:
    import anthropic

    try:
        client = anthropic.Anthropic(timeout=timeout)
    except anthropic.AnthropicError as error:
        raise ReplayError(f"Anthropic's SDK does not start: {error}; set ANTHROPIC_API_KEY") from None
    with client:
        known = _known(client.messages.create, arguments)
        started = time.perf_counter()
        try:
            message = client.messages.create(**known)
        except TypeError as error:  # how this SDK says that it has no key
            raise ReplayError(f"Anthropic's SDK sends nothing: {error}; set ANTHROPIC_API_KEY") from None
        took = time.perf_counter() - started
    lines = []
    for block in message.content:
        if block.type == "text":
            lines.append(block.text)
        elif block.type == "tool_use":
            lines.append(f"{block.name}({json.dumps(block.input, ensure_ascii=False)})")
    return Result("\n".join(lines), model=message.model, latency=took)


def _known(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with those that this version of the SDK has no name for in ``extra_body``.

    Anthropic's SDK has no ``temperature`` any more; its API still takes it for the models that had it.
    """
    names = signature(function).parameters
    known = {key: value for key, value in arguments.items() if key in names}
    rest = {key: value for key, value in arguments.items() if key not in names}
    return {**known, "extra_body": rest} if rest else known


def _tidy(arguments: str) -> str:
    """JSON written the way recorded tool calls are."""
    try:
        return json.dumps(json.loads(arguments), ensure_ascii=False)
    except ValueError:
        return arguments


def _need(package: str) -> None:
    if find_spec(package) is None:
        raise ReplayError(
            f"the package {package!r} is not installed; install it, or give --agent with a registered "
            "runner, or --command"
        )
