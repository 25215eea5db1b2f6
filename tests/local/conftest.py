"""A running local backend and a client with its keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from local_spans import client_of, export_request

from otel_agents.local.options import LocalOptions
from otel_agents.local.server import Running, running

Export = Callable[..., httpx.Response]


@pytest.fixture
def options(tmp_path: Path) -> LocalOptions:
    """Options with a database of the test's own and a free port. Parents count as missing at once."""
    return LocalOptions(db=tmp_path / "local.db", port=0, orphan_grace_s=0.0)


@pytest.fixture(scope="session")
def shared_backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One backend for the tests that do not care about its options."""
    path = tmp_path_factory.mktemp("local") / "local.db"
    with running(LocalOptions(db=path, port=0, orphan_grace_s=0.0)) as found:
        yield found


@pytest.fixture
def backend(shared_backend: Running) -> Running:
    """A backend that serves, without data."""
    shared_backend.store.reset()
    shared_backend.backend.raw.clear()
    shared_backend.backend.faults.clear()
    return shared_backend


@pytest.fixture
def client(backend: Running) -> Iterator[httpx.Client]:
    """A client of that backend, with its keys."""
    with client_of(backend) as found:
        yield found


@pytest.fixture
def export(client: httpx.Client) -> Export:
    """Sends spans by OTLP protobuf and checks that they were taken."""

    def send(*spans: dict[str, Any], **rest: Any) -> httpx.Response:
        answer = client.post(
            "/api/public/otel/v1/traces",
            content=export_request(*spans, **rest),
            headers={"content-type": "application/x-protobuf"},
        )
        assert answer.status_code == 200, answer.text
        return answer

    return send
