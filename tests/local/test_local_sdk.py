"""The official Langfuse SDK, version 5, against the local backend."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langfuse import Langfuse, observe, propagate_attributes
from langfuse.api import NotFoundError
from opentelemetry.sdk.trace import TracerProvider
from parts import wait_for

from otel_agents.local.options import LocalOptions
from otel_agents.local.server import Running, running


@pytest.fixture
def backend(options: LocalOptions) -> Iterator[Running]:
    """A backend with keys of its own: the SDK keeps one client for each public key."""
    options.public_key = f"pk-lf-{uuid.uuid4()}"
    options.secret_key = f"sk-lf-{uuid.uuid4()}"
    with running(options) as found:
        yield found


@pytest.fixture
def sdk(backend: Running) -> Iterator[Langfuse]:
    client = Langfuse(
        public_key=backend.public_key,
        secret_key=backend.secret_key,
        base_url=backend.url,
        tracer_provider=TracerProvider(),
        timeout=30,
        flush_interval=0.1,
    )
    yield client
    client.shutdown()


def test_auth_check(sdk: Langfuse, backend: Running) -> None:
    assert sdk.auth_check()
    assert sdk.api.health.health().version == "4.59.0"
    assert sdk.get_trace_url(trace_id="abc") == f"{backend.url}/project/local/traces/abc"


def test_auth_check_with_wrong_keys(backend: Running) -> None:
    client = Langfuse(
        public_key=f"pk-lf-{uuid.uuid4()}",
        secret_key="sk-wrong",
        base_url=backend.url,
        tracer_provider=TracerProvider(),
    )
    with pytest.raises(Exception, match="Invalid credentials"):
        client.auth_check()
    client.shutdown()


def run_agent(sdk: Langfuse, public_key: str) -> str:
    """An agent with a model call and a failing tool; answers the trace id."""

    @observe(as_type="agent")
    def agent(task: str) -> str:
        with propagate_attributes(
            user_id="u1",
            session_id="s1",
            tags=["nightly"],
            trace_name="review",
            version="v3",
            environment="staging",
            metadata={"agent": "claude", "attempt": 2},
        ):
            answer = call(task)
            with pytest.raises(ValueError, match="no such file"):
                tool()
            return answer

    @observe(as_type="generation", name="chat")
    def call(task: str) -> str:
        sdk.update_current_generation(
            model="gpt-4o",
            model_parameters={"temperature": 0.5},
            usage_details={"input": 100, "output": 20},
            metadata={"k": "v"},
        )
        sdk.score_current_span(name="quality", value=0.75, comment="good")
        sdk.score_current_trace(name="passed", value=True, data_type="BOOLEAN")
        return "done"

    @observe(as_type="tool")
    def tool() -> None:
        raise ValueError("no such file")

    with sdk.start_as_current_observation(name="job", as_type="span") as root:
        agent("write", langfuse_public_key=public_key)  # type: ignore[call-arg]
        trace_id = root.trace_id
    sdk.flush()
    return trace_id


ALL = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"


def test_observe_and_propagate(sdk: Langfuse, backend: Running) -> None:
    trace_id = run_agent(sdk, backend.public_key)
    rows = {row.name: row for row in sdk.api.observations.get_many(trace_id=trace_id, fields=ALL).data}
    assert {name: row.type for name, row in rows.items()} == {
        "job": "SPAN",
        "agent": "AGENT",
        "chat": "GENERATION",
        "tool": "TOOL",
    }
    chat = rows["chat"]
    assert chat.parent_observation_id == rows["agent"].id
    assert (chat.model, chat.model_parameters) == ("gpt-4o", {"temperature": 0.5})
    assert chat.usage_details == {"input": 100, "output": 20, "total": 120}
    # priced from the list, as nothing was sent (contract 2.5)
    assert chat.total_cost == pytest.approx(100 * 2.5e-6 + 20 * 10e-6)
    assert (chat.user_id, chat.session_id, chat.tags) == ("u1", "s1", ["nightly"])
    assert (chat.trace_name, chat.version, chat.environment) == ("review", "v3", "staging")
    assert chat.metadata is not None
    # contract 7: the SDK sends '"v"' and the server decodes it
    assert (chat.metadata["agent"], chat.metadata["attempt"], chat.metadata["k"]) == ("claude", 2, "v")
    assert json.loads(chat.input) == {"args": ["write"], "kwargs": {}}
    assert chat.output == "done"
    tool = rows["tool"]
    assert (tool.level, tool.status_message) == ("ERROR", "no such file")
    assert rows["job"].is_root_observation
    assert not rows["agent"].is_root_observation


def test_no_findings_for_the_sdks_own_spans(sdk: Langfuse, backend: Running) -> None:
    run_agent(sdk, backend.public_key)
    assert backend.store.list_findings().items == []


def test_pages_and_filters(sdk: Langfuse, backend: Running) -> None:
    run_agent(sdk, backend.public_key)
    seen = []
    cursor = None
    while True:
        page = sdk.api.observations.get_many(limit=1, cursor=cursor)
        seen += [row.name for row in page.data]
        cursor = page.meta.cursor
        if cursor is None:
            break
    assert sorted(str(name) for name in seen) == ["agent", "chat", "job", "tool"]
    given = [
        {"type": "stringObject", "column": "metadata", "key": "agent", "operator": "=", "value": "claude"},
        {"type": "string", "column": "level", "operator": "=", "value": "ERROR"},
    ]
    assert [row.name for row in sdk.api.observations.get_many(filter=json.dumps(given)).data] == ["tool"]
    assert len(sdk.api.observations.get_many(environment=["staging", "other"]).data) == 3


def test_scores(sdk: Langfuse, backend: Running) -> None:
    trace_id = run_agent(sdk, backend.public_key)
    sdk.create_score(name="grade", value="A", trace_id=trace_id, data_type="CATEGORICAL", score_id="g1")
    sdk.create_score(name="session", value=1.0, session_id="s1", metadata={"x": 1})
    sdk.flush()
    found = wait_for(
        lambda: len(data := sdk.api.scores.get_many(fields="core,subject,details").data) == 4 and data,
        "scores",
    )
    rows = {row.name: row for row in found}
    assert (rows["quality"].value, rows["passed"].value, rows["grade"].value) == (0.75, True, "A")
    assert rows["quality"].subject.kind == "observation"
    assert (rows["passed"].subject.kind, rows["passed"].subject.id) == ("trace", trace_id)
    assert (rows["session"].subject.kind, rows["session"].metadata) == ("session", {"x": 1})
    assert rows["quality"].comment == "good"
    assert [row.name for row in sdk.api.scores.get_many(name="grade").data] == ["grade"]
    sdk.api.scores.delete("g1")
    assert sdk.api.scores.get_many(name="grade").data == []
    assert backend.store.list_traces().items[0].quality == 0.75


def test_scores_of_a_batch_with_one_bad_score(sdk: Langfuse) -> None:
    from langfuse.api.scores.types.score_body import ScoreBody

    answer = sdk.api.scores.create(
        request=[ScoreBody(name="a", value=1.0, trace_id="t"), ScoreBody(name="b", value=1.0)]
    )
    assert (answer.accepted, answer.rejected) == (1, 1)  # type: ignore[union-attr]


def test_metrics(sdk: Langfuse, backend: Running) -> None:
    run_agent(sdk, backend.public_key)
    query = {
        "view": "observations",
        "dimensions": [{"field": "type"}],
        "metrics": [
            {"measure": "count", "aggregation": "count"},
            {"measure": "totalCost", "aggregation": "sum"},
        ],
        "fromTimestamp": "2020-01-01T00:00:00Z",
        "toTimestamp": "2100-01-01T00:00:00Z",
    }
    rows = {row["type"]: row for row in sdk.api.metrics.metrics(query=json.dumps(query)).data}
    assert {name: row["count_count"] for name, row in rows.items()} == {
        "SPAN": 1,
        "AGENT": 1,
        "GENERATION": 1,
        "TOOL": 1,
    }
    assert rows["GENERATION"]["sum_totalCost"] > 0


def test_prompts(sdk: Langfuse) -> None:
    sdk.create_prompt(name="folder/hello", prompt="Hi {{name}}", labels=["production"], config={"t": 1})
    prompt = sdk.get_prompt("folder/hello", cache_ttl_seconds=0)
    assert (prompt.version, prompt.compile(name="you"), prompt.config) == (1, "Hi you", {"t": 1})
    chat = [{"role": "system", "content": "Be {{how}}"}]
    sdk.create_prompt(name="chat", type="chat", prompt=chat)  # type: ignore[arg-type]
    found = sdk.get_prompt("chat", type="chat", label="latest")
    assert found.compile(how="kind")[0]["content"] == "Be kind"
    sdk.create_prompt(name="folder/hello", prompt="Hello {{name}}")
    sdk.update_prompt(name="folder/hello", version=2, new_labels=["staging"])
    assert sdk.get_prompt("folder/hello", label="staging").version == 2
    assert sdk.api.prompts.list(name="folder/hello").data[0].versions == [1, 2]
    with pytest.raises(NotFoundError):
        sdk.get_prompt("nobody", max_retries=0)
    assert sdk.get_prompt("nobody", fallback="x", max_retries=0).prompt == "x"


def test_a_linked_prompt(sdk: Langfuse) -> None:
    prompt = sdk.create_prompt(name="p", prompt="x", labels=["production"])
    with sdk.start_as_current_observation(
        name="chat", as_type="generation", model="gpt-4o", prompt=prompt, usage_details={"input": 1}
    ):
        pass
    sdk.flush()
    row = sdk.api.observations.get_many(fields="prompt").data[0]
    assert (row.prompt_name, row.prompt_version) == ("p", 1)


def test_media_are_not_retried(sdk: Langfuse, backend: Running, caplog: pytest.LogCaptureFixture) -> None:
    image = "data:image/png;base64," + base64.b64encode(b"\x89PNG and so on").decode()
    with sdk.start_as_current_observation(name="look", input={"image": image}):
        pass
    sdk.flush()
    row = sdk.api.observations.get_many(fields="io").data[0]
    assert "@@@langfuseMedia:type=image/png|id=" in str(row.input)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_delete_a_trace(sdk: Langfuse, backend: Running) -> None:
    trace_id = run_agent(sdk, backend.public_key)
    assert sdk.api.trace.delete(trace_id).message
    assert sdk.api.observations.get_many(trace_id=trace_id).data == []


def test_a_rate_limit_is_waited_out(sdk: Langfuse, backend: Running, faults: Callable[..., None]) -> None:
    faults({"status": 429, "retry_after": 0, "times": 1, "path": "/api/public/scores"})
    sdk.create_score(name="x", value=1.0, trace_id="t")
    sdk.flush()
    wait_for(lambda: sdk.api.scores.get_many().data, "the score after a retry")


@pytest.fixture
def faults(backend: Running) -> Callable[..., None]:
    from otel_agents.local.faults import fault_of

    def add(fault: dict[str, Any]) -> None:
        backend.backend.faults.add(fault_of(fault))

    return add
