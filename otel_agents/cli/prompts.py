"""``otel-agents prompts``: prompt files in git and prompt versions in Langfuse."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otel_agents.cli.periods import Since

if TYPE_CHECKING:
    from otel_agents.config import Settings
    from otel_agents.prompts.pushing import Change, Moved
    from otel_agents.prompts.server import PromptServer

_Files = Annotated[list[Path], typer.Argument(help="Prompt files, or folders with them.", show_default=False)]
_Name = Annotated[str, typer.Argument(help="Name of the prompt, with its folders.", show_default=False)]
_Label = Annotated[str, typer.Option("--label", help="The label to move.")]
_Format = Annotated[str, typer.Option("--format", help="table or json.")]


def add(app: typer.Typer) -> None:
    """Registers the command and its subcommands."""
    prompts = typer.Typer(no_args_is_help=True, help="Prompt files, and their versions in Langfuse.")
    for name, function in (
        ("list", list_prompts),
        ("push", push),
        ("diff", diff),
        ("pull", pull),
        ("promote", promote),
        ("rollback", rollback),
        ("compare", compare),
    ):
        prompts.command(name)(function)
    app.add_typer(prompts, name="prompts")


def list_prompts(
    name: Annotated[str | None, typer.Argument(help="Only this one.", show_default=False)] = None,
    label: Annotated[str | None, typer.Option("--label", help="Only those with this label.")] = None,
    form: _Format = "table",
) -> None:
    """List the project's prompts with their versions and labels."""
    from otel_agents.cli.output import one_of, print_table

    as_json = one_of("--format", form, ("table", "json")) == "json"
    found = _server().list(name, label)
    if as_json:
        rows = [
            {
                "name": one.name,
                "type": one.type,
                "versions": one.versions,
                "labels": one.labels,
                "tags": one.tags,
                "updated": one.updated.isoformat(),
            }
            for one in found
        ]
        print(json.dumps(rows, indent=2))
        return
    if not found:
        searched = " with that name or label" if name or label else ""
        print(f"no prompts{searched}; `otel-agents prompts push FILE` makes one")
        return
    print_table(
        ("prompt", "type", "versions", "labels", "updated"),
        [
            (
                one.name,
                one.type,
                _versions(one.versions),
                ", ".join(label for label in one.labels if label != "latest"),
                f"{one.updated:%Y-%m-%d %H:%M}",
            )
            for one in found
        ],
    )


def push(
    files: _Files,
    label: Annotated[list[str] | None, typer.Option("--label", help="Put this label on them, too.")] = None,
    message: Annotated[
        str | None, typer.Option("--message", "-m", help="Why; kept with new versions.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
) -> None:
    """Make new versions of the prompts whose content is new; the rest stays as it is."""
    from otel_agents.prompts import pushing

    server, changes = _changes(files, label or [])
    for change in changes:
        _print_change(change)
        if not dry_run:
            pushing.push(server, change, message)
    if dry_run:
        print("nothing was changed (--dry-run)", file=sys.stderr)


def diff(files: _Files) -> None:
    """Compare prompt files with the newest versions; exit status 1 when they differ."""
    _, changes = _changes(files, [])
    for change in changes:
        _print_change(change)
    if any(change.kind != "same" for change in changes):
        raise typer.Exit(1)


def pull(
    name: _Name,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it to this file.")] = None,
    version: Annotated[int | None, typer.Option("--version", help="This version.", min=1)] = None,
    label: Annotated[str | None, typer.Option("--label", help="The version with this label.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that has other content.")] = False,
) -> None:
    """Print a prompt as a prompt file, or write it to one; the newest version unless told otherwise."""
    from otel_agents.cli.errors import CommandError
    from otel_agents.prompts import files
    from otel_agents.prompts.content import LATEST

    if version is not None and label is not None:
        raise CommandError("--version and --label exclude each other; give one", 2)
    ask = {"version": version} if version is not None else {"label": label or LATEST}
    found = _server().get(name, **ask)
    content = files.write(found, output.suffix if output is not None else "")
    if output is None:
        sys.stdout.write(content)
        return
    try:
        known = output.read_text(encoding="utf-8") if output.exists() else None
        if known is not None and known != content and not force:
            raise CommandError(f"{output} exists with other content; --force overwrites it")
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(content, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(
            f"cannot write {output}: {getattr(error, 'strerror', None) or error}; choose another file"
        ) from None
    print(f"{output}: {name} version {found.version}")


def promote(
    name: _Name,
    version: Annotated[int, typer.Argument(help="Number of the version.", min=1, show_default=False)],
    label: _Label = "production",
) -> None:
    """Put a label on a version, taking it from the one that has it."""
    from otel_agents.prompts import pushing

    _print_moved(name, pushing.promote(_server(), name, version, label))


def rollback(name: _Name, label: _Label = "production") -> None:
    """Put a label back on the version before the one that has it."""
    from otel_agents.prompts import pushing

    _print_moved(name, pushing.rollback(_server(), name, label))


def compare(
    name: _Name,
    versions: Annotated[
        list[str] | None,
        typer.Argument(help="Numbers or labels, two or more; all versions by default.", show_default=False),
    ] = None,
    since: Since = "30d",
    form: _Format = "table",
) -> None:
    """Compare versions by cost, quality, latency and success, from the calls that used them."""
    from otel_agents.cli import project, prompt_figures
    from otel_agents.cli.output import one_of, print_table
    from otel_agents.cli.periods import moment
    from otel_agents.cli.progress import counting
    from otel_agents.langfuse.reading import LangfuseReader
    from otel_agents.prompts import figures

    as_json = one_of("--format", form, ("table", "json")) == "json"
    start = moment(since)
    settings = project.settings()
    numbers = _numbers(_server(settings), name, versions or [])
    with LangfuseReader.from_settings(settings) as reader, counting("observations and scores") as progress:
        rollup = reader.roll_up(since=start, progress=progress)
    found = figures.of_versions(rollup, name, numbers)
    if as_json:
        rows = [prompt_figures.as_json(one) for one in found]
        print(json.dumps({"prompt": name, "since": start.isoformat(), "versions": rows}, indent=2))
        return
    print_table(("", *(f"version {one.version}" for one in found)), prompt_figures.table(found))
    for note in prompt_figures.notes(found):
        print(note, file=sys.stderr)


def _server(settings: Settings | None = None) -> PromptServer:
    from otel_agents.cli import project
    from otel_agents.prompts.server import PromptServer

    return PromptServer(settings or project.settings())


def _numbers(server: PromptServer, name: str, given: list[str]) -> list[int]:
    """Version numbers for numbers (also ``v3``) and labels; all there are for none."""
    from otel_agents.prompts.content import PromptError

    known = server.versions(name)
    if not known:
        server.get(name)  # says that there is no such prompt
    found = []
    for one in given:
        digits = one.removeprefix("v")
        if not digits.isdigit():
            found.append(server.get(name, label=one).version or 0)
        elif int(digits) in known:
            found.append(int(digits))
        else:
            there = _versions(known)
            raise PromptError(f"prompt {name!r} has no version {digits}; it has the versions {there}")
    return list(dict.fromkeys(found)) or list(known)


def _changes(paths: list[Path], labels: list[str]) -> tuple[PromptServer, list[Change]]:
    """Every file beside the server, before anything is changed."""
    from otel_agents.prompts import files, pushing

    found = files.read_all(paths)
    server = _server()
    return server, [pushing.compare(server, prompt, labels) for _, prompt in found]


def _print_change(change: Change) -> None:
    print(change.summary)
    if change.text:
        from otel_agents.cli.output import print_diff

        print_diff(change.text)


def _print_moved(name: str, moved: Moved) -> None:
    if moved.before == moved.after:
        print(f"{name}: {moved.label} is on version {moved.after} already")
    elif moved.before is None:
        print(f"{name}: {moved.label} put on version {moved.after}")
    else:
        print(f"{name}: {moved.label} moved from version {moved.before} to {moved.after}")


def _versions(numbers: tuple[int, ...]) -> str:
    """``1-4, 6``."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][-1] == number - 1:
            spans[-1][1:] = [number]
        else:
            spans.append([number])
    return ", ".join("-".join(map(str, span)) for span in spans)
