"""Coding agents of the command line, run and measured: Claude Code, Gemini CLI, Copilot, Codex.

::

    from otel_agents.cli_agents import claude

    result = await claude.run("fix the failing test", cwd="repo", timeout=600)
    result.output, result.tokens, result.cost, result.session_id

Each run is a span ``invoke_agent claude`` with its tools and the totals of its models below. Others are
described in a small TOML file (:mod:`otel_agents.cli_agents.declared`) and found by :func:`get`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_agents.cli_agents import declared
from otel_agents.cli_agents.agents import CliAgent
from otel_agents.cli_agents.declared import DeclarationError
from otel_agents.cli_agents.definitions import CLAUDE, CODEX, COPILOT, GEMINI, Definition
from otel_agents.cli_agents.result import AgentResult, ModelTotals, ToolCall

if TYPE_CHECKING:
    import os

__all__ = [
    "AgentResult",
    "CliAgent",
    "DeclarationError",
    "Definition",
    "ModelTotals",
    "ToolCall",
    "claude",
    "codex",
    "copilot",
    "gemini",
    "get",
    "load",
    "names",
]

claude: Final = CliAgent(CLAUDE)
gemini: Final = CliAgent(GEMINI)
copilot: Final = CliAgent(COPILOT)
codex: Final = CliAgent(CODEX)

BUILT_IN: Final = {one.name: one for one in (claude, gemini, copilot, codex)}


def load(path: str | os.PathLike[str]) -> CliAgent:
    """The agent that a TOML file describes; see :mod:`otel_agents.cli_agents.declared`.

    Raises:
        DeclarationError: the file is unusable; one line says why.
    """
    return CliAgent(declared.read(path))


def get(name: str) -> CliAgent | None:
    """One of the four, or one that ``OTEL_AGENTS_CLI_AGENTS`` names a file for; None without one.

    Raises:
        DeclarationError: one of these files is unusable.
    """
    found = declared.known().get(name)
    return CliAgent(found) if found is not None else BUILT_IN.get(name)


def names() -> list[str]:
    """The agents that :func:`get` knows; files that are unusable are left out."""
    try:
        others = declared.known()
    except DeclarationError:
        others = {}
    return sorted({*BUILT_IN, *others})
