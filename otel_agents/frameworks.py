"""Which installed instrumentors are enabled for agent frameworks, and why the others are not.

Frameworks know what the wire cannot show: agents, workflows, tools. The maintained instrumentors that
are installed give that structure; model calls are counted by the wire, so instrumentors of provider
SDKs are left out. An instrumentor imports its framework, so it is enabled when the app does that.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

import wrapt

from otel_agents import uninstrumented

logger = logging.getLogger(__name__)

_GROUP: Final = "opentelemetry_instrumentor"
_DISABLED: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
_OFFICIAL: Final = "opentelemetry-instrumentation-genai-"
_OPENINFERENCE: Final = "openinference-instrumentation-"

#: SDKs of model providers, as the names of their instrumentors end.
_PROVIDERS: Final = frozenset(
    {"openai", "anthropic", "google-genai", "vertexai", "mistralai", "groq", "cohere", "ollama", "together",
     "litellm", "portkey", "openai-v2"}
)  # fmt: skip

#: Framework → modules whose import shows that the app uses it. The first is the framework itself; the
#: rest are imported from inside of which it may be, when it is too early to touch it.
_MODULES: Final = {
    "langchain": (
        "langchain_core", "langgraph.graph", "langgraph.prebuilt", "langgraph.func", "langgraph.pregel",
        "langchain.agents", "langchain",
    ),
    "openai-agents": ("agents",),
    "bedrock": ("boto3",),
    "agno": ("agno.agent", "agno"),
    "crewai": ("crewai",),
    "llama-index": ("llama_index.core",),
    "dspy": ("dspy",),
    "google-adk": ("google.adk",),
    "smolagents": ("smolagents",),
    "autogen": ("autogen",),
    "autogen-agentchat": ("autogen_agentchat.agents", "autogen_agentchat"),
    "claude-agent-sdk": ("claude_agent_sdk",),
}  # fmt: skip

#: Where OpenInference is the maintained choice when no official instrumentor is installed.
_OPENINFERENCE_FRAMEWORKS: Final = frozenset(_MODULES) - {"bedrock"}

#: Frameworks with tracing of their own: module, and what it takes to switch it on.
_NATIVE: Final = {
    "pydantic-ai": ("pydantic_ai", "traces itself; switched on when it is imported"),
    "strands": ("strands", "traces itself"),
    "mcp": ("mcp", "traces itself and carries the context in `_meta`"),
}


@dataclass(frozen=True, slots=True)
class Found:
    """One installed instrumentor, framework that traces itself, or framework without an instrumentor.

    Attributes:
        name: of the entry point, as ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`` lists it.
        package: the distribution that has it, with its version.
        enabled: whether ``instrument()`` enables it, once its framework is imported.
        reason: why, in a few words.
        redundant: it would make a second span of every model call.
        missing: the framework is installed, and nothing that shows its runs.
    """

    name: str
    package: str
    enabled: bool
    reason: str
    redundant: bool = False
    missing: bool = False


def disabled() -> frozenset[str]:
    """Names in ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS``; ``*`` stands for all."""
    return frozenset(name.strip() for name in os.environ.get(_DISABLED, "").split(",") if name.strip())


def is_disabled(name: str) -> bool:
    """Whether the user has disabled the instrumentation ``name``."""
    names = disabled()
    return name in names or "*" in names


def survey() -> list[Found]:
    """Everything installed that could be enabled, with the decision. Imports nothing of it."""
    found = [judgement for _, judgement in _judged()]
    found.extend(_native())
    found.extend(_missing())
    return sorted(found, key=lambda one: (not one.enabled, one.name, one.package))


_registered: set[str] = set()
#: Instrumentation scopes of what was enabled here: the modules of the instrumentors.
scopes: set[str] = set()


def enable_frameworks() -> None:
    """Has the chosen instrumentors enabled when their frameworks are imported. Calling it again is free."""
    for entry_point, judgement in _judged():
        if judgement.enabled and _package(entry_point) not in _OURS:
            _when_imported(entry_point)
    if "pydantic_ai" not in _registered and not is_disabled("pydantic_ai"):
        _registered.add("pydantic_ai")
        wrapt.register_post_import_hook(_switch_on_pydantic_ai, "pydantic_ai")


def enable_for_loader(entry_point: EntryPoint, **arguments: Any) -> None:
    """Enables an instrumentor that ``opentelemetry-instrument`` found, unless it repeats the wire.

    Raises:
        ImportError: what it instruments is not installed; the loader knows that case.
    """
    judgement = _judge(entry_point, _official(list(entry_points(group=_GROUP))))
    if judgement.redundant:
        logger.info("otel-agents: %s is left out: %s", judgement.name, judgement.reason)
    elif _package(entry_point) == _SYSTEM:
        if judgement.enabled:
            from otel_agents.process_metrics import measure_process

            measure_process()
    elif judgement.enabled and _package(entry_point) not in _OURS:
        _when_imported(entry_point)
    else:
        try:
            _enable(entry_point, **arguments)
        except ImportError:
            raise
        except Exception as error:
            _tell(entry_point.name, error)


def _when_imported(entry_point: EntryPoint) -> None:
    if entry_point.value in _registered:
        return
    _registered.add(entry_point.value)
    framework = _framework(entry_point)
    modules = _MODULES.get(framework, (framework.replace("-", "_"),))
    for module in modules:
        wrapt.register_post_import_hook(partial(_imported, entry_point, modules), module)


def _judged() -> Iterator[tuple[EntryPoint, Found]]:
    installed = list(entry_points(group=_GROUP))
    official = _official(installed)
    for one in installed:
        if one.name != "otel_agents":
            yield one, _judge(one, official)


def _official(installed: list[EntryPoint]) -> dict[str, str]:
    """Framework → official instrumentor that fits what is installed."""
    return {
        _framework(one): _package(one)
        for one in installed
        if _package(one).startswith(_OFFICIAL) and not is_disabled(one.name) and _conflict(one) is None
    }


def _judge(entry_point: EntryPoint, official: dict[str, str]) -> Found:
    package, framework = _package(entry_point), _framework(entry_point)
    version = entry_point.dist.version if entry_point.dist is not None else ""

    def decided(enabled: bool, reason: str, redundant: bool = False) -> Found:
        return Found(entry_point.name, f"{package} {version}".strip(), enabled, reason, redundant)

    if is_disabled(entry_point.name):
        return decided(False, f"disabled by {_DISABLED}")
    if package in _OURS:
        return decided(True, "part of otel-agents")
    generative = package.startswith((_OFFICIAL, _OPENINFERENCE, "opentelemetry-instrumentation-"))
    if generative and framework in _PROVIDERS:
        return decided(False, "provider SDK: its calls are seen and counted on the wire", redundant=True)
    if not package.startswith((_OFFICIAL, _OPENINFERENCE)):
        return decided(False, "no agent framework; opentelemetry-instrument enables it")
    if conflict := _conflict(entry_point):
        return decided(False, conflict)
    if package.startswith(_OFFICIAL):
        return decided(True, "official instrumentor")
    if framework in official:
        return decided(False, f"{official[framework]} does the same", redundant=True)
    if framework in _OPENINFERENCE_FRAMEWORKS:
        return decided(True, "OpenInference: no official instrumentor is installed")
    return decided(False, "the framework traces itself, or this instrumentor is not tested with otel-agents")


#: Enabled by ``instrument()`` itself.
_SYSTEM: Final = "opentelemetry-instrumentation-system-metrics"
_OURS: Final = frozenset(
    {"opentelemetry-instrumentation-httpx", "opentelemetry-instrumentation-threading", _SYSTEM}
)


def _native() -> Iterator[Found]:
    from importlib.metadata import PackageNotFoundError, version
    from importlib.util import find_spec

    for name, (module, how) in _NATIVE.items():
        if find_spec(module) is None:
            continue
        for package in (name, f"{name}-slim", f"{name}-agents"):
            try:
                label = f"{package} {version(package)}"
                break
            except PackageNotFoundError:
                label = name
        off = name == "pydantic-ai" and is_disabled("pydantic_ai")
        yield Found(module, label, not off, f"disabled by {_DISABLED}" if off else how)


def _missing() -> Iterator[Found]:
    instrumented = {_framework(one) for one in entry_points(group=_GROUP)}
    for framework, package, instrumentor in uninstrumented.missing(instrumented):
        if not is_disabled(framework):
            how = f"its model calls are seen, its runs are not; pip install '{instrumentor}[instruments]'"
            yield Found(framework, package, False, how, missing=True)


def _package(entry_point: EntryPoint) -> str:
    return entry_point.dist.name.lower().replace("_", "-") if entry_point.dist is not None else ""


def _framework(entry_point: EntryPoint) -> str:
    package = _package(entry_point)
    for prefix in (_OFFICIAL, _OPENINFERENCE, "opentelemetry-instrumentation-"):
        if package.startswith(prefix):
            return package.removeprefix(prefix)
    return package


def _conflict(entry_point: EntryPoint) -> str | None:
    """Why the instrumentor does not fit what is installed, as it says itself."""
    from opentelemetry.instrumentation.dependencies import get_dist_dependency_conflicts

    if entry_point.dist is None:
        return None
    try:
        conflict = get_dist_dependency_conflicts(entry_point.dist)
    except Exception:
        return "its requirements cannot be read"
    if conflict is None:
        return None
    found = getattr(conflict, "found", None)
    if (
        found is None
        and _package(entry_point).startswith(_OPENINFERENCE)
        and _is_there(_framework(entry_point))
    ):
        return (
            None  # it lists several packages that it can instrument, and OpenTelemetry takes them for needed
        )
    required = getattr(conflict, "required", None)
    choices = [required] if required else getattr(conflict, "required_any", None) or ()
    # Behind the semicolon: which extra it belongs to.
    wanted = " or ".join(str(one).partition(";")[0] for one in choices)
    return f"needs {wanted}, found {found or 'nothing'}"


def _is_there(framework: str) -> bool:
    from importlib.util import find_spec

    modules = _MODULES.get(framework, (framework.replace("-", "_"),))
    return any(find_spec(module.partition(".")[0]) is not None for module in modules)


def _imported(entry_point: EntryPoint, modules: tuple[str, ...], imported: Any) -> None:
    families = {name.partition(".")[0] for name in modules}
    if any(
        name.partition(".")[0] in families
        and module is not imported
        and getattr(getattr(module, "__spec__", None), "_initializing", False)
        for name, module in list(sys.modules.items())
    ):
        return  # halfway through an import of the framework; the module that it began with comes later
    try:
        _enable(entry_point, skip_dep_check=True, **_privately(entry_point))
    except Exception as error:
        _tell(entry_point.name, error)


def _enable(entry_point: EntryPoint, **arguments: Any) -> None:
    instrumentor = entry_point.load()()
    if not getattr(instrumentor, "is_instrumented_by_opentelemetry", False):
        instrumentor.instrument(**arguments)
        scopes.add(entry_point.value.partition(":")[0])


def _privately(entry_point: EntryPoint) -> dict[str, Any]:
    """OpenInference shows all content unless told not to; the official ones do as OTel's variable says."""
    from otel_agents import runtime

    if not _package(entry_point).startswith(_OPENINFERENCE):
        return {}
    if runtime.current().settings.capture in ("all", "messages"):
        return {}
    return {"config": _hiding_everything()}


def _hiding_everything() -> Any:
    """OpenInference's configuration with every switch that hides something, and what no switch hides."""
    from openinference.instrumentation import TraceConfig  # type: ignore[import-not-found, unused-ignore]

    class Hidden(TraceConfig):  # type: ignore[misc, unused-ignore]
        def mask(self, key: str, value: Any, **keywords: Any) -> Any:
            if key.startswith("llm.prompt_template."):
                return None
            return super().mask(key, value, **keywords)

    shown = "hide_llm_invocation_parameters"  # temperature and the like
    names = (one.name for one in fields(TraceConfig))
    switches = [name for name in names if name.startswith("hide_") and name != shown]
    return Hidden(**dict.fromkeys(switches, True))


def _switch_on_pydantic_ai(module: Any) -> None:
    try:
        from pydantic_ai.models.instrumented import (  # type: ignore[import-not-found, unused-ignore]
            InstrumentationSettings,
        )

        from otel_agents import runtime

        content = runtime.current().settings.capture in ("all", "messages")
        module.Agent.instrument_all(InstrumentationSettings(include_content=content))
    except Exception as error:
        _tell("pydantic_ai", error)


def _tell(name: str, error: Exception) -> None:
    logger.warning("otel-agents: %s could not be instrumented: %s: %s", name, type(error).__name__, error)
    logger.debug("otel-agents: the instrumentor %s failed", name, exc_info=error)
