"""``otel-agents convert``: recorded telemetry of any dialect in the words of the GenAI conventions."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def add(app: typer.Typer) -> None:
    """Registers the command."""
    app.command("convert")(convert)


def convert(
    files: Annotated[
        list[Path], typer.Argument(help="OTLP as JSON, JSON lines or protobuf; - reads standard input.")
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write here instead.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the original attributes as well.")] = False,
) -> None:
    """Rewrite recorded spans, logs and metrics; prints one OTLP JSON object a signal, one a line."""
    from otel_agents.cli.errors import CommandError
    from otel_agents.normalize.otlp_files import requests
    from otel_agents.normalize.otlp_json import SIGNALS, rewrite

    merged: dict[str, list[Any]] = {key: [] for key in SIGNALS.values()}
    read = changed = 0
    for path in files:
        for request in requests(_read(path), lambda why, path=path: _skipped(path, why)):  # type: ignore[misc]
            read += 1
            changed += rewrite(request, "keep" if keep else "on")
            for key, resources in merged.items():
                if isinstance(request.get(key), list):
                    resources += request[key]
    if not read:
        raise CommandError("nothing to convert: none of the files holds OTLP")
    try:
        with _opened(output) as out:
            for key, resources in merged.items():
                if resources:
                    # Escaped where it is not ASCII: a terminal's encoding is nobody's business here.
                    out.write(json.dumps({key: resources}, separators=(",", ":")) + "\n")
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"{output} cannot be written ({error.strerror}); give another --output") from None
    if output is not None:
        print(f"{output}: {changed} spans, log records and data points rewritten", file=sys.stderr)


def _read(path: Path) -> bytes:
    from otel_agents.cli.errors import CommandError

    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path} cannot be read ({error.strerror}); give a file of OTLP") from None


def _skipped(path: Path, why: str) -> None:
    print(f"warning: {path}: {why}; skipped", file=sys.stderr)


def _opened(output: Path | None) -> AbstractContextManager[TextIO]:
    return nullcontext(sys.stdout) if output is None else output.open("w", encoding="utf-8")
