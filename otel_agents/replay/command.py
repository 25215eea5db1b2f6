"""The built-in runner: a command line, such as ``claude -p {prompt}``."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from otel_agents.cli_agents import processes
from otel_agents.replay.errors import ReplayError
from otel_agents.replay.runners import Result, Run

#: Characters of standard error that are told when a command fails.
_TOLD = 500


def arguments(command: str, prompt: str, model: str | None = None) -> list[str]:
    """The command's words with ``{prompt}`` and ``{model}`` filled in. No shell sees them.

    Raises:
        ReplayError: the line cannot be split into words, or a model is wanted and it has no place.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ReplayError(f"--command {command!r}: {str(error).lower()}; correct its quotes") from None
    if not words:
        raise ReplayError("--command is empty; write one such as 'claude -p {prompt}'")
    if model is not None and "{model}" not in command:
        raise ReplayError("--model needs a place in the command; write {model} where it belongs")
    return [word.replace("{model}", model or "").replace("{prompt}", prompt) for word in words]


def check(words: Sequence[str]) -> None:
    """Whether the command can be started.

    Raises:
        ReplayError: there is no such program.
    """
    if shutil.which(words[0]) is None:
        raise ReplayError(f"no command {words[0]!r}; install it, or give its path")


def command_runner(command: str) -> Run:
    """A runner that runs ``command`` with the prompt, and takes what it prints as the answer.

    Without ``{prompt}`` in it, the prompt goes to its standard input. When it prints a JSON object with
    ``output`` or ``result``, that is the answer, ``tokens`` or ``usage`` and ``cost`` or
    ``total_cost_usd`` are its figures.

    Raises:
        ReplayError: from the runner: no such command, or it ends with another status than 0.
    """

    async def run(prompt: str, *, model: str | None = None, **_: Any) -> Result:
        words = arguments(command, prompt, model)
        by_argument = "{prompt}" in command
        given = None if by_argument else prompt.encode("utf-8", "replace")
        try:
            # Ends all that it started on a timeout and on Ctrl-C, and keeps a bounded part of its output.
            ended = await processes.run(processes.Command(words, os.environ, stdin=given), lambda line: None)
        except FileNotFoundError:
            raise ReplayError(f"no command {words[0]!r}; install it, or give its path") from None
        except (OSError, ValueError) as error:
            raise ReplayError(f"cannot run {words[0]!r}: {error}") from None
        if ended.code:
            told = " ".join(ended.stderr.split())[-_TOLD:]
            raise ReplayError(f"{words[0]!r} ended with status {ended.code}: {told or 'no word'}")
        return read_output(ended.raw)

    return run


def read_output(printed: str) -> Result:
    """What a command printed as a result: a JSON object's answer and figures, else the text itself."""
    text = printed.strip()
    if text.startswith("{"):
        try:
            found = json.loads(text)
        except ValueError:
            found = {}
        answer = found.get("output", found.get("result"))
        if isinstance(answer, str):
            cost = found.get("cost", found.get("total_cost_usd"))
            tokens = found.get("tokens", found.get("usage"))
            return Result(
                answer,
                tokens if isinstance(tokens, (int, Mapping)) and not isinstance(tokens, bool) else None,
                float(cost) if isinstance(cost, (int, float)) and not isinstance(cost, bool) else None,
                found.get("model") if isinstance(found.get("model"), str) else None,
            )
    return Result(text)
