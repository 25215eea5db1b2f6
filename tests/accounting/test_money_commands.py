"""``otel-agents prices`` and ``otel-agents reconcile`` as a user runs them, against a local backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from recorded_spans import Recorder

from otel_agents.local.options import LocalOptions
from otel_agents.local.server import Running, running

COMMAND = Path(sys.executable).with_name("otel-agents")


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """With two calls of one model, one of a model that nobody has a price for, and one that failed."""
    path = tmp_path_factory.mktemp("money") / "local.db"
    with running(LocalOptions(db=path, port=0, orphan_grace_s=0.0)) as found:
        recorder = Recorder(found)
        for model, cost in (("gpt-5-mini-2025-08-07", 1.0), ("gpt-5-mini", 0.5), ("house-model", None)):
            attributes = {
                "gen_ai.operation.name": "chat",
                "gen_ai.request.model": model,
                "gen_ai.usage.input_tokens": 1000,
                "gen_ai.usage.output_tokens": 10,
            }
            recorder.span(
                f"chat {model}", attributes | ({} if cost is None else {"gen_ai.usage.cost": cost}), ago=1.0
            )
        recorder.span("chat gone", {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gone"}, ago=1.0)
        recorder.send()
        yield found


def run(
    *arguments: str | Path, folder: Path, backend: Running | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    foreign = ("OTEL_", "LANGFUSE_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    environment |= {"OTEL_AGENTS_HOME": str(folder / "home"), "OTEL_AGENTS_DOTENV": "off"}
    if backend is not None:
        environment |= {
            "LANGFUSE_BASE_URL": backend.url,
            "LANGFUSE_PUBLIC_KEY": backend.public_key,
            "LANGFUSE_SECRET_KEY": backend.secret_key,
        }
    return subprocess.run(
        [COMMAND, *arguments],
        cwd=folder,
        env={**environment, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def invoice(folder: Path, *rows: str) -> Path:
    today = datetime.now(UTC).date().isoformat()
    file = folder / "invoice.csv"
    file.write_text("date,model,cost_usd\n" + "".join(f"{today},{row}\n" for row in rows))
    return file


class TestPrices:
    def test_check(self, backend: Running, tmp_path: Path) -> None:
        done = run("prices", "check", folder=tmp_path, backend=backend)
        assert done.returncode == 3, done.stderr
        lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
        assert lines[0].startswith("price list: genai-prices ")
        assert "gpt-5-mini 1 0 $0.5 list: openai/gpt-5-mini" in lines
        assert "house-model 1 1 $0 none" in lines
        assert "1 model without a price" in done.stdout

    def test_check_with_a_price_of_ones_own(self, backend: Running, tmp_path: Path) -> None:
        (tmp_path / "prices.toml").write_text('[prices."house-*"]\ninput = 1\noutput = 2\n')
        done = run(
            "prices",
            "check",
            "--json",
            folder=tmp_path,
            backend=backend,
            OTEL_AGENTS_PRICES_FILE="prices.toml",
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["without_price"] == []
        assert found["models"]["house-model"] == {
            "calls": 1,
            "without": 1,
            "cost": 0.0,
            "source": "contract",
            "found_as": "house-*",
        }

    def test_calls_that_name_no_model_are_a_gap_too(self, tmp_path: Path) -> None:
        with running(LocalOptions(db=tmp_path / "local.db", port=0, orphan_grace_s=0.0)) as found:
            recorder = Recorder(found)
            for extra in ({}, {"gen_ai.usage.cost": 0.5}):
                told = {"gen_ai.operation.name": "chat", "gen_ai.usage.total_tokens": 100, **extra}
                recorder.span("chat", told, ago=1.0)
            recorder.send()
            done = run("prices", "check", folder=tmp_path, backend=found)
            as_json = run("prices", "check", "--json", folder=tmp_path, backend=found)
        assert done.returncode == as_json.returncode == 3, done.stderr
        lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
        assert "(no model) 2 1 $0.5 none" in lines
        assert "1 call without a cost and without a model; say which it is" in done.stdout
        assert json.loads(as_json.stdout)["without_model"] == {"calls": 2, "without": 1, "cost": 0.5}

    def test_check_offline_asks_nobody(self, tmp_path: Path) -> None:
        done = run("prices", "check", "--offline", folder=tmp_path)
        assert done.returncode == 0
        assert "genai-prices" in done.stdout

    def test_show(self, tmp_path: Path) -> None:
        done = run("prices", "show", "gpt-4o-mini", folder=tmp_path)
        assert done.stdout.splitlines()[:2] == [
            "gpt-4o-mini: list: openai/gpt-4o-mini",
            "  input           $0.15 for a million tokens",
        ]

    def test_show_what_has_none(self, tmp_path: Path) -> None:
        done = run("prices", "show", "unheard-of", folder=tmp_path)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr == (
            "error: no price for 'unheard-of'; give one in the file that OTEL_AGENTS_PRICES_FILE names\n"
        )

    def test_bad_file(self, tmp_path: Path) -> None:
        (tmp_path / "prices.toml").write_text("[prices.m]\ninput = -1\noutput = 2\n")
        done = run("prices", "show", "m", folder=tmp_path, OTEL_AGENTS_PRICES_FILE="prices.toml")
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "prices.m.input must be a number of at least 0" in done.stderr


class TestReconcile:
    def test_agrees(self, backend: Running, tmp_path: Path) -> None:
        file = invoice(tmp_path, "gpt-5-mini-2025-08-07,1.49", "house-model,0")
        done = run("reconcile", file, folder=tmp_path, backend=backend)
        assert (done.returncode, done.stderr) == (0, "")
        assert "3 rows of day and model, none off" in done.stdout, "what failed is nothing to bill"

    def test_differs(self, backend: Running, tmp_path: Path) -> None:
        file = invoice(tmp_path, "gpt-5-mini,2", "claude-opus-4-5,1")
        done = run("reconcile", file, "--provider", "openai", folder=tmp_path, backend=backend)
        assert done.returncode == 3
        lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
        today = datetime.now(UTC).date().isoformat()
        assert f"{today} claude-opus-4-5 $1 - - - - not recorded" in lines
        assert f"{today} gpt-5-mini $2 $1.5 $-0.5 -25 % 2 differs" in lines
        assert "total $3 $1.5 $-1.5 -50 % 2 differs" in lines

    def test_json(self, backend: Running, tmp_path: Path) -> None:
        file = invoice(tmp_path, "gpt-5-mini,1.5")
        done = run("reconcile", file, "--json", "--provider", "openai", folder=tmp_path, backend=backend)
        found = json.loads(done.stdout)
        assert (found["agrees"], found["provider"]) == (True, "openai")
        assert found["total"]["recorded"] == {"cost": 1.5, "input": 2000, "output": 20, "calls": 2}

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["none.csv"], "none.csv: cannot be read"),
            (["invoice.csv", "--provider", "aws"], "--provider must be one of openai, anthropic, generic"),
            (["invoice.csv", "--tolerance", "-1"], "--tolerance must be a percentage"),
        ],
    )
    def test_mistakes(self, tmp_path: Path, arguments: list[str], said: str) -> None:
        invoice(tmp_path, "gpt-5-mini,1")
        done = run("reconcile", *arguments, folder=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert done.stderr.count("\n") == 1

    def test_without_langfuse(self, tmp_path: Path) -> None:
        done = run("reconcile", invoice(tmp_path, "gpt-5-mini,1"), folder=tmp_path)
        assert done.returncode == 1
        assert "LANGFUSE_PUBLIC_KEY" in done.stderr
