"""Hooks come with the libraries, whenever those are imported; we import none."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest


def run(script: str) -> str:
    """Runs ``script`` in a fresh interpreter and returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_nothing_is_imported() -> None:
    assert (
        run("""
        import sys
        from otel_agents import wire
        wire.install()
        heavy = ("httpx", "httpx2", "openai", "anthropic", "msgspec", "opentelemetry.sdk", "genai_prices")
        print([name for name in heavy if name in sys.modules])
        """)
        == "[]"
    )


@pytest.mark.parametrize("name", ["httpx", "httpx2"])
@pytest.mark.parametrize("first", ["library", "hooks"])
def test_imported_before_or_after(name: str, first: str) -> None:
    install = "from otel_agents import wire; wire.install()"
    lines = [f"import {name}", install] if first == "library" else [install, f"import {name}"]
    script = "\n".join(
        [
            *lines,
            "import json",
            "from otel_agents import runtime",
            "records = []",
            "class Accounts:",
            "    def submit(self, record): records.append(record)",
            "runtime.current().accountant = Accounts()",
            "answer = {'id': 'r', 'usage': {'prompt_tokens': 3, 'completion_tokens': 4}}",
            f"transport = {name}.MockTransport(lambda request: {name}.Response(200, json=answer))",
            f"client = {name}.Client(transport=transport)",
            "body = {'model': 'm', 'messages': []}",
            "client.post('https://api.openai.com/v1/chat/completions', json=body)",
            "print([record.usage.total for record in records])",
        ]
    )
    assert run(script) == "[7]"


def test_removed_before_the_library_came() -> None:
    assert (
        run("""
        from otel_agents import wire
        wire.install()
        wire.uninstall()
        import httpx
        print(type(vars(httpx.Client)["_send_single_request"]).__name__)
        wire.install()
        print(type(vars(httpx.Client)["_send_single_request"]).__name__)
        """)
        == "function\nFunctionWrapper"
    )
