"""``otel-agents failures``: what went wrong, with what led to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from otel_agents.cli.periods import Since

if TYPE_CHECKING:
    from otel_agents.failures.around import Attempt
    from otel_agents.failures.finding import Failure

_FORMATS = ("list", "table", "json")
#: Characters of a prompt, an answer or a stack trace in a list.
_SHOWN = 400
_STACK_LINES = 6


def add(app: typer.Typer) -> None:
    """Registers the command."""
    app.command("failures")(failures)


def failures(
    since: Since = "7d",
    agent: Annotated[str | None, typer.Option("--agent", help="Only this agent's.")] = None,
    task_type: Annotated[str | None, typer.Option("--task-type", help="Only this kind of task.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="How many, at most.", min=1, max=1000)] = 20,
    form: Annotated[str, typer.Option("--format", help="list, table or json.")] = "list",
) -> None:
    """List the latest errors with prompt, answer, attempts and the circuit breaker's state at that time."""
    from otel_agents.cli import project
    from otel_agents.cli.output import one_of
    from otel_agents.cli.periods import moment
    from otel_agents.cli.progress import counting
    from otel_agents.failures.finding import find
    from otel_agents.langfuse.reading import LangfuseReader
    from otel_agents.langfuse.recorded import TraceReader

    wanted = one_of("--format", form, _FORMATS)
    start = moment(since)
    settings = project.settings()
    with (
        LangfuseReader.from_settings(settings) as reader,
        TraceReader(settings) as traces,
        counting("observations") as progress,
    ):
        found = find(
            reader,
            traces,
            since=start,
            agent=agent,
            task_type=task_type,
            limit=limit,
            progress=progress,
        )
    if wanted == "json":
        print(json.dumps([_as_json(one) for one in found], indent=2, ensure_ascii=False))
    elif not found:
        print(f"no failures since {start:%Y-%m-%d %H:%M} UTC")
    elif wanted == "table":
        _print_table(found)
    else:
        for one in found:
            _print_failure(one)


def _print_failure(one: Failure) -> None:
    from otel_agents.cli.output import seconds, visible
    from otel_agents.reports.words import counted

    title = "  ".join(filter(None, [f"{one.at:%Y-%m-%d %H:%M:%S}", one.agent or one.name, one.task_type]))
    print(title + ("  (recovered)" if one.recovered else ""))
    lines = [
        ("error", one.error or "no message was recorded"),
        ("cause", one.cause),
        ("task", one.task_id),
        ("model", one.model),
    ]
    lines += [("prompt", _short(one.prompt)), ("answer", _short(one.answer) or "none")]
    if one.attempts:
        lines.append(("attempts", f"{len(one.attempts)}: " + ", ".join(map(_attempt, one.attempts))))
    if one.circuit is not None:
        count = "" if one.circuit.failures is None else f", {counted(one.circuit.failures, 'failure')}"
        since = "" if one.circuit.since is None else f" since {one.circuit.since:%Y-%m-%d %H:%M:%S}"
        lines.append(("circuit", f"{one.circuit.state}{since}{count}"))
    lines += [("after", seconds(one.latency)), ("trace", one.url)]
    lines.append(("stack", "\n".join((one.stacktrace or "").rstrip().splitlines()[-_STACK_LINES:])))
    for name, text in lines:
        if text:
            shown = visible(text).replace("\n", "\n" + " " * 12)
            print(f"  {name:<9} {shown}")
    print()


def _print_table(found: list[Failure]) -> None:
    from otel_agents.cli.output import print_table, visible

    rows = [
        (
            f"{one.at:%Y-%m-%d %H:%M:%S}",
            one.agent or one.name,
            one.task_type or "",
            " ".join(visible(one.error).split())[:60],
            str(len(one.attempts) or 1),
            one.circuit.state if one.circuit is not None else "",
            one.trace_id,
        )
        for one in found
    ]
    print_table(("when (UTC)", "agent", "task type", "error", "attempts", "circuit", "trace"), rows)


def _attempt(one: Attempt) -> str:
    said = [one.agent, one.status if one.status != "error" or not one.error else None, one.error]
    return " ".join(filter(None, said)) or "ok"


def _short(text: str | None) -> str | None:
    if text is None or len(text) <= _SHOWN:
        return text
    return f"{text[:_SHOWN]} … ({len(text):,} characters)"


def _as_json(one: Failure) -> dict[str, object]:
    circuit = one.circuit
    return {
        "at": one.at.isoformat(),
        "latency": one.latency,
        "agent": one.agent,
        "name": one.name,
        "model": one.model,
        "task_id": one.task_id,
        "task_type": one.task_type,
        "error_type": one.error_type,
        "message": one.message,
        "cause": one.cause,
        "stacktrace": one.stacktrace,
        "prompt": one.prompt,
        "answer": one.answer,
        "recovered": one.recovered,
        "attempts": [
            {"number": sent.number, "agent": sent.agent, "status": sent.status, "error": sent.error}
            for sent in one.attempts
        ],
        "circuit": None
        if circuit is None
        else {
            "state": circuit.state,
            "failures": circuit.failures,
            "since": circuit.since.isoformat() if circuit.since is not None else None,
        },
        "trace_id": one.trace_id,
        "observation_id": one.observation_id,
        "url": one.url,
    }
