"""The agents' tools: reading and searching the files of one folder, and nothing outside of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from otel_agents import tool  # otel

_SUFFIXES = {".py", ".md", ".toml", ".yaml", ".yml"}
_SKIPPED = {"node_modules", "__pycache__", "dist", "build"}
_LINES = 200
_HITS = 20


@tool  # otel
def read_file(path: str, root: Path) -> str:
    """The first 200 lines of a file of the repository, with line numbers."""
    file = (root / path).resolve()
    if not file.is_relative_to(root) or not file.is_file():
        return f"no such file in the repository: {path}"
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()[:_LINES]
    return "\n".join(f"{number}: {line}" for number, line in enumerate(lines, start=1))


@tool  # otel
def grep(pattern: str, root: Path) -> str:
    """Lines of the repository's files that match a regular expression, 20 at most."""
    try:
        expression = re.compile(pattern)
    except re.error as error:
        return f"not a regular expression: {error}"
    hits: list[str] = []
    for file in files(root):
        text = file.read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), start=1):
            if expression.search(line):
                hits.append(f"{file.relative_to(root)}:{number}: {line.strip()}")
                if len(hits) == _HITS:
                    return "\n".join(hits)
    return "\n".join(hits) or "no match"


_TOOLS = {"read_file": (read_file, "path"), "grep": (grep, "pattern")}


def call(name: str, arguments: str | dict[str, Any], root: Path) -> str:
    """Runs the tool that a model asked for. Whatever is wrong with the request is told the model."""
    try:
        function, parameter = _TOOLS[name]
        given = json.loads(arguments) if isinstance(arguments, str) else arguments
        return str(function(str(given[parameter]), root))
    except (KeyError, TypeError, ValueError) as error:
        return f"bad tool call: {error!r}"


def schemas() -> list[dict[str, Any]]:
    """Name, description and JSON schema of the arguments of every tool."""
    return [
        {
            "name": name,
            "description": function.__doc__,
            "parameters": {
                "type": "object",
                "properties": {parameter: {"type": "string"}},
                "required": [parameter],
                "additionalProperties": False,
            },
        }
        for name, (function, parameter) in _TOOLS.items()
    ]


@cache
def overview(root: Path) -> str:
    """Every file of the repository, one a line."""
    return "\n".join(str(file.relative_to(root)) for file in files(root))


def files(root: Path) -> Iterator[Path]:
    """The repository's text files, sorted; hidden and generated folders are left out."""
    for entry in sorted(root.iterdir()):
        if entry.name.startswith(".") or entry.name in _SKIPPED or entry.is_symlink():
            continue
        if entry.is_dir():
            yield from files(entry)
        elif entry.suffix in _SUFFIXES:
            yield entry
