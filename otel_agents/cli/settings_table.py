"""The table of settings as people read it: ``.env.example``, docs/configuration.md, and what is in force."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from otel_agents.config import Declared, Settings, table

_HEADER = """\
# Settings of otel-agents. Copy this file to .env in the folder you start your app in, and take the # off
# the lines you want. Arguments of configure() and the environment win over .env; every line shows the
# default, or an example where there is none. OTEL_AGENTS_DOTENV names another file, or is off.
# Written by `otel-agents config --example`.
"""

_DOCS_HEADER = """\
# Settings

Every setting, with the environment variables it is read from (the first one that is set wins), its name
as an argument of `configure()`, and its default. Sources, strongest first: arguments, environment, `.env`
in the working folder (`OTEL_AGENTS_DOTENV` names another file, or is `off`), default. `otel-agents config`
prints what is in force and where each value came from.

A bad value in a variable of OpenTelemetry's own is ignored with a warning, as its specification asks; in
ours, in Langfuse's and in arguments it is an error that names the setting.

This page is written by `otel-agents config --docs`.
"""


class Row(NamedTuple):
    """One setting in force."""

    group: str
    name: str
    value: str
    origin: str


def rows(settings: Settings) -> list[Row]:
    """Every setting in force, secrets masked."""
    return [
        Row(
            declared.group,
            name,
            shown(getattr(settings, name), declared),
            settings.origins.get(name, "default"),
        )
        for name, declared in table().items()
    ]


def shown(value: object, declared: Declared) -> str:
    """A value as text. Of a secret only a well-known prefix is shown, of headers the names."""
    if isinstance(value, Mapping):
        return ",".join(f"{name}={'****' if declared.secret else one}" for name, one in value.items())
    if value is None:
        return ""
    if declared.secret:
        return next((f"{prefix}****" for prefix in ("sk-lf-",) if str(value).startswith(prefix)), "****")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        return ",".join(str(one) for one in value)
    if isinstance(value, str) and "@" in value and "://" in value:
        return _without_password(value)
    return str(value)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(
        parts._replace(netloc=f"{user.partition(':')[0]}:****@{host}" if ":" in user else parts.netloc)
    )


def defaults() -> dict[str, Any]:
    """Each setting's default by name."""
    found: dict[str, Any] = {}
    for one in fields(Settings):
        if "declared" not in one.metadata:
            continue
        factory = one.default_factory
        found[one.name] = one.default if factory is MISSING else factory()
    return found


def example() -> str:
    """The text of ``.env.example``."""
    return _HEADER + "".join(_example_lines())


def _example_lines() -> Iterator[str]:
    group = ""
    for name, declared in table().items():
        if declared.group != group:
            group = declared.group
            yield f"\n# --- {group} {'-' * (95 - len(group))}\n"
        yield from (f"# {line}\n" for line in textwrap.wrap(declared.help, 100))
        if len(declared.sources) > 1:
            yield f"# (also from {', '.join(source.name for source in declared.sources[1:])})\n"
        yield f"# {declared.sources[0].name}={_sample(name, declared)}\n"


def _sample(name: str, declared: Declared) -> str:
    default = defaults()[name]
    return declared.example or ("" if isinstance(default, Path) else shown(default, declared))


def markdown() -> str:
    """The text of docs/configuration.md."""
    return _DOCS_HEADER + "".join(_markdown_lines())


def _markdown_lines() -> Iterator[str]:
    group = ""
    for name, declared in table().items():
        if declared.group != group:
            group = declared.group
            yield f"\n## {group}\n\n| Variable | Argument | Default | Meaning |\n| --- | --- | --- | --- |\n"
        variables = ", ".join(f"`{source.name}`" for source in declared.sources)
        meaning = declared.help.replace("|", "\\|")
        yield f"| {variables} | `{name}` | {_default_cell(name, declared)} | {meaning} |\n"


def _default_cell(name: str, declared: Declared) -> str:
    default = defaults()[name]
    if isinstance(default, Path):  # depends on the machine
        return f"`{declared.example}`"
    if name in ("enabled", "mode"):  # the variable is the other way round; the mode follows from others
        return f"`{declared.example}`"
    if declared.sources[0].name in _IN_MILLISECONDS:
        return f"`{declared.example}` (argument in seconds: {default:g})"
    text = shown(default, declared)
    return f"`{text}`" if text else ""


_IN_MILLISECONDS = frozenset(
    {
        "OTEL_METRIC_EXPORT_INTERVAL",
        "OTEL_BSP_SCHEDULE_DELAY",
        "OTEL_BSP_EXPORT_TIMEOUT",
    }
)
