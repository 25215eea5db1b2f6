"""What can be told without asking anybody: settings, instrumentations, what waits on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

from otel_agents.doctor.findings import Finding
from otel_agents.doctor.web import place

if TYPE_CHECKING:
    from otel_agents.doctor.subject import Subject

#: Packages that trace model calls by themselves once they are started.
_OTHER_TRACERS: Final = (
    "agentops",
    "arize-phoenix-otel",
    "ddtrace",
    "langtrace-python-sdk",
    "logfire",
    "openlit",
    "opik",
    "traceloop-sdk",
    "weave",
)
#: Variables that switch tracing on in libraries that are installed for another reason.
_SWITCHES: Final = ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2", "DD_TRACE_ENABLED")


def settings(subject: Subject, shown: Mapping[str, Mapping[str, str]]) -> Iterator[Finding]:
    """Where telemetry would go, and why.

    Args:
        shown: every setting with its ``value`` (secrets masked) and where it came ``from``.
    """
    found = subject.settings
    details = {name: dict(one) for name, one in shown.items() if one["from"] != "default"}
    if not found.enabled:
        yield Finding("settings", "fail", "OTEL_SDK_DISABLED is true: nothing is sent", "unset it", details)
    elif found.mode == "disabled":
        yield Finding(
            "settings",
            "fail",
            "nothing says where telemetry goes",
            "set OTEL_EXPORTER_OTLP_ENDPOINT, or LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY; or start the "
            "local stack by `otel-agents up`",
            details,
        )
    elif subject.adopted:
        yield Finding(
            "settings",
            "warn",
            "nothing is set here, so the local stack that runs in this home is examined",
            "give your app the variables that `otel-agents up` has printed",
            details,
        )
    else:
        yield Finding("settings", "ok", _where(subject, shown), details=details)
    if "/api/public/otel" in ((found.otlp("traces") or _NOWHERE).endpoint):
        yield Finding(
            "settings.endpoint",
            "fail",
            "OTEL_EXPORTER_OTLP_ENDPOINT is Langfuse itself, which needs more than plain OTLP",
            "unset it and set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY (direct mode), or name a Collector",
        )
    for warning in found.warnings:
        if found.mode != "disabled":  # said above
            said, _, fix = warning.partition("; ")
            yield Finding("settings.warning", "warn", said, fix or "see `otel-agents config`")


def files(subject: Subject) -> Iterator[Finding]:
    """Whether the files that settings name can be used: ``configure()`` refuses to start without them."""
    from otel_agents.accounting import contracts, plans
    from otel_agents.config import ConfigError

    found = subject.settings
    for check, path, load in (
        ("settings.prices", found.prices_file, contracts.load),
        ("settings.plans", found.plans_file, plans.load),
    ):
        if path is None:
            continue
        try:
            load(found)
        except ConfigError as error:
            text = f"{error}; apps with this setting record nothing"
            yield Finding(check, "fail", text, "correct the file, or unset the variable")
        else:
            yield Finding(check, "ok", f"{path} can be used")


class _Nowhere:
    endpoint = ""


_NOWHERE: Final = _Nowhere()


def _where(subject: Subject, shown: Mapping[str, Mapping[str, str]]) -> str:
    found = subject.settings
    mode = f"mode {found.mode} ({found.origins.get('mode', 'default')})"
    target = found.otlp("traces")
    where = place(target.endpoint if target is not None else found.langfuse_base_url)
    keys = [
        f"{name.removeprefix('langfuse_')} {shown[name]['value']} from {shown[name]['from']}"
        for name in ("langfuse_public_key", "langfuse_secret_key")
        if name in shown and shown[name]["from"] != "default"
    ]
    return "; ".join([mode, f"to {where}", *keys])


def instrumentations() -> Iterator[Finding]:
    """What is enabled, and whether something else would trace the same calls."""
    from otel_agents import frameworks

    found = frameworks.survey()
    enabled = [one.name for one in found if one.enabled]
    yield Finding(
        "instrumentations",
        "ok",
        f"{len(enabled)} enabled ({', '.join(enabled) or 'none'}), {len(found) - len(enabled)} left out; see "
        "`otel-agents instrumentations`",
        details={"enabled": enabled, "left_out": {one.name: one.reason for one in found if not one.enabled}},
    )
    if frameworks.is_disabled("otel_agents"):
        yield Finding(
            "instrumentations.disabled",
            "warn",
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS turns otel_agents off: model calls are not seen",
            "take otel_agents (or *) out of it",
        )
    others = [named for name in _OTHER_TRACERS if (named := _installed(name))]
    switched = [
        name
        for name in _SWITCHES
        if os.environ.get(name, "").strip().lower() in ("true", "1") and not _off(name)
    ]
    redundant = [one.package for one in found if one.redundant]
    details: dict[str, Any] = {"tracers": others, "switched_on": switched, "redundant": redundant}
    if others or switched:
        yield Finding(
            "double_instrumentation",
            "warn",
            f"{', '.join([*others, *switched])} can trace the same model calls",
            "let one of them do it: spans of theirs that pass otel-agents are completed, not repeated, but "
            "their own exporters send a second copy",
            details,
        )
        return
    left_out = f"; left out: {', '.join(redundant)}" if redundant else ""
    yield Finding("double_instrumentation", "ok", f"no other tracer is installed{left_out}", details=details)


def _off(name: str) -> bool:
    return name == "DD_TRACE_ENABLED" and _installed("ddtrace") == ""


def _installed(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return ""
