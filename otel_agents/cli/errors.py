"""Which errors are expected, and the one line that each becomes."""

from __future__ import annotations

import sys

#: Module, class and exit status. An error can only be one of these when its module has been imported,
#: so none is imported for the look.
_EXPECTED = (
    ("otel_agents.config", "ConfigError", 2),
    ("otel_agents.cli.errors", "CommandError", 1),
    ("otel_agents.stack.errors", "StackError", 1),
    ("otel_agents.stack.collector", "CollectorNotFound", 1),
    ("otel_agents.stack.collector", "BuildError", 1),
    ("otel_agents.stack.build", "BuildError", 1),
    ("otel_agents.local.options", "LocalError", 1),
    ("otel_agents.bridge.errors", "BridgeError", 1),
    ("otel_agents.dashboards.boards", "BoardError", 1),
    ("otel_agents.alerts.told", "CannotRemember", 1),
    ("otel_agents.prompts.content", "PromptError", 1),
    ("otel_agents.replay.errors", "ReplayError", 1),
    ("otel_agents.langfuse.unavailable", "LangfuseUnavailable", 1),
)


class CommandError(Exception):
    """A command cannot do what was asked. The text is one line: what, then what to do next."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def explain(error: Exception) -> tuple[str, int] | None:
    """The line and the exit status for an expected error; None for a bug of ours."""
    if isinstance(error, CommandError):
        return _one_line(error), error.status
    for module, name, status in _EXPECTED:
        kind = getattr(sys.modules.get(module), name, None)
        if isinstance(kind, type) and isinstance(error, kind):
            return _one_line(error), status
    # Typer's own: wrong usage knows how to say itself, Exit and Abort say nothing.
    if (say := getattr(error, "format_message", None)) is not None:
        message = " ".join(str(say()).split()).rstrip(".")
        context = getattr(error, "ctx", None)
        path = getattr(context, "command_path", "otel-agents")
        return (f"{message}; see `{path} --help`" if message else ""), int(getattr(error, "exit_code", 2))
    if type(error).__name__ == "Exit":
        return "", int(getattr(error, "exit_code", 0))
    if type(error).__name__ == "Abort":
        return "", 130
    return None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
