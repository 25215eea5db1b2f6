"""Every call of the model server's ledger is told of once, and to the token, by spans and by counters."""

from __future__ import annotations

import pytest
from modelserver.server import ModelServer
from stub_backend import StubBackend
from telemetry import counted, spans


def assert_exact(server: ModelServer, backend: StubBackend, *, calls: int) -> None:
    """Spans of model calls, in the conventions' words, and metrics agree with the ledger.

    Raises:
        AssertionError: they do not, or ``calls`` is not how many there were.
    """
    ledger = server.ledger()
    told = [one for one in spans(backend) if one.is_model_call and "gen_ai.operation.name" in one.attributes]
    assert len(told) == ledger["calls"] == calls
    for attribute, counter, billed in (
        ("gen_ai.usage.input_tokens", "gen_ai.client.inference.usage.input_tokens", ledger["input"]),
        ("gen_ai.usage.output_tokens", "gen_ai.client.inference.usage.output_tokens", ledger["output"]),
        ("gen_ai.usage.cost", "otel_agents.cost", float(ledger["cost"])),
    ):
        assert sum(one.attributes.get(attribute, 0) for one in told) == pytest.approx(billed), attribute
        assert counted(backend, counter) == pytest.approx(billed), counter
    # Call by call, too: what one has too much, another could have too little.
    assert sorted(
        tuple(one.attributes.get(f"gen_ai.usage.{side}_tokens", 0) for side in ("input", "output"))
        for one in told
    ) == sorted((one["input"], one["output"]) for one in ledger["records"])


def assert_nothing_said(backend: StubBackend) -> None:
    """Nothing of what the apps ask has arrived.

    Raises:
        AssertionError: some of it has, or nothing has arrived at all.
    """
    assert backend.requests
    words = b"What is it like", b"Where shall we go", b"Where is Oslo"
    assert [word for word in words for one in backend.requests if word in one.body] == []
