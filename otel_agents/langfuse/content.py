"""A span's input and output for Langfuse: which attributes hold them, the system message and the tools.

Langfuse takes input and output from the first of some twenty places that has either, and then nothing
from the others; said explicitly they are certain.
"""

from __future__ import annotations

import json
import re
from collections.abc import MutableMapping
from typing import Any, Final

from otel_agents import semconv as sc

INPUT: Final = "langfuse.observation.input"
OUTPUT: Final = "langfuse.observation.output"

#: Not inside a string: there, the quotes are escaped.
_SYSTEM_MESSAGE: Final = re.compile(r'"role"\s*:\s*"system"')
_LIST: Final = re.compile(r"\s*\[")
_EMPTY_LIST: Final = re.compile(r"\s*\[\s*\]\s*\Z")


def add(out: MutableMapping[str, Any], operation: object, event: object) -> None:
    """Sets input and output together, unless either is there already."""
    if INPUT in out or OUTPUT in out:
        return
    if operation == sc.OP_EXECUTE_TOOL:
        given, produced = out.get(sc.TOOL_CALL_ARGUMENTS), out.get(sc.TOOL_CALL_RESULT)
    elif operation == sc.OP_RETRIEVAL:
        given, produced = out.get(sc.RETRIEVAL_QUERY), out.get(sc.RETRIEVAL_DOCUMENTS)
    elif operation is None and event is not None:
        given, produced = out.get(sc.EVENT_BODY), None
    else:
        given = with_system(out.get(sc.INPUT_MESSAGES), out.get(sc.SYSTEM_INSTRUCTIONS))
        if (both := with_tools(given, out.get(sc.TOOL_DEFINITIONS))) is not None:
            given = both
            del out[sc.TOOL_DEFINITIONS]
        produced = out.get(sc.OUTPUT_MESSAGES)
    if given is not None:
        out[INPUT] = _text(given)
    if produced is not None:
        out[OUTPUT] = _text(produced)
    if given is None and produced is None and _named_prompt_only(out):
        # Langfuse 4.16 takes any key that starts with gen_ai.prompt for the input; empty text counts as
        # one, and keeps it from showing {"name": ...}.
        out[INPUT] = ""


def with_system(messages: Any, instructions: Any) -> Any:
    """The messages (JSON text) with the system instructions as the first of them.

    Langfuse does this only where it finds input and output by itself. Nothing changes when there is a
    system message already, or when the messages are no list.
    """
    if not isinstance(instructions, str) or not instructions:
        return messages
    if messages is not None and not (isinstance(messages, str) and _LIST.match(messages)):
        return messages
    if messages is not None and _SYSTEM_MESSAGE.search(messages):
        return messages
    parts = instructions
    if not _LIST.match(instructions):  # plain text instead of a list of parts
        parts = json.dumps([{"type": "text", "content": instructions}], ensure_ascii=False)
    first = f'[{{"role":"system","parts":{parts}}}'
    if messages is None or _EMPTY_LIST.match(messages):
        return first + "]"
    return f"{first},{messages.lstrip()[1:]}"


def with_tools(messages: Any, definitions: Any) -> str | None:
    """The messages and the tools that were offered, as ``{"messages": [...], "tools": [...]}``.

    Langfuse makes this form by itself only where it finds the input by itself, and reads tools from it.
    None unless both are JSON lists and there is a tool.
    """
    if _json_list(definitions) and _json_list(messages) is not None:
        return f'{{"messages":{messages},"tools":{definitions}}}'
    return None


def _json_list(value: Any) -> list[Any] | None:
    if not (isinstance(value, str) and _LIST.match(value)):
        return None
    try:
        found = json.loads(value, parse_constant=_not_json)
    except (ValueError, RecursionError):  # cut, or never was one
        return None
    return found if isinstance(found, list) else None


def _not_json(name: str) -> Any:
    raise ValueError(name)  # NaN and Infinity are Python's own


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _named_prompt_only(out: MutableMapping[str, Any]) -> bool:
    """Whether the prompt is named on the span while its text, in the older numbered form, is not."""
    named = sc.PROMPT_NAME in out or sc.PROMPT_VERSION in out
    return named and not any(
        key in out
        for key in ("gen_ai.prompt.0.content", "gen_ai.prompt.0.role", "gen_ai.completion.0.content")
    )
