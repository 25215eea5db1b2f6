"""docs/deploy.md and docs/scaling.md say what is there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from compose_file import COLLECTOR, ROOT, SERVICES
from parts import require
from tiers import OVERLAYS

from otel_agents.stack.collector import COLLECTOR_VERSION

PAGES = [ROOT / "docs" / name for name in ("deploy.md", "scaling.md")]
TEXT = "\n".join(path.read_text() for path in PAGES)
CHART = "0.170.0"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """Every command of every block, its lines joined."""
    lines = "\n".join(blocks("bash")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines]


def test_every_file_that_is_named_is_there() -> None:
    named = set(re.findall(r"(?<![\w/.-])((?:collector|grafana|docs|tests)/[\w./-]+\w)", TEXT))
    named |= {f"docs/{one}" for one in re.findall(r"\]\((\w+\.md)", TEXT)}
    assert len(named) > 15
    # Made by `make secrets`.
    assert [one for one in sorted(named) if not (ROOT / one).exists()] in ([], ["collector/.env"])


def test_every_overlay_is_described() -> None:
    named = set(re.findall(r"`([\w-]+)\.yaml`", TEXT))
    assert {path.stem for path in OVERLAYS.glob("*.yaml")} <= named


def test_every_command_of_ours_is_one() -> None:
    ours = [words[words.index("otel-agents") + 1 :] for words in commands() if "otel-agents" in words]
    ours += [shlex.split(one) for one in re.findall(r"`otel-agents ([^`]+)`", TEXT)]
    ours += [["collector", "path"]]
    binary = Path(sys.executable).with_name("otel-agents")
    for words in {tuple(one[:2] if one[0] == "collector" else one[:1]) for one in ours}:
        done = subprocess.run(
            [binary, *words, "--help"], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, words
        options = {
            word for one in ours if tuple(one[: len(words)]) == words for word in one if word[:2] == "--"
        }
        for option in options:
            assert option in re.sub(r"\s+", " ", done.stdout), (words, option)


def test_every_target_of_make_is_one() -> None:
    targets = {word for words in commands() if words[:1] == ["make"] for word in words[1:]}
    targets |= set(re.findall(r"`make ([\w-]+)`", TEXT))
    assert targets == {"secrets", "test-full"}
    made = (ROOT / "Makefile").read_text()
    for target in targets:
        assert re.search(rf"^{target}:", made, re.MULTILINE)


def test_versions_are_those_of_the_files() -> None:
    assert set(re.findall(r"--version (\S+)", TEXT)) == {CHART}
    for tier in ("agent", "gateway"):
        assert re.sub(r"\n# ", " ", (COLLECTOR / "k8s" / f"{tier}-values.yaml").read_text()).count(CHART) == 1
    assert set(re.findall(r"contrib:([\d.]+\d)", TEXT)) == {COLLECTOR_VERSION}
    langfuse = re.search(r":-([\d.]+)", SERVICES["langfuse-web"]["image"])
    assert langfuse is not None
    assert f"Langfuse is\n{langfuse[1]} or" in TEXT


def test_ports_are_those_of_the_compose_file() -> None:
    published = {port.rsplit(":", 2)[1] for service in SERVICES.values() for port in service.get("ports", [])}
    table = TEXT.split("| | address | log in |", 1)[1].split("\n\n", 1)[0]
    named = set(re.findall(r"localhost:(\d+)", table))
    assert named <= published
    assert published - named == {"9190", "4319"}  # media, and the bridge's summary


@pytest.mark.prometheus
def test_remote_write_is_as_prometheus_wants_it(tmp_path: Path) -> None:
    [snippet] = [one for one in blocks("yaml") if "remote_write" in one]
    urls = re.findall(r"url: (\S+)", snippet)
    assert len(urls) == 3
    for number in range(len(urls)):
        lines = [line for line in snippet.splitlines() if "url:" not in line]
        lines.insert(2, f"  - url: {urls[number]}")
        path = tmp_path / f"{number}.yml"
        path.write_text("\n".join(lines))
        assert yaml.safe_load(path.read_text())["remote_write"][0]["send_exemplars"] is True
        done = subprocess.run(
            [require("promtool"), "check", "config", path],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr


def test_the_arithmetic_holds() -> None:
    """Figures that follow from measured ones."""
    disk = 1 / 17_000
    assert f"{round(1 / (disk + 0.000_15), -2):,.0f}".replace(",", " ") == "4 800"
    assert round(1 / (disk + 0.001_1), -1) == 860
    for figure in ("4 800 a second", "860 a second", "17 000 a second", "240 such runs a second", "2.4 GB"):
        assert figure in TEXT.replace("\n", " ")
    assert 4_800 / 20 == 240
    assert 600 * 100 * 20e3 * 2 == 2.4e9
    assert round(100 * 20e3 * 8 * 3600 / 1e9) == 58
