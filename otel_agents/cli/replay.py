"""``otel-agents replay``: a recorded task once more, and how it compares."""

from __future__ import annotations

import json
import re
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from otel_agents.config import Settings
    from otel_agents.langfuse.recorded import Recorded, TraceReader
    from otel_agents.replay.comparing import Side
    from otel_agents.replay.planning import Plan

_TRACE_ID = re.compile(r"(?:.*/)?([0-9a-fA-F]{32})(?:[/?#].*)?", re.DOTALL)
#: Seconds between two looks for a score that an evaluator gives later.
_LOOK = 1.0


def add(app: typer.Typer) -> None:
    """Registers the command."""
    app.command("replay")(replay)


def replay(
    trace_id: Annotated[str, typer.Argument(help="Id of the trace, or its address.", show_default=False)],
    agent: Annotated[str | None, typer.Option("--agent", help="Run it by this agent's runner.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Ask this model.")] = None,
    provider: Annotated[str | None, typer.Option("--provider", help="Whose API to ask.")] = None,
    command: Annotated[
        str | None, typer.Option("--command", help="Run it by a command such as 'claude -p {prompt}'.")
    ] = None,
    observation: Annotated[
        str | None, typer.Option("--observation", help="Replay the model call with this id.")
    ] = None,
    scorer: Annotated[
        str | None, typer.Option("--scorer", help="module:function that scores (prompt, output).")
    ] = None,
    wait_quality: Annotated[
        float, typer.Option("--wait-quality", help="Wait this many seconds for a score by others.", min=0)
    ] = 0.0,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds it may take.", min=0.1)] = 600.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be sent.")] = False,
    form: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
) -> None:
    """Run a recorded task or model call again, and compare output, cost and quality."""
    from otel_agents.cli import project
    from otel_agents.cli.output import one_of
    from otel_agents.langfuse.recorded import TraceReader
    from otel_agents.replay import comparing, planning, running, scoring
    from otel_agents.replay.errors import ReplayError

    as_json = one_of("--format", form, ("table", "json")) == "json"
    settings = project.settings()
    with TraceReader(settings) as traces:
        recorded = _read(traces, trace_id, settings)
        wanted = planning.Wanted(agent, model, provider, command, observation)
        plan = planning.make(recorded, wanted)
        for note in plan.notes:
            print(f"note: {note}", file=sys.stderr)
        if dry_run:
            print(json.dumps(_plan_json(plan), indent=2, ensure_ascii=False))
            return
        judge = scoring.load(scorer) if scorer is not None else None
        running.check(plan)
        before = comparing.recorded_side(plan, traces.scores(recorded.trace_id, "quality"))
        if judge is not None and before.output is not None:
            before.quality = scoring.grade(judge, plan.prompt, before.output).value
        _configure(settings)
        ungraded = ""
        try:
            outcome = running.run(plan, timeout)
            if judge is not None and not outcome.error:
                try:
                    running.judge(plan, outcome, judge)
                except ReplayError as error:  # the answer is there, and paid for
                    ungraded = str(error)
        finally:
            lost = _finish()
        after = comparing.Side(
            trace_id=outcome.trace_id,
            agent=plan.agent,
            model=outcome.model or plan.model,
            status="error" if outcome.error else "success",
            latency=outcome.latency,
            tokens=outcome.tokens,
            cost=outcome.cost,
            quality=outcome.grade.value if outcome.grade is not None else None,
            output=outcome.output if not outcome.error else None,
        )
        if after.quality is None and wait_quality and not outcome.error:
            after.quality = _quality_by_others(traces, outcome.trace_id, wait_quality)
        url = traces.url(outcome.trace_id) if outcome.trace_id.strip("0") else None
    diff = comparing.difference(before.output, outcome.output) if not outcome.error else None
    if as_json:
        found = {"recorded": _side_json(before), "replay": _side_json(after), "diff": diff}
        print(json.dumps({**found, "error": outcome.error, "url": url}, indent=2, ensure_ascii=False))
    else:
        _print(before, after, diff, outcome.error, url)
    if lost:
        print(f"warning: {lost}", file=sys.stderr)
    if ungraded:
        raise ReplayError(ungraded)
    if outcome.error:
        raise typer.Exit(1)


def _read(traces: TraceReader, given: str, settings: Settings) -> Recorded:
    from otel_agents.cli.errors import CommandError

    found = _TRACE_ID.fullmatch(given.strip())
    if found is None:
        raise CommandError(f"{given!r} is no trace id; it has 32 hexadecimal digits", 2)
    recorded = traces.read(found[1].lower())
    if recorded is None:
        raise CommandError(
            f"no trace {found[1]} in {settings.langfuse_base_url}; check the id, and that the keys belong to "
            "its project"
        )
    return recorded


def _configure(settings: Settings) -> None:
    """Telemetry for this process: where the settings say, else to where the trace was read from."""
    import otel_agents
    from otel_agents.config import resolve

    overrides: dict[str, Any] = {
        "langfuse_base_url": settings.langfuse_base_url,
        "langfuse_public_key": settings.langfuse_public_key,
        "langfuse_secret_key": settings.langfuse_secret_key,
    }
    if settings.origins.get("capture", "default") == "default":
        overrides["capture"] = "messages"  # what is replayed was recorded with its content
    if settings.origins.get("service_name", "default") == "default":
        overrides["service_name"] = "otel-agents-replay"
    if resolve(overrides).mode == "direct":
        overrides["metrics_exporter"] = "none"  # nobody scrapes a command
    otel_agents.configure(**overrides)


def _finish() -> str | None:
    """Sends what was recorded; one line when some of it did not arrive."""
    import otel_agents

    sent = otel_agents.flush(15.0)
    otel_agents.shutdown()
    if sent.ok:
        return None
    return f"the replay's own trace may be incomplete: {sent.dropped + sent.pending} spans were not delivered"


def _quality_by_others(traces: TraceReader, trace_id: str, seconds: float) -> float | None:
    deadline = time.monotonic() + seconds
    while True:
        numbers = [one.number for one in traces.scores(trace_id, "quality") if one.number is not None]
        if numbers:
            return numbers[0]
        if time.monotonic() >= deadline:
            return None
        time.sleep(min(_LOOK, seconds))


def _print(before: Side, after: Side, diff: str | None, error: str | None, url: str | None) -> None:
    from otel_agents.cli.output import dollars, print_diff, print_table, seconds, visible, whole

    def change(old: float | None, new: float | None) -> str:
        return f"{(new - old) / old:+.0%}" if old and new is not None else ""

    def quality(value: float | None) -> str:
        return "-" if value is None else f"{value:.3f}"

    rows = [
        ("agent", before.agent or "-", after.agent or "-", ""),
        ("model", before.model or "-", after.model or "-", ""),
        ("status", before.status, after.status, ""),
        ("latency", seconds(before.latency), seconds(after.latency), change(before.latency, after.latency)),
        ("tokens", whole(before.tokens), whole(after.tokens), change(before.tokens, after.tokens)),
        ("cost", dollars(before.cost), dollars(after.cost), change(before.cost, after.cost)),
        ("quality", quality(before.quality), quality(after.quality), change(before.quality, after.quality)),
    ]
    print_table(("", "recorded", "replay", "change"), rows)
    print()
    if error is not None:
        print(f"the replay failed: {visible(error)}")
    elif diff is None:
        print(f"the recorded answer was not captured; the replay's:\n{visible(after.output or '')}")
    else:
        print_diff(visible(diff)) if diff else print("the answers are the same")
    print(f"\n{url or 'not recorded: telemetry is switched off (OTEL_SDK_DISABLED)'}")


def _side_json(side: Side) -> dict[str, object]:
    return {
        "trace_id": side.trace_id,
        "agent": side.agent,
        "model": side.model,
        "status": side.status,
        "latency": side.latency,
        "tokens": side.tokens,
        "cost": side.cost,
        "quality": side.quality,
        "output": side.output,
    }


def _plan_json(plan: Plan) -> dict[str, object]:
    made: dict[str, object] = {
        "replay_of": plan.recorded.trace_id,
        "observation": plan.source.id,
        "name": plan.source.name,
        "agent": plan.agent,
    }
    if plan.how == "model":
        return {**made, "provider": plan.provider, "api": plan.api, "request": plan.request}
    return {**made, "command": plan.command, "model": plan.model, "prompt": plan.prompt}
