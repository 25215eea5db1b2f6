"""Whatever a span holds, the page shows it and does nothing with it."""

from __future__ import annotations

import json
import random
import re
from dataclasses import fields
from typing import Any

import pytest
from playwright.sync_api import BrowserContext
from ui_html import parse
from ui_rig import Watch, ui_client
from ui_seed import S

from otel_agents.local.rows import Finding, Observation, Score, SpanEvent
from otel_agents.local.store import Store

T0 = 1_768_471_200 * S

MARKUP = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "'><svg/onload=alert(3)>",
    "</pre></details></table><script src=//elsewhere.example/x.js></script>",
    "<!-- <iframe src=javascript:alert(4)> -->",
    "{{ 7*7 }} {% raw %} ${alert(5)}",
    "javascript:alert(6)",
    "<a href=javascript:alert(7)>x</a><base href=//elsewhere.example/>",
    "\x00\x08\x1b[31m\x7f\u202egnp.exe\u2066\ufeff\u2028",
    "]]>--><style>*{display:none}</style><textarea><title>",
    "&lt;script&gt;alert(8)&lt;/script&gt;",
]


def hostile(number: int, text: str) -> Observation:
    """An observation that holds ``text`` wherever text is possible."""
    message = {
        "role": text,
        "name": text,
        "finish_reason": text,
        "parts": [
            {"type": "text", "content": text},
            {"type": "text", "content": f"```{text}\n{text}\n```"},
            {"type": "reasoning", "content": text},
            {"type": "tool_call", "id": text, "name": text, "arguments": {text: text}},
            {"type": "tool_call_response", "id": text, "response": text},
            {"type": "blob", "mime_type": text, "content": text},
            {"type": "blob", "mime_type": "image/png", "content": text},
            {"type": "uri", "uri": text, "modality": text},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{text}"}},
            {"type": text, "x": text},
        ],
    }
    return Observation(
        trace_id=f"{number:032x}",
        id=f"{number:016x}",
        parent_id="",
        type="GENERATION",
        name=text,
        start_ns=T0 + number * S,
        end_ns=T0 + number * S + S,
        level="ERROR",
        environment="default",
        is_root=True,
        version=text,
        release=text,
        user_id=text,
        session_id=text,
        trace_name=text,
        model=text,
        prompt_name=text,
        prompt_version=1,
        completion_start_ns=T0 + number * S + 1,
        scope_name=text,
        service_name=text,
        tags=[text, "x" + text],
        usage={text: 3, "input": 4, "total": 7},
        cost={text: 0.5, "total": 0.5},
        total_cost=0.5,
        total_tokens=7,
        meta={"agent": text, "task_type": text, "project_id": text, "error_type": text, text: text},
        model_parameters={text: text},
        status_message=text,
        input=json.dumps([message]),
        output=text,
        metadata={
            "attributes": {text: text, "deep": json.dumps({text: [text]})},
            "resourceAttributes": {text: text},
        },
        events=[SpanEvent(text, T0 + number * S, {text: text, "exception.stacktrace": text})],
    )


@pytest.fixture
def hostile_store(empty_store: Store) -> Store:
    rows = [hostile(number, text) for number, text in enumerate(MARKUP, 1)]
    empty_store.add_observations(rows)
    for row, text in zip(rows, MARKUP, strict=True):
        empty_store.add_scores(
            [
                Score(
                    f"o{row.id}",
                    text,
                    "TEXT",
                    T0,
                    string_value=text,
                    comment=text,
                    source=text,
                    trace_id=row.trace_id,
                    observation_id=row.id,
                ),
                Score(f"t{row.id}", text, "TEXT", T0, string_value=text, comment=text, trace_id=row.trace_id),
                Score(
                    f"s{row.id}", text, "TEXT", T0, string_value=text, comment=text, session_id=row.session_id
                ),
            ]
        )
        empty_store.add_findings([Finding(text, "error", row.trace_id, row.id, text, {text: text}, T0)])
    return empty_store


def urls(store: Store) -> list[str]:
    client = ui_client(store)
    found = ["/traces", "/traces?group=task_type", "/traces?group=agent", "/sessions", "/findings"]
    found += [f"/traces/{n:032x}" for n in range(1, len(MARKUP) + 1)]
    found += [f"/ui/observation/{n:032x}/{n:016x}" for n in range(1, len(MARKUP) + 1)]
    found += [f"/ui/observation/{n:032x}/{n:016x}/input" for n in range(1, len(MARKUP) + 1)]
    # Follow the pages' own links, so that ids with markup are asked for as a browser would.
    page = parse(client.get("/sessions").text)
    found += [link.attributes["href"] for link in page.one("table").all("a")]
    page = parse(client.get("/traces?group=task_type").text)
    found += [link.attributes["href"] for link in page.one("table").all("a")]
    return found


def test_no_recorded_text_becomes_markup(hostile_store: Store) -> None:
    client = ui_client(hostile_store)
    asked = urls(hostile_store)
    assert len(asked) > 50
    for url in asked:
        answer = client.get(url)
        assert answer.status_code == 200, url
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u2028\u202a-\u202e\u2066-\u2069\ufeff]", answer.text), (
            url
        )
        for element in parse(answer.text).all():
            assert element.tag not in ("iframe", "base", "style", "textarea", "object", "embed"), url
            assert not [name for name in element.attributes if name.startswith("on")], url
            assert not element.attributes.get("href", "").lower().lstrip().startswith("javascript"), url
            if element.tag == "script":
                assert element.attributes["src"].startswith("/ui/static/")
            if element.tag == "img":
                assert element.attributes["src"].startswith(("/ui/static/", "data:image/png;base64,"))
                assert "alert" not in element.attributes["src"]


def test_parameters_of_the_url_are_text_too(hostile_store: Store) -> None:
    client = ui_client(hostile_store)
    for text in MARKUP:
        for name in (
            "q",
            "agent",
            "status",
            "min_cost",
            "from",
            "session",
            "tag",
            "group",
            "sort",
            "cursor",
            "open",
        ):
            answer = client.get("/traces", params={name: text, "group": "agent"})
            assert answer.status_code == 200
            assert "<script>alert" not in answer.text
            assert "<img src=x" not in answer.text
        for url in ("/sessions", "/findings"):
            answer = client.get(url, params={"q": text, "kind": text, "trace": text, "cursor": text})
            assert answer.status_code == 200
            assert "<script>alert" not in answer.text
        missing = client.get("/traces/" + "".join(f"%{byte:02x}" for byte in text.encode()))
        assert missing.status_code == 404
        assert "<script>alert" not in missing.text


@pytest.mark.browser
def test_nothing_runs_in_a_browser(
    context: BrowserContext, hostile_store: Store, serve: Any, watch: Watch
) -> None:
    url = serve(hostile_store)
    page = context.new_page()
    watch.on(page)
    for path in ["/traces", "/traces?group=agent", "/sessions", "/findings"]:
        page.goto(url + path)
        assert page.locator("h1").count() == 1
    for number in range(1, len(MARKUP) + 1):
        page.goto(f"{url}/traces/{number:032x}")
        assert page.locator("#details h2").inner_text()
        assert page.locator("script:not([src^='/ui/static/'])").count() == 0
    assert watch.problems == []
    assert [one for one in watch.requests if not one.startswith((url, "data:"))] == []


CASES: list[tuple[str, dict[str, Any]]] = [
    (
        "huge text",
        {"input": "x" * 5_000_000, "output": json.dumps([{"role": "user", "content": "y" * 3_000_000}])},
    ),
    ("one huge word in the name", {"name": "n" * 200_000, "status_message": "s" * 500_000}),
    (
        "JSON that was cut off",
        {"input": '[{"role": "user", "parts": [{"type": "te', "output": '{"a": [1, 2,'},
    ),
    ("deep JSON", {"input": "[" * 50_000 + "]" * 50_000, "output": '{"a":' * 900 + "1" + "}" * 900}),
    ("many messages", {"input": json.dumps([{"role": "user", "content": "m"}] * 20_000)}),
    (
        "many keys",
        {
            "meta": {f"key {n}": n for n in range(5_000)},
            "metadata": {"attributes": {f"a{n}": "v" for n in range(5_000)}},
        },
    ),
    (
        "odd numbers",
        {
            "usage": {"input": 10**30, "total": -5},
            "cost": {"total": "12", "input": None},
            "total_tokens": None,
        },
    ),
    ("a negative duration", {"end_ns": T0 - S, "completion_start_ns": T0 - 5 * S}),
    ("times at the edges", {"start_ns": 0, "end_ns": 2**63 - 1}),
    ("an unknown type and level", {"type": "<B>", "level": "LOUD"}),
    ("nothing at all", {"name": "", "input": "", "output": ""}),
    (
        "metadata of odd types",
        {
            "metadata": {"attributes": "text", "resourceAttributes": [1]},
            "meta": {"error_type": ["x"], "exception.stacktrace": 5},
        },
    ),
]


@pytest.mark.parametrize(("what", "changes"), CASES, ids=[case[0] for case in CASES])
def test_odd_observations_are_shown(empty_store: Store, what: str, changes: dict[str, Any]) -> None:
    values = {"trace_id": "ab", "id": "cd", "parent_id": "", "type": "SPAN", "name": what, "is_root": True}
    row = Observation(**{**values, "start_ns": T0, "end_ns": T0 + S, "session_id": "s", **changes})
    empty_store.add_observations([row])
    client = ui_client(empty_store)
    for url in (
        "/traces",
        "/traces/ab",
        "/ui/observation/ab/cd",
        "/ui/observation/ab/cd/input",
        "/sessions/s",
    ):
        answer = client.get(url)
        assert answer.status_code == 200, url
        parse(answer.text)
        assert len(answer.content) < 1_500_000, url


def test_random_values_in_every_field_never_break_a_page(empty_store: Store) -> None:
    chance = random.Random(7)
    alphabet = "a<>\"'&{}%[]:,\\/ \n\x00\u202eé漢😀"

    def text() -> str:
        return "".join(chance.choice(alphabet) for _ in range(chance.randrange(40)))

    for number in range(60):
        row = hostile(number + 1, text() or "x")
        for field in fields(row):
            if field.name in ("input", "output", "status_message", "model", "name", "session_id", "user_id"):
                setattr(row, field.name, chance.choice([text(), json.dumps({text(): [text()]}), None, ""]))
        row.name = row.name or ""
        empty_store.add_observations([row])
    client = ui_client(empty_store)
    for number in range(60):
        for url in (
            f"/traces/{number + 1:032x}",
            f"/ui/observation/{number + 1:032x}/{number + 1:016x}/output",
        ):
            answer = client.get(url)
            assert answer.status_code == 200
            parse(answer.text)
    for url in ("/traces?limit=200", "/traces?group=agent", "/sessions", "/findings"):
        answer = client.get(url)
        assert answer.status_code == 200
        parse(answer.text)
