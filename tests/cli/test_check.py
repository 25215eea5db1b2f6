"""``otel-agents config --check``: wrong keys and unreachable hosts are one line that says what to correct."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable

import pytest
from parts import free_port

from otel_agents.local.server import running

Run = Callable[..., subprocess.CompletedProcess[str]]


def keys(url: str, public: str, secret: str) -> dict[str, str]:
    return {"LANGFUSE_BASE_URL": url, "LANGFUSE_PUBLIC_KEY": public, "LANGFUSE_SECRET_KEY": secret}


def test_keys_right_and_wrong(cli: Run) -> None:
    with running() as local:
        good = cli("config", "--check", env=keys(local.url, local.public_key, local.secret_key))
        bad = cli("config", "--check", env=keys(local.url, local.public_key, "sk-lf-canary"))
    assert (good.stdout, good.returncode) == (f"Langfuse at {local.url} takes the keys\n", 0)
    assert (bad.stdout, bad.returncode) == ("", 1)
    (line,) = bad.stderr.splitlines()
    assert line.startswith(f"error: Langfuse at {local.url} refuses the keys (status 401); check LANGFUSE_")
    assert "canary" not in line


def test_something_else_answers(cli: Run) -> None:
    with running() as local:
        done = cli("config", "--check", env={"OTEL_EXPORTER_OTLP_ENDPOINT": local.url})
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {local.url}/v1/traces takes no OTLP (status 4")


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_collector_that_is_not_there(cli: Run, protocol: str) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    done = cli("config", "--check", env=env)
    assert (done.returncode, done.stderr) == (
        1,
        f"error: {address} is unreachable (connection refused); check OTEL_EXPORTER_OTLP_ENDPOINT\n",
    )


def test_grpc_port_that_takes_connections(cli: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
        assert cli("config", "--check", env=env).stdout == f"{address} takes connections\n"


def test_unknown_host(cli: Run) -> None:
    done = cli("config", "--check", env=keys("http://no-such-host.invalid", "pk-lf-1", "sk-lf-1"))
    assert done.returncode == 1
    assert done.stderr.startswith("error: http://no-such-host.invalid is unreachable (")
    assert done.stderr.endswith("check LANGFUSE_BASE_URL\n")


def test_not_tls(cli: Run) -> None:
    with running() as local:
        done = cli("config", "--check", env=keys(local.url.replace("http:", "https:"), "pk-lf-1", "sk-lf-1"))
    assert done.returncode == 1
    assert "is unreachable (TLS: " in done.stderr


def test_nothing_configured(cli: Run) -> None:
    done = cli("config", "--check")
    assert done.returncode == 1
    assert done.stderr.startswith("error: nothing says where telemetry goes")
