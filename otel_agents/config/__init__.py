"""Where each setting's value comes from.

Sources, strongest first: arguments, environment, ``.env`` in the working folder, default. A variable of
OpenTelemetry's own that cannot be read is ignored with a warning, as its specification asks; a bad value
in ours, in Langfuse's or in an argument is a :class:`ConfigError`. The settings themselves are declared
in ``settings``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from otel_agents.config import values as values
from otel_agents.config.settings import DEFAULT_LANGFUSE_URL, Declared, Otlp, Settings, table

__all__ = [
    "DEFAULT_LANGFUSE_URL",
    "ConfigError",
    "Declared",
    "Otlp",
    "Settings",
    "export_dotenv",
    "resolve",
    "table",
]


class ConfigError(Exception):
    """A setting that cannot be used. The text is one line: which setting, what is wrong, what to do."""


def resolve(
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    dotenv: Path | str | bool | None = None,
) -> Settings:
    """Settings from arguments, environment, ``.env`` and defaults, in this order.

    Args:
        overrides: arguments by field name; None values count as not given.
        environ: the environment, ``os.environ`` by default.
        dotenv: a file to read; False reads none; None asks ``OTEL_AGENTS_DOTENV`` (a path, or ``off``)
            and else takes ``.env`` of the working folder when there is one.

    Raises:
        ConfigError: one line that names the setting and says what to do.
    """
    environ = os.environ if environ is None else environ
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    if unknown := given.keys() - table().keys():
        raise ConfigError(f"{min(unknown)!r} is not a setting; `otel-agents config` lists them")
    file_label, file_values = _read_dotenv(environ, dotenv)
    found: dict[str, Any] = {}
    origins: dict[str, str] = {}
    warnings: list[str] = []
    for name, declared in table().items():
        if name in given:
            found[name] = _parse(declared.parse, given[name], f"argument {name}", "", declared.secret)
            origins[name] = "argument"
            continue
        for label, variables in (("environment", environ), (file_label, file_values)):
            value, variable = _from_variables(declared, label, variables, warnings)
            if variable:
                found[name] = value
                origins[name] = f"{label} {variable}"
                break
        else:
            origins[name] = "default"
    return _finish(Settings(**found, origins=origins), tuple(dict.fromkeys(warnings)))


def export_dotenv(
    environ: MutableMapping[str, str] | None = None, dotenv: Path | str | bool | None = None
) -> tuple[str, ...]:
    """Puts ``.env``'s unset ``OTEL_*`` and ``LANGFUSE_*`` variables into the environment.

    The OTel SDK and child processes read those themselves. Returns the names that were set.

    Raises:
        ConfigError: when the file cannot be read.
    """
    environ = os.environ if environ is None else environ
    _, found = _read_dotenv(environ, dotenv)
    names = tuple(
        name
        for name in found
        if name.startswith(("OTEL_", "LANGFUSE_")) and not environ.get(name, "").strip()
    )
    for name in names:
        environ[name] = found[name]
    return names


def _from_variables(
    declared: Declared, label: str, variables: Mapping[str, str], warnings: list[str]
) -> tuple[Any, str]:
    """The first of the setting's variables that says something: its value and name, or None and ''."""
    for source in declared.sources:
        text = variables.get(source.name, "")
        if not text.strip():  # OTel: an empty variable is an unset one
            continue
        where = "" if label == "environment" else f" in {label}"
        try:
            value = _parse(source.parse, text, source.name, where, declared.secret)
        except ConfigError as error:
            if not source.name.startswith("OTEL_") or source.name.startswith("OTEL_AGENTS_"):
                raise
            warnings.append(f"{error}; ignored")
            continue
        if value is not values.UNSET:
            return value, source.name
    return None, ""


def _parse(parse: values.Parser, value: object, what: str, where: str, secret: bool) -> Any:
    try:
        return parse(value)
    except ValueError as error:
        shown = "" if secret else f", not {_short(value)}"
        raise ConfigError(f"{what}{where} {error}{shown}") from None


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _read_dotenv(
    environ: Mapping[str, str], dotenv: Path | str | bool | None
) -> tuple[str, Mapping[str, str]]:
    if dotenv is None or dotenv is True:
        dotenv = environ.get("OTEL_AGENTS_DOTENV", "").strip() or None
        if dotenv is not None and dotenv.lower() in ("off", "false", "0", "no", "none"):
            dotenv = False
    if isinstance(dotenv, bool):
        return ".env", {}
    path = Path(".env") if dotenv is None else Path(dotenv).expanduser()
    what = "point OTEL_AGENTS_DOTENV at a readable file, or set it to off"
    try:
        content = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if dotenv is None:
            return ".env", {}
        raise ConfigError(f"{path} does not exist; {what}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text; {what}") from None
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise ConfigError(f"{path} cannot be read ({reason}); {what}") from None
    from io import StringIO  # both only when there is a file

    from dotenv import dotenv_values

    found = dotenv_values(stream=StringIO(content))
    return str(path), {name: value for name, value in found.items() if value is not None}


def _finish(settings: Settings, warnings: tuple[str, ...]) -> Settings:
    """What depends on several settings: the mode, and what OTel's capture variable may not override."""
    changes: dict[str, Any] = {}
    if settings.capture == "none" and settings.capture_events:
        changes["capture_events"] = False
    public, secret = settings.langfuse_public_key, settings.langfuse_secret_key
    if settings.enabled:
        changes["mode"], reason = _mode(settings)
        if settings.origins["mode"] == "default" or settings.mode == "auto":
            changes["origins"] = {**settings.origins, "mode": reason}
        if changes["mode"] == "disabled" and settings.origins["mode"] == "default":
            warnings += (
                "nothing says where telemetry goes, so none is sent: set OTEL_EXPORTER_OTLP_ENDPOINT, or "
                "LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY",
            )
    else:
        changes["mode"] = "disabled"
        changes["origins"] = {**settings.origins, "mode": "not enabled"}
    if changes["mode"] == "direct":
        if (public or "").startswith("sk-lf-") or (secret or "").startswith("pk-lf-"):
            raise ConfigError(
                "LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY are swapped; exchange their values"
            )
    elif changes["mode"] == "collector":
        endpoint = settings.otlp_traces_endpoint or settings.otlp_endpoint or ""
        protocol = settings.otlp_traces_protocol or settings.otlp_protocol
        if endpoint.endswith(":4317") and protocol == "http/protobuf":
            warnings += (
                f"{endpoint} is usually a gRPC port but OTEL_EXPORTER_OTLP_PROTOCOL is http/protobuf; "
                "set it to grpc, or use port 4318",
            )
    return replace(settings, **changes, warnings=warnings)


def _mode(settings: Settings) -> tuple[str, str]:
    """Collector, direct or disabled, and the reason."""
    asked = settings.mode if settings.origins["mode"] != "default" else "auto"
    keys = {
        "LANGFUSE_PUBLIC_KEY": settings.langfuse_public_key,
        "LANGFUSE_SECRET_KEY": settings.langfuse_secret_key,
    }
    missing = [name for name, value in keys.items() if not value]
    if asked == "auto":
        if settings.otlp_endpoint or settings.otlp_traces_endpoint:
            return "collector", "an OTLP endpoint is set"
        if settings.traces_exporter == "otlp" and settings.origins["traces_exporter"] != "default":
            return "collector", "OTEL_TRACES_EXPORTER is otlp"
        if not missing:
            return "direct", "both Langfuse keys are set"
        if len(missing) == 2 and (settings.otlp_metrics_endpoint or settings.otlp_logs_endpoint):
            return "collector", "an OTLP endpoint is set"
        if len(missing) == 2:
            return "disabled", "nothing is set"
    elif asked != "direct" or not missing:
        return asked, settings.origins["mode"]
    if len(missing) == 2:
        raise ConfigError("OTEL_AGENTS_MODE is direct: set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY")
    raise ConfigError(
        f"{missing[0]} is not set but the other key is; set both, or OTEL_EXPORTER_OTLP_ENDPOINT"
    )
