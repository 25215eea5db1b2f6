"""Others instrument the same calls: each is one observation in Langfuse, and its tokens are counted once.

Real packages in environments of their own, the whole way through a Collector; the bill is the model
server's ledger.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from modelserver.server import ModelServer
from venvs import Run, python_with
from whole_way import MODEL_CALLS, WholeWay

OPENAI = "openai==3.54.0"
ANTHROPIC = "anthropic==2.12.0"
GENAI_OPENAI = "opentelemetry-instrumentation-genai-openai==1.3b0"
GENAI_ANTHROPIC = "opentelemetry-instrumentation-genai-anthropic==1.3b0"
OPENINFERENCE = "openinference-instrumentation-openai==0.1.66"
OPENLLMETRY = "opentelemetry-instrumentation-openai==0.62.4"
LOGFIRE = "logfire==5.2.0"
#: OpenLIT wants an older OpenAI SDK.
OPENLIT = ("openlit==1.45.0", "openai==2.54.0")
LANGCHAIN = ("langchain==1.4.7", "langchain-openai==1.7.3")


@dataclass(frozen=True)
class Case:
    """One app: what instruments it besides us, before or after us, and what it needs.

    Attributes:
        shared: the instrumentation finds our endpoint in the environment and exports there itself.
        env: further variables.
    """

    who: str
    order: str
    packages: tuple[str, ...]
    shared: bool = False
    env: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Also the app's service name, and the user that it works for."""
        return f"{self.who}-{self.order}{'-shared' if self.shared else ''}"


MISTRAL = {"MISTRAL_SDK_TELEMETRY": "global", "OTEL_AGENTS_PROVIDER_HOSTS": "127.0.0.1=mistral_ai"}

CASES = [
    Case("anthropic-native", "after", (ANTHROPIC,)),
    Case("mistral-native", "after", ("mistralai==3.7.0",), env=MISTRAL),
    Case("genai-openai", "after", (OPENAI, GENAI_OPENAI)),
    Case("genai-anthropic", "after", (ANTHROPIC, GENAI_ANTHROPIC)),
    Case("openinference", "after", (OPENAI, OPENINFERENCE)),
    Case("openinference", "before", (OPENAI, OPENINFERENCE)),
    Case("openllmetry", "after", (OPENAI, OPENLLMETRY)),
    Case("openlit", "after", OPENLIT, shared=True),
    Case("openlit", "before", OPENLIT, shared=True),
    Case("logfire", "after", (OPENAI, LOGFIRE)),
    Case("logfire", "before", (OPENAI, LOGFIRE)),
    Case("logfire", "after", (OPENAI, LOGFIRE), shared=True),
    Case("logfire", "before", (OPENAI, LOGFIRE), shared=True),
    Case("pydantic-ai", "after", ("pydantic-ai-slim[openai]==2.68.0",)),
    Case("langfuse", "after", (OPENAI,)),
    Case("langfuse", "before", (OPENAI,)),
    Case("langfuse-langchain", "after", LANGCHAIN),
    Case("langfuse-langchain", "before", LANGCHAIN),
]

#: Trace → calls in it.
EXPECTED = {
    "slow stream": 1, "plain": 1, "stream": 1, "async": 1, "async stream": 1, "together": 3, "alone": 1,
}  # fmt: skip


def tokens(usage: dict[str, int]) -> tuple[int, int]:
    """Input and output as Langfuse adds them up: all buckets with the word in their names."""
    sent, received = (
        sum(count for name, count in usage.items() if word in name) for word in ("input", "output")
    )
    assert usage["total"] == sent + received
    return sent, received


@pytest.mark.parametrize("case", CASES, ids=[one.name for one in CASES])
def test_one_observation_and_exact_totals(run: Run, way: WholeWay, server: ModelServer, case: Case) -> None:
    python = python_with(*case.packages)
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT" if case.shared else "OUR_ENDPOINT": way.endpoint, **case.env}
    printed = run(python, "app.py", case.who, case.order, server.url, case.name, **env)
    assert printed.endswith("dropped=0 pending=0\n")
    way.settle()
    calls = model_calls(way, case.name)
    assert_exact(calls, server)
    # None had to be made where there was one.
    scopes = {one["metadata"]["scope"]["name"] for one in calls}
    assert "otel_agents" not in scopes, scopes
    ledger = server.ledger()
    for counter, billed in (
        ("gen_ai_client_inference_usage_input_tokens_total", ledger["input"]),
        ("gen_ai_client_inference_usage_output_tokens_total", ledger["output"]),
        ("otel_agents_cost_total", float(ledger["cost"])),
        ("gen_ai_client_inference_duration_seconds_count", ledger["calls"]),
    ):
        assert way.counted(counter, case.name) == pytest.approx(billed), counter


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize(("who", "packages"), [("langfuse", (OPENAI,)), ("langfuse-langchain", LANGCHAIN)])
def test_the_langfuse_sdk_sends_to_the_same_project(
    run: Run, way: WholeWay, server: ModelServer, who: str, packages: tuple[str, ...], order: str
) -> None:
    name = f"{who}-{order}-direct"
    keys = {
        "LANGFUSE_BASE_URL": way.backend.url,
        "LANGFUSE_PUBLIC_KEY": way.backend.public_key,
        "LANGFUSE_SECRET_KEY": way.backend.secret_key,
    }
    own = {"OTEL_AGENTS_METRICS_PORT": "0"}
    run(python_with(*packages), "app.py", who, order, server.url, name, **keys, **own)
    assert_exact(model_calls(way, name), server)


def model_calls(way: WholeWay, user: str) -> list[dict[str, Any]]:
    """The observations of model calls of an app, and no others are there, nor anything amiss with them."""
    found = way.observations(user)
    assert [one["name"] for one in found if one["type"] not in MODEL_CALLS] == []
    # Whoever made it, it is the topmost one in its trace.
    assert [one["name"] for one in found if not one["isRootObservation"]] == []
    assert way.findings({one["traceId"] for one in found}) == set()
    return found


def assert_exact(calls: list[dict[str, Any]], server: ModelServer) -> None:
    """One observation a call, with what was billed."""
    assert Counter(one["traceName"] for one in calls) == EXPECTED
    ledger = server.ledger()
    assert sorted(tokens(one["usageDetails"]) for one in calls) == sorted(
        (one["input"], one["output"]) for one in ledger["records"]
    )
    assert sum(one["totalCost"] for one in calls) == pytest.approx(float(ledger["cost"]))
