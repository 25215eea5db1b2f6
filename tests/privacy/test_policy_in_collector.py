"""The policy as a real Collector carries it: foreign spans lose their secrets and keep their counts."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from parts import free_port, require, wait_for
from test_canary import CANARY, TEXTS

from otel_agents.privacy.policy import REDACTED

ROOT = Path(__file__).parents[2]


def _config(port: int, out: Path) -> str:
    """A pipeline of otel-collector.yaml's own redaction, with what goes before it, and nothing else."""
    document = yaml.safe_load((ROOT / "otel-collector.yaml").read_text())
    order = document["service"]["pipelines"]["traces/langfuse"]["processors"]
    before = [name for name in order[: order.index("transform/secrets")] if name.startswith("transform/")]
    processors = {name: document["processors"][name] for name in (*before, "transform/secrets")}
    return yaml.safe_dump(
        {
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
            "processors": processors,
            "exporters": {"file": {"path": str(out), "flush_interval": "100ms"}},
            "service": {
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {
                    "traces": {
                        "receivers": ["otlp"],
                        "processors": list(processors),
                        "exporters": ["file"],
                    }
                },
            },
        },
        width=100_000,
    )


@pytest.fixture(scope="module")
def through_collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Sends spans through a Collector with the policy and answers what came out."""
    binary = require("collector")
    folder = tmp_path_factory.mktemp("collector")
    port, out = free_port(), folder / "out.json"
    (folder / "config.yaml").write_text(_config(port, out))
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [binary, "--config", str(folder / "config.yaml")], stdout=log, stderr=subprocess.STDOUT
    )

    def send(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
        before = out.read_text().count("\n") if out.exists() else 0
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/traces", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            assert response.status == 200
        lines = wait_for(
            lambda: found if len(found := _lines(out)) > before else None, "the file exporter", timeout=20
        )
        return [
            span
            for line in lines[before:]
            for resource in json.loads(line)["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]

    def listening() -> bool:
        if process.poll() is not None:
            raise AssertionError((folder / "log").read_text()[-2000:])
        try:
            send([_span("warm-up", {"a": "b"})])
        except OSError:
            return False
        return True

    try:
        wait_for(listening, "the Collector", timeout=60)
        yield send
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line] if path.exists() else []


def _span(name: str, attributes: dict[str, Any], message: str = "", event: str = "") -> dict[str, Any]:
    def value(one: Any) -> dict[str, Any]:
        if isinstance(one, list):
            return {"arrayValue": {"values": [value(item) for item in one]}}
        if isinstance(one, int):
            return {"intValue": str(one)}
        return {"stringValue": one}

    def pairs(items: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"key": key, "value": value(one)} for key, one in items.items()]

    return {
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "spanId": "b7ad6b7169203331",
        "name": name,
        "startTimeUnixNano": "1700000000000000000",
        "endTimeUnixNano": "1700000001000000000",
        "attributes": pairs(attributes),
        "status": {"code": 2, "message": message},
        "events": [
            {"name": "exception", "timeUnixNano": "1700000000000000000", "attributes": pairs({"e": event})}
        ],
    }


@pytest.mark.collector
def test_no_secret_of_a_foreign_span_gets_through(through_collector: Any, secret: str) -> None:
    spans = through_collector(
        [_span(f"x {secret}", {"a": f"x {secret}", "list": ["b", secret]}, f"m {secret}", f"e {secret}")]
    )
    assert secret not in json.dumps(spans, ensure_ascii=False)
    assert secret[-8:] not in json.dumps(spans) or secret.endswith("-----")


@pytest.mark.collector
@pytest.mark.parametrize(
    "text",
    [text for name, text in TEXTS.items() if name != "own name"],
    ids=[name for name in TEXTS if name != "own name"],
)
def test_no_canary_of_a_foreign_span_gets_through(through_collector: Any, text: str) -> None:
    spans = through_collector([_span("s", {"content": text}, message=text, event=text)])
    shown = json.dumps(spans)
    assert CANARY[:12] not in shown, shown
    assert CANARY[-12:] not in shown, shown


@pytest.mark.collector
def test_names_are_masked_counts_stay_and_json_stays_json(through_collector: Any) -> None:
    document = json.dumps({"password": 'hunter "two"', "list": [{"api_key": "hunter2"}], "n": 1})
    counts = {
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.request.max_tokens": 5,
        "llm.token_count.prompt": 7,
        "max_token": 9,
    }
    secrets = {"http.request.header.authorization": "abc", "db.password": "abc", "access_token": "abc"}
    [span] = through_collector(
        [_span("chat m", {**counts, **secrets, "gen_ai.input.messages": document, "plain": "hello"})]
    )
    out = {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}
    assert {key: int(out[key]) for key in counts} == counts
    assert [out[key] for key in secrets] == [REDACTED] * 3
    decoded = json.loads(out["gen_ai.input.messages"])
    assert decoded == {"password": REDACTED, "list": [{"api_key": REDACTED}], "n": 1}
    assert out["plain"] == "hello"
    assert span["name"] == "chat m"
