"""Several Langfuse projects in one process: what is one's never gets to another's."""

from __future__ import annotations

import base64
import json
import signal
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from life_scripts import Start, ended, until
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from parts import wait_for
from stub_backend import StubBackend


@pytest.fixture
def other() -> Iterator[StubBackend]:
    with StubBackend() as backend:
        yield backend


@pytest.fixture
def direct(tmp_path: Path, backend: StubBackend, other: StubBackend) -> dict[str, str]:
    """Default, ``a`` and ``b``; ``b`` has an address of its own."""
    path = tmp_path / "projects.toml"
    path.write_text(
        f"""
[a]
public_key = "pk-lf-a"
secret_key = "sk-lf-a"
[b]
public_key = "pk-lf-b"
secret_key = "sk-lf-b"
base_url = "{other.url}"
"""
    )
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "",
        "LANGFUSE_BASE_URL": backend.url,
        "LANGFUSE_PUBLIC_KEY": "pk-lf-default",
        "LANGFUSE_SECRET_KEY": "sk-lf-default",
        "OTEL_AGENTS_PROJECTS": str(path),
        "OTEL_METRICS_EXPORTER": "none",
    }


def received(*backends: StubBackend) -> dict[str, list[Any]]:
    """Spans by the public key that they were sent with."""
    found: dict[str, list[Any]] = defaultdict(list)
    for backend in backends:
        for request in backend.requests:
            if request.path.endswith("/v1/traces"):
                key = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
                public, secret = key.split(":")
                assert public.removeprefix("pk-lf-") == secret.removeprefix("sk-lf-")
                message = ExportTraceServiceRequest.FromString(request.body)
                found[public.removeprefix("pk-lf-")] += [
                    span
                    for resource in message.resource_spans
                    for scope in resource.scope_spans
                    for span in scope.spans
                ]
    return found


def names(found: dict[str, list[Any]]) -> dict[str, list[str]]:
    return {
        key: sorted(span.name.removeprefix("invoke_agent ") for span in many) for key, many in found.items()
    }


WORK = """
otel_agents.configure()
from otel_agents import context
with agent("one"):
    with context(project="a"), agent("two") as run:
        run.update(input="for a alone")
        with agent("three"):
            pass
with context(project="b"), agent("four"):
    pass
for _ in range(2):
    with context(project="nobody's"), agent("five"):
        pass
"""
EXPECTED = {"default": ["five", "five", "one"], "a": ["three", "two"], "b": ["four"]}


def test_each_has_its_keys(
    start: Start, backend: StubBackend, other: StubBackend, direct: dict[str, str]
) -> None:
    process = start(WORK + "\nprint(otel_agents.flush(), flush=True)", env=direct)
    code, output = ended(process)
    assert code == 0, output
    assert "delivered=6" in output
    assert output.count("there is no project") == 1
    assert "sk-lf" not in output
    found = received(backend, other)
    assert names(found) == EXPECTED
    assert names(received(other)) == {"b": ["four"]}
    [two] = [span for span in found["a"] if span.name.endswith("two")]
    known = {one.key: one.value for one in two.attributes}
    assert "for a alone" in str(known["langfuse.observation.input"])
    assert known["langfuse.internal.is_app_root"].bool_value  # its parent is elsewhere
    [three] = [span for span in found["a"] if span.name.endswith("three")]
    assert "langfuse.internal.is_app_root" not in {one.key for one in three.attributes}


def test_an_outage_of_one_and_a_kill(
    start: Start, backend: StubBackend, other: StubBackend, direct: dict[str, str], tmp_path: Path
) -> None:
    """What waits on disk is in a folder of its own, and the next process sends it with the same keys."""
    other.status = 503
    script = (
        WORK + "\nresult = otel_agents.flush(20)\nprint(result, flush=True)\nprint('ready', flush=True)\n"
    )
    process = start(script + "time.sleep(60)", env=direct)
    until(process, "ready")
    process.kill()
    ended(process)
    assert names(received(backend)) == {key: EXPECTED[key] for key in ("default", "a")}
    [folder] = {path.parent for path in (tmp_path / "spool").rglob("*.db")}
    assert json.loads((folder / "destination.json").read_text())["project"] == "pk-lf-b"
    other.status = 200
    other.requests.clear()
    process = start("otel_agents.configure()\nprint('ready', flush=True)\ntime.sleep(60)", env=direct)
    until(process, "ready")
    wait_for(lambda: other.requests, "what was left")
    process.send_signal(signal.SIGTERM)
    ended(process)
    assert names(received(backend, other)) == EXPECTED


def test_abandoned_runs_go_to_their_project(
    start: Start, backend: StubBackend, other: StubBackend, direct: dict[str, str]
) -> None:
    process = start(
        """
otel_agents.configure()
with agent("mine"), otel_agents.context(project="a"), agent("theirs"):
    print("ready", flush=True)
    time.sleep(60)
""",
        env=direct,
    )
    until(process, "ready")
    process.send_signal(signal.SIGTERM)
    ended(process)
    assert names(received(backend, other)) == {"default": ["mine"], "a": ["theirs"]}


def test_a_forked_child(
    start: Start, backend: StubBackend, other: StubBackend, direct: dict[str, str]
) -> None:
    process = start(
        """
otel_agents.configure()
with otel_agents.context(project="a"):
    with agent("parent"):
        pass
    child = os.fork()
    if child == 0:
        with agent("child") as run:
            run.update(input="content")
        os._exit(0)
    os.waitpid(child, 0)
""",
        env=direct,
    )
    code, output = ended(process)
    assert code == 0, output
    found = received(backend, other)
    assert names(found) == {"a": ["child", "parent"]}
    [child] = [span for span in found["a"] if span.name.endswith("child")]
    assert "langfuse.observation.input" in {one.key for one in child.attributes}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[a]\npublic_key = "pk"\n', "has no secret_key for project 'a'"),
        ('[a]\npublic_key = "pk"\nsecret_key = "TOPSECRET"\nurl = "x"\n', "has 'url' for project 'a'"),
        ('[a]\nsecret_key = TOPSECRET"', "must be a TOML or JSON file"),
    ],
)
def test_files_that_cannot_be_used(
    start: Start, direct: dict[str, str], tmp_path: Path, content: str, said: str
) -> None:
    (tmp_path / "projects.toml").write_text(content)
    code, output = ended(start("otel_agents.configure()", env=direct))
    assert code == 1
    assert "ConfigError: OTEL_AGENTS_PROJECTS" in output
    assert said in output
    assert "TOPSECRET" not in output


def test_with_a_collector_the_name_goes_along(start: Start, backend: StubBackend) -> None:
    code, output = ended(
        start("otel_agents.configure()\nwith otel_agents.context(project='a'), agent('one'):\n    pass")
    )
    assert (code, output) == (0, "")
    [span] = backend.spans()
    assert {one.key: one.value.string_value for one in span.attributes}["otel_agents.project"] == "a"
