"""What is known of an agent: how it is started, and how its output is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from otel_agents.cli_agents import claude_code, codex_cli, copilot_cli, gemini_cli
from otel_agents.cli_agents.reading import Reading

#: Bytes of a prompt that still fit into one argument; Linux takes 128 KiB.
_MAX_ARGUMENT: Final = 100_000


@dataclass(frozen=True, slots=True)
class Request:
    """One run that is wanted."""

    prompt: str
    session: str | None = None
    model: str | None = None
    extra_args: Sequence[str] = ()

    @property
    def by_stdin(self) -> bool:
        """Whether the prompt has to go to standard input: too long for an argument, or like an option."""
        return self.prompt.startswith("-") or len(self.prompt.encode()) > _MAX_ARGUMENT or "\0" in self.prompt


@dataclass(frozen=True, slots=True)
class Definition:
    """An agent.

    Attributes:
        name: of the agent, in spans and metrics.
        program: its command.
        provider: whose models it uses, as the conventions name it.
        arguments: the words after the program.
        read: takes one JSON object of the output in.
        finish: called once, after the last.
        exit_errors: exit status → error type.
        plain: the output is text, and the answer is all of it.
        stdin: the agent reads prompts from standard input, where they are no arguments.
        always_stdin: it reads all of them there.
        dialect: of its telemetry; None when it has none.
        resuming: words of its command line that continue a session, whose id may follow.
    """

    name: str
    program: str
    provider: str
    arguments: Callable[[Request], list[str]]
    read: Callable[[Mapping[str, Any], Reading], None]
    finish: Callable[[Reading], None]
    exit_errors: Mapping[int, str] = field(default_factory=dict)
    plain: bool = False
    stdin: bool = True
    always_stdin: bool = False
    dialect: str | None = None
    resuming: Sequence[str] = ()

    def given(self, request: Request) -> bytes | None:
        """What goes to its standard input; None for nothing."""
        if self.always_stdin or (self.stdin and request.by_stdin):
            return request.prompt.encode(errors="replace")
        return None

    def resumed(self, words: Sequence[str]) -> str | None:
        """Id of the session that a command line continues, "" for the latest; None for a new one."""
        for at, word in enumerate(words):
            name, equals, id = word.partition("=")
            if name not in self.resuming:
                continue
            if equals:
                return id
            after = words[at + 1] if at + 1 < len(words) else None
            if name.startswith("-") or after is not None:  # the last word is a prompt
                return after if after is not None and not after.startswith("-") else ""
        return None


def _claude(request: Request) -> list[str]:
    words = ["-p", "--output-format", "stream-json", "--verbose"]
    words += ["--model", request.model] if request.model else []
    words += ["--resume", request.session] if request.session else []
    return [*words, *request.extra_args, *([] if request.by_stdin else [request.prompt])]


def _gemini(request: Request) -> list[str]:
    words = ["--output-format", "stream-json"]
    words += ["--model", request.model] if request.model else []
    words += ["--resume", request.session] if request.session else []
    return [*words, *request.extra_args, *([] if request.by_stdin else ["--prompt", request.prompt])]


def _copilot(request: Request) -> list[str]:
    words = ["--output-format", "json"]
    words += ["--model", request.model] if request.model else []
    words += [f"--resume={request.session}"] if request.session else []
    # It takes a prompt from nowhere else.
    return [*words, *request.extra_args, f"--prompt={request.prompt}"]


def _codex(request: Request) -> list[str]:
    words = ["exec", "--json"]
    words += ["--model", request.model] if request.model else []
    words += request.extra_args
    words += ["resume", request.session] if request.session else []
    return [*words, "-" if request.by_stdin else request.prompt]


CLAUDE: Final = Definition(
    "claude", "claude", "anthropic", _claude, claude_code.read, claude_code.finish, dialect="claude_code",
    resuming=("--resume", "-r", "--continue", "-c"),
)  # fmt: skip
GEMINI: Final = Definition(
    "gemini", "gemini", "gcp.gemini", _gemini, gemini_cli.read, gemini_cli.finish,
    exit_errors=gemini_cli.EXIT_ERRORS, dialect="gemini_cli",
)  # fmt: skip
COPILOT: Final = Definition(
    "copilot", "copilot", "github", _copilot, copilot_cli.read, copilot_cli.finish, stdin=False,
    dialect="copilot",
)  # fmt: skip
CODEX: Final = Definition(
    "codex", "codex", "openai", _codex, codex_cli.read, codex_cli.finish, dialect="codex",
    resuming=("resume", "fork"),
)  # fmt: skip

BUILT_IN: Final[Mapping[str, Definition]] = {one.name: one for one in (CLAUDE, GEMINI, COPILOT, CODEX)}


def by_program(word: str) -> Definition | None:
    """The agent that a command line starts, by the name of its program."""
    name = os.path.basename(word).removesuffix(".exe").removesuffix(".cmd")
    return next((one for one in BUILT_IN.values() if one.program == name), None)


def unknown(name: str) -> Definition:
    """An agent of which only the name is known: what it prints is its answer."""
    return Definition(
        name, name, name, lambda request: [request.prompt], lambda event, reading: None,
        lambda reading: None, plain=True,
    )  # fmt: skip
