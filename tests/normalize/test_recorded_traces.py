"""Traces recorded from real packages, the whole way: in Langfuse each call is one, priced, with its texts.

recorded/ was written by the packages named in cases/, with the model server's scripted answers: the token
counts here are those of its ledger. Prices are gpt-4o's ($2.5 and $10 for a million tokens).
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from collector_rig import parsed
from google.protobuf.json_format import ParseDict
from normalize_rig import Case, overlaid, through
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from parts import require
from whole_way import WholeWay, whole_way

from otel_agents.normalize.engine import normalize
from otel_agents.normalize.otlp_json import decoded
from otel_agents.normalize.record import Record

RECORDED = Path(__file__).parent / "recorded"
FILES = sorted(RECORDED.glob("*.json"))


@dataclass(frozen=True)
class Expected:
    """What a trace of one package becomes.

    Attributes:
        calls: input (cache included) and output tokens of each model call.
        types: how many observations there are of each type.
        cost: US dollars of all of them.
    """

    calls: tuple[tuple[int, int], ...]
    types: Mapping[str, int]
    cost: float


OPENAI = ((104, 30), (49, 16), (14, 16), (10, 12), (2, 0))
OPENAI_COST = (177 * 2.5 + 74 * 10 + 2 * 0.02) / 1e6
EXPECTED = {
    "openinference": Expected(OPENAI, {"GENERATION": 4, "EMBEDDING": 1}, OPENAI_COST),
    "openllmetry": Expected(OPENAI, {"GENERATION": 4, "EMBEDDING": 1}, OPENAI_COST),
    "openlit": Expected(OPENAI, {"GENERATION": 4, "EMBEDDING": 1}, OPENAI_COST),
    # The stream's span, beside the log that has it all.
    "logfire": Expected(OPENAI, {"GENERATION": 4, "EMBEDDING": 1, "CHAIN": 1}, OPENAI_COST),
    "pydantic": Expected(
        ((72, 16), (115, 25)), {"GENERATION": 2, "AGENT": 1, "TOOL": 1}, (187 * 2.5 + 41 * 10) / 1e6
    ),
    "langsmith": Expected(
        ((53, 11), (50, 12)), {"GENERATION": 2, "TOOL": 1, "CHAIN": 2}, (103 * 2.5 + 23 * 10) / 1e6
    ),
    "vercel": Expected(
        ((79, 16), (122, 23), (5, 12), (1, 0)),
        {"GENERATION": 3, "EMBEDDING": 1, "AGENT": 2, "TOOL": 1, "CHAIN": 1},
        (206 * 2.5 + 51 * 10 + 0.02) / 1e6,
    ),
}


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeWay]:
    with whole_way(require("collector"), tmp_path_factory.mktemp("way")) as made:
        yield made


def request_of(path: Path, user: str) -> ExportTraceServiceRequest:
    """The recording, with another user and other ids than the last time."""
    found = json.loads(path.read_text())
    salt = secrets.token_hex(4)
    for resource in found["resourceSpans"]:
        for scoped in resource["scopeSpans"]:
            for span in scoped["spans"]:
                span["traceId"] = _id(salt + span["traceId"][8:])
                span["spanId"] = _id(span["spanId"])
                span["parentSpanId"] = _id(span["parentSpanId"])
                span["attributes"].append({"key": "langfuse.user.id", "value": {"stringValue": user}})
    return ParseDict(found, ExportTraceServiceRequest())


def _id(text: str) -> str:
    import base64

    return base64.b64encode(bytes.fromhex(text)).decode()


@pytest.mark.parametrize("name", EXPECTED)
def test_in_langfuse(way: WholeWay, name: str) -> None:
    expected, user = EXPECTED[name], f"{name}-user"
    way.collector.send(request_of(RECORDED / f"{name}.json", user))
    way.settle()
    found = way.observations(user)
    types = [one["type"] for one in found]
    assert {one: types.count(one) for one in set(types)} == expected.types
    calls = [one for one in found if one["type"] in ("GENERATION", "EMBEDDING")]
    assert sorted(map(tokens, calls)) == sorted(expected.calls)
    assert sum(one["totalCost"] or 0 for one in calls) == pytest.approx(expected.cost)
    assert [
        one["name"] for one in found if one["type"] not in ("GENERATION", "EMBEDDING") and one["totalCost"]
    ] == []
    for one in calls:
        assert one["model"] or one["providedModelName"], one["name"]
        if one["type"] == "GENERATION":
            assert_messages(one["input"], one["name"])
            assert_messages(one["output"], one["name"])
    for one in found:
        if one["type"] == "TOOL":
            assert "sunny" in one["output"]
            assert "get_weather" in one["name"]
    assert way.findings({one["traceId"] for one in found}) == set()


def tokens(observation: Mapping[str, Any]) -> tuple[int, int]:
    usage = observation["usageDetails"]
    return (
        sum(count for bucket, count in usage.items() if "input" in bucket),
        sum(count for bucket, count in usage.items() if "output" in bucket),
    )


def assert_messages(text: str | None, name: str) -> None:
    """Messages in the conventions' form, alone or with tools beside them."""
    found = json.loads(text or "null")
    messages = found["messages"] if isinstance(found, dict) else found
    assert messages, name
    assert all(one["role"] and isinstance(one["parts"], list) for one in messages), name


# --- both runners -----------------------------------------------------------------------------------
def recorded_cases() -> list[Case]:
    found = []
    for path in FILES:
        for resource in json.loads(path.read_text())["resourceSpans"]:
            for scoped in resource["scopeSpans"]:
                for number, span in enumerate(scoped["spans"]):
                    events = tuple((e["name"], decoded(e["attributes"])) for e in span.get("events", ()))
                    title = f"{number} {span['name']}"
                    given = decoded(span["attributes"])
                    found.append(
                        Case(path.stem, title, scoped["scope"]["name"], span["name"], given, events, {})
                    )
    return found


#: LangChain's messages, which the Collector leaves in one text.
NESTED = ("gen_ai.input.messages", "gen_ai.output.messages")


def test_python_and_the_collector_agree_on_everything_recorded(tmp_path: Path) -> None:
    many = recorded_cases()
    assert len(many) > 80
    with overlaid(require("collector"), tmp_path) as collector:
        left = through(collector, many)
    for case, other in zip(many, left, strict=True):
        record = Record(case.scope, case.name, dict(case.given), case.events)
        normalize(record)
        one = {key: parsed(value) for key, value in record.attributes.items()}
        two = {key: parsed(value) for key, value in other.items()}
        if case.dialect == "langsmith" and case.title.endswith("ChatOpenAI"):
            assert all(key in found for key in NESTED for found in (one, two))
            one, two = ({k: v for k, v in found.items() if k not in NESTED} for found in (one, two))
        assert one == two, case.id


# --- the command ------------------------------------------------------------------------------------
def convert(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "otel_agents.cli", "convert", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def spans_of(line: str) -> list[dict[str, Any]]:
    return [
        span
        for resource in json.loads(line)["resourceSpans"]
        for scoped in resource["scopeSpans"]
        for span in scoped["spans"]
    ]


def test_convert_says_the_same(tmp_path: Path) -> None:
    done = convert(*FILES)
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    expected = []
    for case in recorded_cases():
        record = Record(case.scope, case.name, dict(case.given), case.events)
        normalize(record)
        expected.append(record.attributes)
    assert [decoded(span["attributes"]) for span in spans_of(line)] == expected
    # What it has written needs nothing more.
    again = tmp_path / "again.json"
    again.write_text(line)
    assert convert(again).stdout == done.stdout
