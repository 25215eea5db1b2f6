"""``otel-agents instrumentations``: what is installed, what is made of it, and why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

COMMAND = Path(sys.executable).with_name("otel-agents")

#: Distribution, entry point, framework module that is there.
INSTALLED = [
    ("opentelemetry-instrumentation-genai-openai", "openai"),
    ("opentelemetry-instrumentation-genai-agno", "agno"),
    ("openinference-instrumentation-agno", "agno"),
    ("openinference-instrumentation-dspy", "dspy"),
    ("openinference-instrumentation-anthropic", "anthropic"),
    ("openinference-instrumentation-guardrails", "guardrails"),
    ("opentelemetry-instrumentation-flask", "flask"),
]


def install(folder: Path) -> None:
    for number, (name, entry) in enumerate(INSTALLED):
        info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            f"[opentelemetry_instrumentor]\n{entry} = instrumentor_{number}:Instrumentor\n"
        )
        (folder / f"instrumentor_{number}.py").write_text(
            "class Instrumentor:\n"
            "    def instrument(self, **kwargs):\n"
            f"        print('enabled', {name!r}) if {entry!r} != 'dspy' else 1 / 0\n"
        )
    for module in ("agno", "dspy"):
        (folder / f"{module}.py").touch()


def run(folder: Path, *command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(folder), "OTEL_AGENTS_DOTENV": "off", **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def survey(folder: Path, **env: str) -> dict[str, tuple[bool, str]]:
    shown = json.loads(run(folder, COMMAND, "instrumentations", "--json", **env).stdout)
    return {one["package"].removesuffix(" 1.0"): (one["enabled"], one["reason"]) for one in shown}


def test_what_is_enabled_and_why(tmp_path: Path) -> None:
    install(tmp_path)
    found = survey(tmp_path)
    expected = {
        "opentelemetry-instrumentation-genai-openai": (False, "counted on the wire"),
        "openinference-instrumentation-anthropic": (False, "counted on the wire"),
        "opentelemetry-instrumentation-genai-agno": (True, "official instrumentor"),
        "openinference-instrumentation-agno": (
            False,
            "genai-agno does the same",
        ),
        "openinference-instrumentation-dspy": (True, "no official instrumentor"),
        "openinference-instrumentation-guardrails": (False, "not tested"),
        "opentelemetry-instrumentation-flask": (False, "opentelemetry-instrument enables it"),
    }
    for package, (enabled, reason) in expected.items():
        assert found[package][0] is enabled, package
        assert reason in found[package][1], package


def test_disabled_by_name(tmp_path: Path) -> None:
    install(tmp_path)
    found = survey(tmp_path, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="dspy, httpx")
    name = "openinference-instrumentation-dspy"
    assert found[name] == (False, "disabled by OTEL_PYTHON_DISABLED_INSTRUMENTATIONS")
    assert survey(tmp_path)[name][0]


def test_a_framework_without_an_instrumentor_is_named_with_one(tmp_path: Path) -> None:
    for name in ("langchain_core", "smolagents", "agno"):
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    install(tmp_path)  # agno's is among them
    lines = run(
        tmp_path, COMMAND, "instrumentations", OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="smolagents"
    ).stdout.splitlines()
    [line] = [line for line in lines if " missing " in line]
    assert line.split()[:3] == ["langchain", "langchain-core", "1.0"]
    assert line.endswith("pip install 'opentelemetry-instrumentation-genai-langchain[instruments]'")


def test_what_an_instrumentor_misses_is_named(tmp_path: Path) -> None:
    install(tmp_path)
    info = tmp_path / "opentelemetry_instrumentation_genai_langchain-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: opentelemetry-instrumentation-genai-langchain\nVersion: 1.0\n"
        "Provides-Extra: instruments\n"
        'Requires-Dist: no-such-langchain<2; extra == "instruments"\n'
    )
    (info / "entry_points.txt").write_text("[opentelemetry_instrumentor]\nlangchain = x:Instrumentor\n")
    reason = survey(tmp_path)["opentelemetry-instrumentation-genai-langchain"]
    assert reason == (False, "needs no-such-langchain<2, found nothing")


def test_the_table(tmp_path: Path) -> None:
    install(tmp_path)
    lines = run(tmp_path, COMMAND, "instrumentations").stdout.splitlines()
    [line] = [line for line in lines if "genai-agno 1.0" in line]
    assert line.split() == [
        "agno", "opentelemetry-instrumentation-genai-agno", "1.0", "enabled", "official", "instrumentor",
    ]  # fmt: skip


def test_enabled_when_the_framework_is_imported(tmp_path: Path) -> None:
    install(tmp_path)
    code = "import otel_agents; otel_agents.instrument(); print('before'); import agno, dspy; print('after')"
    done = run(tmp_path, sys.executable, "-c", code, OTEL_AGENTS_CAPTURE_CONTENT="all")
    assert done.stdout.splitlines() == [
        "before",
        "enabled opentelemetry-instrumentation-genai-agno",
        "after",
    ], done.stderr
    [line] = done.stderr.splitlines()
    assert line == "otel-agents: dspy could not be instrumented: ZeroDivisionError: division by zero"
