"""Other agents, described in a TOML file.

::

    name = "aider"
    command = ["aider", "--yes", "--message", "{prompt}"]
    model = ["--model", "{model}"]            # added when a model is wanted
    session = ["--resume", "{session}"]       # added when a session is continued
    provider = "openai"                       # whose models; optional
    format = "jsonl"                          # text, json or jsonl
    exit_errors = {42 = "input"}              # optional

    [map]                                     # for json and jsonl: where to find what
    output = "result.text"
    session_id = "session"
    model = "model"
    cost = "usage.cost_usd"
    turns = "turns"
    error = "error.message"
    "tokens.input" = "usage.prompt"           # includes the cache, output includes reasoning;
    "tokens.output" = "usage.completion"      # tokens_exclude = ["cache_read", "cache_write",
    "tokens.cache_read" = "usage.cached"      # "reasoning"] adds what the agent counts beside

    [map.tool]                                # for jsonl: events that are tool calls
    when = {type = "tool"}
    name = "tool"
    id = "id"
    arguments = "input"
    output = "output"
    error = "error"

A path is names joined by dots; numbers are places in lists. With ``jsonl`` the last value of each path
counts, ``sum = ["tokens", "cost"]`` adds them up instead. ``join = ["output"]`` joins texts.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from otel_agents.accounting import Usage
from otel_agents.cli_agents.definitions import Definition, Request
from otel_agents.cli_agents.reading import Reading, count, number, text_of

_KEYS: Final = frozenset(
    {"name", "command", "model", "session", "provider", "format", "exit_errors", "map", "sum", "join",
     "tokens_exclude"}
)  # fmt: skip
_TARGETS: Final = frozenset(
    {"output", "session_id", "model", "cost", "turns", "error", "premium_requests", "lines_added",
     "lines_removed", "tool", "tokens"}
    | {f"tokens.{name}" for name in ("input", "output", "cache_read", "cache_write", "reasoning", "total")}
)  # fmt: skip
_TOOL_KEYS: Final = frozenset({"when", "name", "id", "arguments", "output", "error"})
_FORMATS: Final = ("text", "json", "jsonl")
_EXCLUDED: Final = ("cache_read", "cache_write", "reasoning")


class DeclarationError(Exception):
    """A file that describes an agent is unusable; the message is one line that says why."""


def read(path: str | os.PathLike[str]) -> Definition:
    """The agent that a file describes.

    Raises:
        DeclarationError: it cannot be read, or something in it makes no sense.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DeclarationError(f"cannot read {os.fspath(path)}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DeclarationError(f"{os.fspath(path)} is not valid TOML: {error}") from None
    return make(content, os.fspath(path))


def make(content: Mapping[str, Any], where: str = "the description") -> Definition:
    """The agent that a table describes.

    Args:
        where: the table is from, for messages.

    Raises:
        DeclarationError: something in it makes no sense.
    """

    def wrong(what: str) -> DeclarationError:
        return DeclarationError(f"{where}: {what}")

    if unknown := sorted(set(content) - _KEYS):
        raise wrong(f"{unknown[0]!r} is no key; known are {', '.join(sorted(_KEYS))}")
    name, command = content.get("name"), content.get("command")
    if not isinstance(name, str) or not name:
        raise wrong("name is missing; it is what the agent is called in spans")
    for key in ("command", "model", "session"):
        given = content.get(key, [])
        if not isinstance(given, list) or not all(isinstance(word, str) for word in given):
            raise wrong(f'{key} is a list of words, such as ["agent", "--prompt", "{{prompt}}"]')
    if not command:
        raise wrong("command is missing; it is a list of words, the first is the program")
    form = content.get("format", "text")
    if form not in _FORMATS:
        raise wrong(f"format {form!r} is none of {', '.join(_FORMATS)}")
    places = _flat(content.get("map", {}))
    if unknown := sorted(set(places) - _TARGETS):
        raise wrong(f"map.{unknown[0]} is nothing that is read; known are {', '.join(sorted(_TARGETS))}")
    tool = places.pop("tool", {})
    if not isinstance(tool, dict) or set(tool) - _TOOL_KEYS:
        raise wrong(f"map.tool takes {', '.join(sorted(_TOOL_KEYS))}")
    for target, place in places.items():
        if not isinstance(place, str) or not place:
            raise wrong(f'map.{target} is a path, such as "usage.input"')
    excluded = tuple(content.get("tokens_exclude", ()))
    if set(excluded) - set(_EXCLUDED):
        raise wrong(f"tokens_exclude is a list of {', '.join(_EXCLUDED)}")
    try:
        exits = {int(code): str(kind) for code, kind in dict(content.get("exit_errors", {})).items()}
    except (TypeError, ValueError):
        raise wrong('exit_errors maps exit statuses to words, such as {42 = "input"}') from None
    mapped = _Mapped(
        places, tool, frozenset(content.get("sum", ())), frozenset(content.get("join", ())), excluded
    )
    return Definition(
        name=name,
        program=command[0],
        provider=text_of(content.get("provider")) or name,
        arguments=lambda request: _words(content, request),
        read=mapped.read,
        finish=mapped.finish,
        exit_errors=exits,
        plain=form == "text",
        stdin=False,
        always_stdin="{prompt}" not in " ".join(command),
    )


def known() -> Mapping[str, Definition]:
    """Agents that the setting ``cli_agents`` names files for.

    Raises:
        DeclarationError: one of the files is unusable.
    """
    from otel_agents import runtime

    return _all(tuple(runtime.current().settings.cli_agents))


@lru_cache(maxsize=4)
def _all(paths: tuple[str, ...]) -> Mapping[str, Definition]:
    found = [read(path) for path in paths]
    return {one.name: one for one in found}


def _flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """``[map]`` with ``tokens = {input = ...}`` written as ``tokens.input``."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if key == "tokens" and isinstance(value, dict):
            flat.update({f"tokens.{inner}": place for inner, place in value.items()})
        else:
            flat[key] = value
    return flat


def _words(content: Mapping[str, Any], request: Request) -> list[str]:
    words = list(content["command"][1:])
    if request.model:
        words += content.get("model", [])
    if request.session:
        words += content.get("session", [])
    filled = {"{model}": request.model or "", "{session}": request.session or "", "{prompt}": request.prompt}
    made = [*words, *request.extra_args]
    for place, value in filled.items():  # the prompt last: what is in it is not filled in
        made = [word.replace(place, value) for word in made]
    return made


class _Mapped:
    """Reads JSON by paths."""

    __slots__ = ("_excluded", "_join", "_places", "_sum", "_tool")

    def __init__(
        self,
        places: Mapping[str, str],
        tool: Mapping[str, Any],
        summed: frozenset[str],
        joined: frozenset[str],
        excluded: tuple[str, ...],
    ) -> None:
        self._places = places
        self._tool = tool
        self._sum = summed
        self._join = joined
        self._excluded = excluded

    def read(self, event: Mapping[str, Any], reading: Reading) -> None:
        found: dict[str, Any] = reading.state.setdefault("found", {})
        any_found = self._tool_call(event, reading)
        for target, place in self._places.items():
            value = _at(event, place)
            if value is None:
                continue
            any_found = True
            before = found.get(target)
            if before is not None and target.split(".")[0] in self._sum:
                value = (number(before) or 0) + (number(value) or 0)
            elif before is not None and target in self._join and isinstance(value, str):
                value = f"{before}{value}"
            found[target] = value
        if not any_found:
            reading.skip(f"event:{text_of(event.get('type')) or 'untyped'}")

    def finish(self, reading: Reading) -> None:
        found: dict[str, Any] = reading.state.get("found", {})
        output = found.get("output")
        reading.output = output if isinstance(output, str) else text_of(output)
        reading.session_id = text_of(found.get("session_id")) or None
        reading.model = text_of(found.get("model")) or None
        reading.cost = number(found.get("cost"))
        reading.premium_requests = number(found.get("premium_requests"))
        for name in ("turns", "lines_added", "lines_removed"):
            if number(found.get(name)) is not None:
                setattr(reading, name, count(found[name]))
        reading.usage = self._usage(found)
        if found.get("error"):
            reading.fail(found["error"], "agent_error")
        reading.finished = "output" in found

    def _usage(self, found: Mapping[str, Any]) -> Usage | None:
        counts = {
            name: count(found[f"tokens.{name}"])
            for name in ("input", "output", "cache_read", "cache_write", "reasoning")
            if number(found.get(f"tokens.{name}")) is not None
        }
        if not counts:
            total = found.get("tokens.total", found.get("tokens"))
            return Usage(unsplit=count(total)) if number(total) is not None else None
        for name in self._excluded:
            into = "output" if name == "reasoning" else "input"
            counts[into] = counts.get(into, 0) + counts.get(name, 0)
        return Usage(**counts)

    def _tool_call(self, event: Mapping[str, Any], reading: Reading) -> bool:
        tool = self._tool
        when = tool.get("when", {})
        if not tool or any(_at(event, place) != value for place, value in when.items()):
            return False
        id = _at(event, tool["id"]) if "id" in tool else f"#{len(reading.tool_calls)}"
        name, given = _at(event, tool.get("name", "name")), _at(event, tool.get("arguments", "arguments"))
        reading.tool_started(name, id, given)
        output = _at(event, tool["output"]) if "output" in tool else None
        error = _at(event, tool["error"]) if "error" in tool else None
        if output is not None or error or "output" not in tool:
            reading.tool_ended(id, output, error)
        return True


def _at(value: Any, place: str) -> Any:
    for name in place.split("."):
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.lstrip("-").isdigit():
            index = int(name)
            value = value[index] if -len(value) <= index < len(value) else None
        else:
            return None
    return value
