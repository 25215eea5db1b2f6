"""Canaries: secrets go into every kind of input, and none may come out anywhere.

The stores, logs and files behind a whole stack are searched by the end-to-end canary; this one
covers the policy itself.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import json
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from otel_agents.privacy import Redactor

CANARY = "canary-7f3a9b21-do-not-leak"

REDACTOR = Redactor(keys=["iban", "customer_number"])


@dataclasses.dataclass
class _Login:
    user: str
    password: str


class _Kind(enum.StrEnum):
    SECRET = f"password={CANARY}"


def _error() -> str:
    try:
        raise ValueError(f"login failed for password={CANARY!r} at postgres://joe:{CANARY}@db/x")
    except ValueError:
        return traceback.format_exc()


_basic = base64.b64encode(f"joe:{CANARY}".encode()).decode()

# Text in which a name or a scheme says that the canary is a secret.
TEXTS: dict[str, str] = {
    "assignment": f"PASSWORD={CANARY}",
    "quoted": f'api_key = "{CANARY} and more {CANARY}"',
    "single quoted": f"client_secret: '{CANARY}'",
    "escaped json": json.dumps(json.dumps({"access_token": CANARY})),
    "twice escaped json": json.dumps(json.dumps(json.dumps({"access_token": CANARY}))),
    "cut json": json.dumps({"a": 1, "private_key": f"{CANARY}\n{CANARY}", "b": 2})[:-9],
    "python dict": repr({"password": CANARY, "n": 1}),
    "python headers": repr([(b"authorization", f"Bearer {CANARY}".encode())]),
    "header": f"GET / HTTP/1.1\r\nAuthorization: Token {CANARY}\r\nX-Api-Key: {CANARY}\r\nCookie: a={CANARY}",
    "curl": f"curl -H 'Authorization: Bearer {CANARY}' https://joe:{CANARY}@example.com/?token={CANARY}",
    "basic": f"Authorization: Basic {_basic}",
    "yaml": f"db:\n  password: {CANARY}\n  secret_key: {CANARY}\n",
    "toml": f'[auth]\nrefresh_token = "{CANARY}"\n',
    "xml": f"<login><password>{CANARY}</password></login>",
    "env": f"export AWS_SECRET_ACCESS_KEY={CANARY}\nOPENAI_API_KEY='{CANARY}'",
    "flag": f"deploy --token {CANARY} --password '{CANARY}'",
    "connection string": f"Server=db;User=joe;Password={CANARY};AccountKey={CANARY}==;",
    "code": f'class Settings:\n    password: str = "{CANARY}"\n    api_key: Final[str] = "{CANARY}"',
    "subscript": f'os.environ["OPENAI_API_KEY"] = "{CANARY}"',
    "error": _error(),
    "own name": f"IBAN: {CANARY}, customer number = '{CANARY}'",
    "pem": f"-----BEGIN PRIVATE KEY-----\n{CANARY.replace('-', '')}{CANARY}",
}

# Structures in which the canary hides.
STRUCTURES: dict[str, Any] = {
    "by name": {"password": CANARY, "apiKey": CANARY, "X-Api-Key": CANARY, "iban": CANARY},
    "nested": {"a": [{"b": ({"client_secret": {"deep": [CANARY]}},)}]},
    "headers": {"headers": {"Authorization": f"Bearer {CANARY}", "Set-Cookie": CANARY}},
    "in text": {"message": f"the password: {CANARY}"},
    "as key": {f"password={CANARY}": 1},
    "dataclass": {"login": _Login("joe", CANARY)},
    "enum": {"kind": _Kind.SECRET},
    "bytes": {"body": f"password={CANARY}".encode()},
    "set": {"tags": {f"token={CANARY}1"}},
    "json in text": {"arguments": json.dumps({"password": CANARY, "list": [{"iban": CANARY}]})},
    "json in json": {"a": json.dumps({"b": json.dumps({"api_key": CANARY})})},
    "messages": [
        {"role": "system", "parts": [{"type": "text", "content": f"api_key={CANARY}"}]},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "name": "login", "arguments": {"passwd": CANARY}}],
            "finish_reason": "tool_call",
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "result": f'{{"token": "{CANARY}-1"}}'}]},
    ],
}


def _leaks(output: object) -> bool:
    shown = output if isinstance(output, str) else repr(output)
    # A part of it would be a leak as well.
    parts = (CANARY[:12], CANARY[-12:], CANARY.replace("-", "")[:12], _basic[:12], _basic[-12:])
    return any(part in shown for part in parts)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize(
    "way",
    [
        REDACTOR.text,
        REDACTOR.json,
        lambda text: REDACTOR.json(json.dumps([text])),
        lambda text: REDACTOR.json(json.dumps({"content": text}, ensure_ascii=False)),
        REDACTOR.value,
        lambda text: REDACTOR.value({"a": [text]}),
        lambda text: REDACTOR.value({"a": json.dumps({"b": text})}),
        lambda text: REDACTOR.value(text.encode()),
        lambda text: REDACTOR.attributes({"otel_agents.event.body": text}),
        lambda text: REDACTOR.attributes({"list": ["clean", text]}),
        lambda text: REDACTOR.attributes({"map": {"a": text}}),
        lambda text: REDACTOR.text(f"{'lorem ipsum ' * 400}{text}{' dolor' * 400}"),
    ],
    ids=[
        *("text", "json", "json list", "json object", "value", "nested", "nested json"),
        *("bytes", "attribute", "attribute list", "attribute map", "long text"),
    ],
)
def test_no_canary_in_text_gets_through(text: str, way: Callable[[str], object]) -> None:
    assert _leaks(text)
    assert not _leaks(way(text)), way(text)


@pytest.mark.parametrize("structure", STRUCTURES.values(), ids=STRUCTURES.keys())
def test_no_canary_in_a_structure_gets_through(structure: Any) -> None:
    assert _leaks(structure)
    assert not _leaks(REDACTOR.value(structure)), REDACTOR.value(structure)
    dumped = json.dumps(structure, default=str)
    assert not _leaks(REDACTOR.json(dumped)), REDACTOR.json(dumped)
    assert not _leaks(REDACTOR.attributes({"gen_ai.input.messages": dumped}))
    if isinstance(structure, dict):
        assert not _leaks(REDACTOR.attributes(structure)), REDACTOR.attributes(structure)


def test_known_shapes_get_through_nowhere(secret: str) -> None:
    ways = [
        REDACTOR.text(f"key {secret}"),
        REDACTOR.value({"a": [secret], secret: 1}),
        REDACTOR.json(json.dumps({"a": secret})),
        REDACTOR.attributes({"a": secret, "b": [secret], "c": json.dumps([{"x": secret}])}),
    ]
    for output in ways:
        assert secret[:20] not in repr(output) or secret.startswith("-----")
        assert secret[-8:] not in repr(output) or secret.endswith("-----")
