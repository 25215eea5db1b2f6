"""``otel-agents config``: what is shown, what is masked, and the files that are generated from the table."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from otel_agents.cli import main, settings_table
from otel_agents.config import resolve, table

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for declared in table().values():
        for source in declared.sources:
            monkeypatch.delenv(source.name, raising=False)


def test_env_example_is_the_generated_one() -> None:
    assert (ROOT / ".env.example").read_text() == settings_table.example(), (
        "run `otel-agents config --example > .env.example`"
    )


def test_docs_table_is_the_generated_one() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == settings_table.markdown(), (
        "run `otel-agents config --docs > docs/configuration.md`"
    )


def test_every_variable_is_in_the_example_and_in_the_docs() -> None:
    example, docs = settings_table.example(), settings_table.markdown()
    for declared in table().values():
        for source in declared.sources:
            assert source.name in example
            assert f"`{source.name}`" in docs


def test_every_variable_of_ours_that_the_code_names_is_declared() -> None:
    declared = {source.name for one in table().values() for source in one.sources}
    # Names the file to read settings from; and what the Collector's own file reads.
    known = {"OTEL_AGENTS_DOTENV", "OTEL_AGENTS_BRIDGE_ENDPOINT"}
    named = {
        name
        for file in (ROOT / "otel_agents").rglob("*.py")
        for name in re.findall(r"\bOTEL_AGENTS_[A-Z_]*[A-Z]\b", file.read_text())
    }
    assert named - declared - known == set()


def test_example_with_every_line_taken_in_can_be_resolved(tmp_path: Path) -> None:
    """A user may take the # off any line: no sample value is a bad one."""
    lines = [line[2:] for line in settings_table.example().splitlines() if _is_sample(line)]
    dotenv = tmp_path / "all.env"
    dotenv.write_text("\n".join(lines))
    settings = resolve(environ={}, dotenv=dotenv)
    assert settings.warnings == ()
    assert settings.service_name == "my-agents"


def _is_sample(line: str) -> bool:
    name = line[2:].partition("=")[0]
    return line.startswith("# ") and "=" in line and name.isupper() and " " not in name


def test_json_says_value_and_origin_and_masks_secrets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LANGFUSE_PUBLIC_KEY", "pk-lf-1")
    monkeypatch.setenv("LANGFUSE_SECRET_KEY", "sk-lf-canary")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=canary,x=canary")
    monkeypatch.setenv("LANGFUSE_BASE_URL", "http://user:canary@lf:3000")
    monkeypatch.delenv("OTEL_AGENTS_DOTENV", raising=False)
    (tmp_path / ".env").write_text("OTEL_SERVICE_NAME=svc\n")
    assert main(["config", "--json"]) == 0
    out = capsys.readouterr().out
    assert "canary" not in out
    found = json.loads(out)["settings"]
    assert found["langfuse_secret_key"] == {"value": "sk-lf-****", "from": "environment LANGFUSE_SECRET_KEY"}
    assert found["langfuse_public_key"]["value"] == "pk-lf-1"
    assert found["otlp_headers"]["value"] == "Authorization=****,x=****"
    assert found["langfuse_base_url"]["value"] == "http://user:****@lf:3000"
    assert found["service_name"] == {"value": "svc", "from": ".env OTEL_SERVICE_NAME"}
    assert found["mode"] == {"value": "direct", "from": "both Langfuse keys are set"}
    assert set(found) == set(table())


def test_piped_output_is_one_line_a_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config"]) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == len(table())
    assert captured.err.startswith("warning: nothing says where telemetry goes")
