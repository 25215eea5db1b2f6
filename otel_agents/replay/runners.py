"""Runners: what runs a task for an agent, by the agent's name.

A runner is an async function ``run(prompt, **options)``. It is found among those that were registered
here, among the installed entry points of the group ``otel_agents.runners``, and among the command-line
agents (``otel_agents.cli_agents``: claude, gemini, copilot, codex, and those that
``OTEL_AGENTS_CLI_AGENTS`` names files for), in this order::

    [project.entry-points."otel_agents.runners"]
    claude = "my_agents.claude:run"

It gives a :class:`Result`, anything with its attributes, a mapping with its names, or just the output.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final

from otel_agents.replay.errors import ReplayError

Run = Callable[..., Awaitable[object]]

GROUP: Final = "otel_agents.runners"

_registered: dict[str, Run] = {}


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to.

    Attributes:
        output: the answer.
        tokens: total, or a mapping such as ``{"input": 10, "output": 5}``; None when not known.
        cost: US dollars; None when not known.
        model: that answered; None when not known.
        latency: seconds, without what is not the agent's own (the start of an SDK); None takes the time
            that the runner took.
    """

    output: str
    tokens: int | Mapping[str, int] | None = None
    cost: float | None = None
    model: str | None = None
    latency: float | None = None


def register(name: str, run: Run) -> None:
    """Makes ``run`` the runner of the agent ``name``, in this process; it wins over an entry point."""
    _registered[name] = run


def names() -> list[str]:
    """The agents that there are runners for."""
    from otel_agents import cli_agents

    points = (point.name for point in metadata.entry_points(group=GROUP))
    return sorted({*_registered, *points, *cli_agents.names()})


def get(name: str) -> Run | None:
    """The runner of the agent ``name``: an async function ``run(prompt, **options)``; None without one.

    Options are ``model``, when another than the usual one is wanted. A runner that does not take it
    should say so by raising.

    Raises:
        ReplayError: its entry point, or the file that describes it, cannot be loaded.
    """
    return registered(name) or command_line(name)


def command_line(name: str) -> Run | None:
    """The command-line agent of that name, as a runner.

    Raises:
        ReplayError: a file that describes such agents is unusable.
    """
    from otel_agents import cli_agents

    try:
        found = cli_agents.get(name)
    except cli_agents.DeclarationError as error:
        raise ReplayError(str(error)) from None
    return found.run if found is not None else None


def check(run: Run) -> None:
    """Whether a command-line agent's program is there; other runners have to see for themselves.

    Raises:
        ReplayError: it is not.
    """
    from otel_agents.cli_agents import CliAgent

    whose = getattr(run, "__self__", None)
    if isinstance(whose, CliAgent) and not whose.installed():
        raise ReplayError(
            f"the program of the agent {whose.name!r} is not on PATH; install it, or give --command"
        )


def registered(name: str) -> Run | None:
    """The runner that somebody registered for ``name``, here or by an entry point.

    Raises:
        ReplayError: its entry point cannot be loaded.
    """
    if name in _registered:
        return _registered[name]
    for point in metadata.entry_points(group=GROUP, name=name):
        try:
            found = point.load()
        except Exception as error:  # a package of anybody's
            raise ReplayError(
                f"the runner {name!r} ({point.value}) cannot be loaded: {error}; reinstall its package"
            ) from error
        return found.run if hasattr(found, "run") else found  # type: ignore[no-any-return]
    return None


def result_of(given: object) -> Result:
    """What a runner returned as :class:`Result`.

    Raises:
        ReplayError: it says that it failed (``error``).
    """
    if isinstance(given, Result):
        return given
    if isinstance(given, str) or given is None:
        return Result(given or "")
    if isinstance(given, Mapping):
        found: Mapping[str, Any] = given
    else:
        found = {name: getattr(given, name, None) for name in ("output", "tokens", "cost", "model", "error")}
    if isinstance(said := found.get("error"), str) and said:
        raise ReplayError(said)
    output = found.get("output")
    cost = found.get("cost")
    return Result(
        output if isinstance(output, str) else str(output if output is not None else ""),
        found.get("tokens"),
        float(cost) if isinstance(cost, (int, float)) and not isinstance(cost, bool) else None,
        str(found["model"]) if found.get("model") else None,
    )
