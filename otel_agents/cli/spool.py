"""``otel-agents spool``: what waits on disk and what was refused; send it again, or delete it."""

from __future__ import annotations

import json
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_agents.config import Settings
    from otel_agents.export.entries import Entry
    from otel_agents.export.inventory import Contents
    from otel_agents.export.leftovers import Destination
    from otel_agents.export.sender import Sender

#: What a file's kind is called.
_KINDS = {"spans": "span", "scores": "score", "logs": "event", "metrics": "last metric"}
#: Dead letters that are listed one by one.
_LISTED = 20

_Destination = Annotated[
    str | None, typer.Argument(help="A destination's key, as `spool show` prints it; all by default.")
]


def add(app: typer.Typer) -> None:
    """Registers the commands."""
    commands = typer.Typer(no_args_is_help=True, help="What waits on disk for the backend.")
    commands.command("show")(show)
    commands.command("retry")(retry)
    commands.command("drop")(drop)
    app.add_typer(commands, name="spool")


def show(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what waits on disk, for which destination, and which spans were refused and why."""
    settings = _settings()
    found = _contents(settings, None)
    if as_json:
        print(json.dumps([_as_json(one) for one in found], indent=2))
        return
    if not any(one.files or one.dead for one in found):
        print("nothing waits on disk")
        return
    for one in found:
        if one.files or one.dead:
            _print(one)


def retry() -> None:
    """Send now what processes that are gone left, and what was refused, to the destination of the settings.

    Spans, scores, events, and the last metrics of processes. Exit status 1 when something is left.
    """
    from otel_agents.cli.errors import CommandError
    from otel_agents.cli.output import counted
    from otel_agents.export import exporters, leftovers

    settings = _settings()
    destination = leftovers.destination_of(settings)
    connect = exporters.span_sender(settings)
    if destination is None or connect is None:
        raise CommandError(
            "nothing says where to send to; set OTEL_EXPORTER_OTLP_ENDPOINT, or LANGFUSE_PUBLIC_KEY and "
            "LANGFUSE_SECRET_KEY"
        )
    everything = _contents(settings, None)
    found = [one for one in everything if one.key == destination.key]
    sender = connect()
    try:
        delivered, left = _retry_files(found, "spans", sender)
        again, refused = _retry_dead(found, sender)
    finally:
        sender.close()
    print(f"delivered {counted(delivered + again, 'span')} to {destination.address}")
    left += _retry_others(settings, everything)
    if left or refused:
        raise CommandError(
            f"{left} could not be sent yet and {refused} were refused again; "
            "`otel-agents spool show` says why"
        )


def drop(
    destination: _Destination = None,
    dead: Annotated[bool, typer.Option("--dead", help="Only what was refused.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete what processes that are gone left, damaged files, and what was refused. It is lost then."""
    from otel_agents.cli.output import counted
    from otel_agents.export import inventory

    found = _contents(_settings(), destination)
    files = [] if dead else [file for one in found for file in one.files if file.state != "in use"]
    letters = [letter for one in found for letter in one.dead]
    spans = sum(file.count for file in files)
    if not files and not letters:
        print("nothing to delete")
        return
    what = (
        f"{counted(len(files), 'file')} with {spans} spans and scores, and "
        f"{counted(len(letters), 'refused span')}"
    )
    if not yes and not typer.confirm(f"Delete {what}?"):
        raise typer.Exit(1)
    for file in files:
        inventory.delete(file)
    for letter in letters:
        letter.path.unlink(missing_ok=True)
    print(f"deleted {what}")


def _settings() -> Settings:
    from otel_agents.config import resolve

    return resolve()


def _contents(settings: Settings, key: str | None) -> list[Contents]:
    from otel_agents.cli.errors import CommandError
    from otel_agents.export import inventory, leftovers

    root = leftovers.root_of(settings)
    found = [one for one in inventory.contents(root) if key is None or one.key == key]
    if key is not None and not found:
        raise CommandError(f"{key} is no destination in {root}; `otel-agents spool show` lists them")
    return found


def _print(one: Contents) -> None:
    from otel_agents.cli.output import counted

    where = one.destination
    name = f"{where.kind} {where.address} {where.project}".strip() if where else "unknown"
    print(f"{one.key}  {name}")
    for state in ("in use", "left", "damaged", "newer"):
        files = [file for file in one.files if file.state == state]
        if not files:
            continue
        oldest = min((file.oldest for file in files if file.oldest), default=None)
        age = f", oldest {_ago(oldest)}" if oldest else ""
        counts = Counter(dict.fromkeys(_KINDS.values(), 0))
        for file in files:
            counts[_KINDS.get(file.kind, file.kind)] += file.count
        what = " and ".join(counted(count, name) for name, count in counts.items() if count)
        what = what or "nothing readable"
        size = sum(file.size for file in files)
        print(f"  {state:<8} {counted(len(files), 'file')}, {what}, {size / 1024:.0f} KiB{age}")
    for letter in one.dead[-_LISTED:]:
        print(f"  refused  {letter.name} ({letter.trace_id} {letter.span_id}): {letter.message}")
    if len(one.dead) > _LISTED:
        print(f"  refused  and {len(one.dead) - _LISTED} earlier ones")


def _ago(at: float) -> str:
    seconds = max(time.time() - at, 0.0)
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def _as_json(one: Contents) -> dict[str, Any]:
    where = one.destination
    return {
        "key": one.key,
        "destination": None
        if where is None
        else {"kind": where.kind, "address": where.address, "project": where.project},
        "files": [
            {
                "path": str(file.path),
                "kind": file.kind,
                "state": file.state,
                "count": file.count,
                "bytes": file.size,
                "oldest": file.oldest,
            }
            for file in one.files
        ],
        "refused": [
            {
                "path": str(letter.path),
                "name": letter.name,
                "trace_id": letter.trace_id,
                "span_id": letter.span_id,
                "reason": letter.reason,
                "message": letter.message,
                "at": letter.at,
            }
            for letter in one.dead
        ],
    }


def _retry_others(settings: Settings, everything: Sequence[Contents]) -> int:
    """Sends scores, events and last metrics that were left; answers how many are left."""
    from otel_agents.cli.output import counted
    from otel_agents.export import kept_logs, last_metrics
    from otel_agents.langfuse import scores

    outlets: dict[str, tuple[Destination, Callable[[], Any]] | None] = {
        "scores": scores.outlet(settings),
        "logs": kept_logs.outlet(settings),
        "metrics": last_metrics.outlet(settings),
    }
    still = 0
    for kind, outlet in outlets.items():
        if outlet is None:
            continue
        destination, connect = outlet
        found = [one for one in everything if one.key == destination.key]
        if not any((file.kind, file.state) == (kind, "left") for one in found for file in one.files):
            continue
        sender: Sender = last_metrics.WholeRequests(connect()) if kind == "metrics" else connect()
        try:
            delivered, left = _retry_files(found, kind, sender)
        finally:
            sender.close()
        still += left
        print(f"delivered {counted(delivered, _KINDS[kind])} to {destination.address}")
    return still


def _retry_files(found: Sequence[Contents], kind: str, sender: Sender) -> tuple[int, int]:
    """Sends what was left of a kind; answers how many were delivered and how many are left."""
    from otel_agents.export import dead_letters, leftovers
    from otel_agents.export.delivery import deliver

    delivered = left = 0
    for file in (file for one in found for file in one.files):
        if file.kind != kind or file.state != "left":
            continue
        spool = leftovers.adopt(file.path, partial(_say_lost, file.path.name))
        if spool is None:
            continue
        try:
            while batch := spool.front(1 if kind == "metrics" else 256, 3 * 1024**2):
                report = deliver(sender, batch, doubtful=True)
                for entry, answer in report.refused:
                    if kind == "spans":
                        dead_letters.write(file.path.parent, entry, answer.reason, answer.message)
                    else:
                        print(f"{file.path.name}: refused for good: {answer.message}")
                decided = [*report.delivered, *(entry for entry, _ in report.refused)]
                spool.remove([entry.row for entry in decided if entry.row is not None])
                delivered += len(report.delivered) - report.rejected
                if report.problem is not None:
                    print(f"{file.path.name}: {report.problem.message}")
                    if not report.delivered:
                        break
                    spool.put_aside(report.left)
            left += spool.count
        finally:
            spool.close()
    return delivered, left


def _say_lost(name: str, count: int, reason: str) -> None:
    print(f"{name}: {count} more spans are lost: {reason}")


def _retry_dead(found: Sequence[Contents], sender: Sender) -> tuple[int, int]:
    """Sends what was refused again, as it is; answers how many were delivered and how many not."""
    from otel_agents.export.delivery import deliver

    letters = [letter for one in found for letter in one.dead]
    taken: set[Entry] = set()
    for start in range(0, len(letters), 64):
        taken.update(deliver(sender, [letter.entry for letter in letters[start : start + 64]]).delivered)
    for letter in letters:
        if letter.entry in taken:
            letter.path.unlink(missing_ok=True)
    return len(taken), len(letters) - len(taken)
