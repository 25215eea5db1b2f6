"""Deterministic answers that look like a model's: derived from the prompt, better from better models."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from modelserver import prices
from modelserver.prompt import Answer, Prompt, ToolCall

_PATH: Final = re.compile(r"[\w./-]+\.(?:py|md|toml|yaml|yml|json|txt|js)\b")
_DEFINITION: Final = re.compile(
    # Functions, classes and constants; the number is what the read_file tool puts before a line.
    r"^(?:\d+: )?(?:\s*(?:async\s+)?(?:def|class)\s+|(?=[A-Z][A-Z_0-9]+\b\s*[:=]))(\w+)",
    re.MULTILINE,
)
_FINDING: Final = re.compile(r"^\d+\. \(line \d+\)", re.MULTILINE)

#: Remarks that fit any function; the better the model, the more of them it makes.
_REMARKS: Final = {
    "security": (
        "`{name}` trusts its caller: validate the argument before it reaches the file system",
        "`{name}` may put a secret into an error message; redact before raising",
        "input to `{name}` has no upper bound, so one request can exhaust memory",
        "`{name}` compares secrets in variable time; use `hmac.compare_digest`",
        "`{name}` follows redirects to any host; pin the allowed ones",
    ),
    "tests": (
        "`test_{name}_empty`: an empty input answers an empty result and does not raise",
        "`test_{name}_limit`: the largest accepted value passes, one more is refused by name",
        "`test_{name}_twice`: calling it twice changes nothing the second time",
        "`test_{name}_concurrent`: eight threads see one consistent result",
        "`test_{name}_error`: the error names the setting and what to do",
    ),
    "review": (
        "`{name}` has two exits that differ only in the log line; fold them into one",
        "`{name}` catches more than it can handle, which hides programming errors",
        "state that `{name}` shares between threads is changed outside the lock",
        "the name `{name}` promises a query, yet it also writes",
        "`{name}` builds the whole list only to take its first item; use `next`",
    ),
    "summarise": (
        "`{name}` is the entry point: everything else is called from it",
        "`{name}` keeps the state and is the only writer",
        "`{name}` turns foreign input into the module's own types",
        "`{name}` cleans up and may be called more than once",
        "`{name}` is a thin helper around the standard library",
    ),
}
_SUBJECTS: Final = (
    ("security", ("security", "vulnerab", "secret")),
    ("tests", ("write test", "unit test", "test cases", "test plan")),
    ("summarise", ("summar",)),
    ("review", ("review", "refactor", "bugs")),
)


def number(*parts: str) -> int:
    """A stable pseudo-random number for the texts."""
    digest = hashlib.blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=4)
    return int.from_bytes(digest.digest(), "big")


def answer(prompt: Prompt, index: int = 0) -> Answer:
    """The answer to ``prompt``; ``index`` tells several choices of one request apart."""
    thinking = _thinking(prompt) if prompt.thinking else ""
    if calls := _tool_calls(prompt):
        return Answer(thinking=thinking, tool_calls=calls, finish="tool")
    if is_judgement(prompt):
        text = _judgement(prompt)
    elif prompt.json_schema is not None:
        text = json.dumps(_example(prompt.json_schema or {"type": "object"}, prompt), ensure_ascii=False)
    else:
        text = _prose(prompt, index)
    return _limited(Answer(text=text, thinking=thinking), prompt)


def is_judgement(prompt: Prompt) -> bool:
    """Whether the prompt asks for a score of another answer: for JSON with a ``"score"``.

    The bare word would not do: names of files, such as ``scores.json``, stand in system prompts as well.
    """
    words = f"{prompt.system}\n{prompt.first_line}".lower()
    return '"score"' in words and "json" in words and not prompt.tools


def _thinking(prompt: Prompt) -> str:
    steps = 2 + number(prompt.user) % 3
    subject = prompt.first_line[:60] or "the request"
    return " ".join(
        f"Step {step}: look at {subject!r} again and check it against what the tools said."
        for step in range(1, steps + 1)
    )


def _tool_calls(prompt: Prompt) -> list[ToolCall]:
    if not prompt.tools or prompt.tool_choice == "none":
        return []
    named = [tool for tool in prompt.tools if tool.name == prompt.tool_choice]
    done = len(prompt.tool_results)
    if named:
        wanted = named
    elif prompt.tool_choice == "any":
        wanted = [prompt.tools[0]]
    elif done >= min(len(prompt.tools), 1 + number(prompt.user) % 2):
        return []
    else:
        wanted = [prompt.tools[done]]
    return [
        ToolCall(tool.name, json.dumps(_example(tool.schema, prompt), ensure_ascii=False)) for tool in wanted
    ]


def _example(schema: Mapping[str, Any], prompt: Prompt, name: str = "") -> Any:
    """A value that follows the JSON schema, with words of the prompt where a string is asked for."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        fields = schema.get("properties", {})
        wanted = schema.get("required", list(fields))
        return {key: _example(fields.get(key, {}), prompt, key) for key in wanted}
    if kind == "array":
        return [_example(schema.get("items", {}), prompt, name)]
    if kind in ("integer", "number"):
        return schema.get("minimum", 1)
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    return _word(prompt, name)


def _word(prompt: Prompt, name: str) -> str:
    paths = _PATH.findall(prompt.user)
    if paths and any(hint in name.lower() for hint in ("path", "file")):
        return str(paths[0])
    names = _DEFINITION.findall(prompt.user + "\n".join(prompt.tool_results))
    if names and name.lower() in ("pattern", "query", "name", "text"):
        return str(names[number(prompt.user) % len(names)])
    return " ".join(prompt.first_line.split()[:4]) or "example"


def _judgement(prompt: Prompt) -> str:
    findings = len(_FINDING.findall(prompt.user))
    score = min(0.35 + 0.13 * findings, 0.95) + (number(prompt.user) % 5) / 100
    reason = f"{findings} findings with a line" if findings else "nothing specific in the answer"
    return json.dumps({"score": round(score, 2), "reason": reason})


def _prose(prompt: Prompt, index: int) -> str:
    subject = _subject(prompt.first_line) or _subject(prompt.system)
    if subject is None:
        said = prompt.first_line[:80] or "nothing"
        again = f" (choice {index + 1})" if index else ""
        used = f" The tool said: {prompt.tool_results[-1][:80]}" if prompt.tool_results else ""
        return f"You asked: {said}.{used} Here is a short, scripted answer{again}."
    source = "\n".join([prompt.user, *prompt.tool_results])
    places = _places(source)
    model = prices.find(prompt.model)
    skill = model.skill if model else 3
    remarks = _REMARKS[subject]
    lines = [f"{subject.capitalize()} of {next(iter(_PATH.findall(prompt.user)), 'the input')}:"]
    for at in range(min(skill, max(len(places), 1))):
        name, line = places[(number(source) + at * 7) % len(places)] if places else ("main", 1)
        remark = remarks[(at + index) % len(remarks)].format(name=name)
        lines.append(f"{at + 1}. (line {line}) {remark}.")
    if skill < 3:
        lines.append("Otherwise it looks fine.")
    return "\n".join(lines)


def _subject(text: str) -> str | None:
    lower = text.lower()
    return next((name for name, words in _SUBJECTS if any(word in lower for word in words)), None)


def _places(source: str) -> list[tuple[str, int]]:
    """Functions and classes with the line they are defined on."""
    return [
        (found.group(1), source.count("\n", 0, found.start(1)) + 1) for found in _DEFINITION.finditer(source)
    ]


def _limited(reply: Answer, prompt: Prompt) -> Answer:
    for stop in prompt.stop:
        reply.text = reply.text.partition(stop)[0]
    if prompt.max_tokens is not None and len(reply.text) > prompt.max_tokens * 4:
        reply.text = reply.text[: prompt.max_tokens * 4]
        reply.finish = "length"
    return reply
