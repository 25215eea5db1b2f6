"""Canaries through the whole stack: secrets go into every input, none is in any store, log or file."""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from modelserver import running
from parts import require, wait_for
from stack_up import Up

from otel_agents.stack import state as states

CANARY = "c4n4ry7f3a9b21dontleak"
KEY = f"sk-proj-{CANARY}{CANARY}"
APP = Path(__file__).with_name("canary_app.py")


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    made = Up(tmp_path / "home")
    yield made
    made.clean()


@pytest.mark.collector
@pytest.mark.prometheus
def test_no_secret_is_anywhere(up: Up, tmp_path: Path) -> None:
    require("collector")
    require("prometheus")
    process, place = up.start("--scrape-interval", "0.5")
    assert place.otlp is not None
    with running() as models:
        environment = {
            **up.environment,
            "OTEL_EXPORTER_OTLP_ENDPOINT": place.otlp,
            "CANARY": CANARY,
            "CANARY_KEY": KEY,
            "OTEL_RESOURCE_ATTRIBUTES": f"deploy.password={CANARY}",
            "OPENAI_BASE_URL": f"{models.url}/v1",
            "ANTHROPIC_BASE_URL": models.url,
        }
        done = subprocess.run(
            [sys.executable, APP],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert CANARY not in done.stdout + done.stderr

    keys = states.local_keys(up.home)
    token = b64encode(f"{keys.public}:{keys.secret}".encode()).decode()

    def ask(path: str) -> str:
        asked = Request(place.ui + path, headers={"Authorization": f"Basic {token}"})
        with urlopen(asked, timeout=10) as answer:
            return bytes(answer.read()).decode()

    every = "/api/public/v2/observations?fields=core,basic,io,metadata,model,usage,trace_context&limit=100"
    scores = "/api/public/v3/scores?fields=core,details,subject"
    names = (
        "chat gpt-4o-mini",
        "anthropic.messages.create",
        "login",
        "fail",
        "keeper",
        "decision",
        "foreign",
    )
    wait_for(lambda: all(name in ask(every) for name in names), "every span in the backend")
    wait_for(lambda: "quality" in ask(scores), "the score in the backend")
    assert "visible" in ask(every), "what is no secret stays"
    assert '"input":7' in ask(every).replace(" ", ""), "token counts are no secrets"
    for page in (every, scores, "/api/local/raw", "/api/local/findings"):
        assert CANARY not in ask(page), page

    def served() -> str:
        with urlopen(place.metrics_page, timeout=10) as answer:
            return bytes(answer.read()).decode()

    wait_for(lambda: "gen_ai_client_inference_usage_input_tokens_total" in served(), "the metrics")
    assert CANARY not in served()

    process.terminate()
    process.communicate(timeout=60)
    leaks = [
        str(Path(folder, name).relative_to(up.home))
        for folder, _, files in os.walk(up.home)
        for name in files
        if CANARY.encode() in Path(folder, name).read_bytes()
    ]
    assert leaks == []
