"""Ports that are taken, keys, and what a running stack leaves for other commands."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from parts import free_port

from otel_agents.config import resolve
from otel_agents.stack import state
from otel_agents.stack.errors import PortInUse, StackError
from otel_agents.stack.ports import Ports, choose, is_free


@pytest.fixture
def wanted() -> Ports:
    names = list(Ports.__dataclass_fields__)
    numbers: set[int] = set()
    while len(numbers) < len(names):
        numbers.add(free_port())
    return Ports(**dict(zip(names, numbers, strict=True)))


@pytest.fixture
def taken(wanted: Ports) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", wanted.prometheus_port)):
        yield wanted.prometheus_port


def test_defaults() -> None:
    assert asdict(Ports.of(resolve(environ={}, dotenv=False))) == {
        "backend_port": 3000,
        "otlp_grpc_port": 4317,
        "otlp_http_port": 4318,
        "collector_metrics_port": 8889,
        "collector_self_port": 8888,
        "collector_health_port": 13133,
        "prometheus_port": 9090,
        "bridge_port": 4319,
    }


def test_free_ports_are_taken_as_wanted(wanted: Ports) -> None:
    assert choose(wanted) == wanted


def test_a_taken_port_names_the_setting(wanted: Ports, taken: int) -> None:
    assert not is_free(taken)
    with pytest.raises(PortInUse) as raised:
        choose(wanted)
    assert str(raised.value) == (
        f"port {taken} (Prometheus) is in use; "
        "set OTEL_AGENTS_PROMETHEUS_PORT to another one, or use --free-ports"
    )


def test_a_port_that_is_not_needed_may_be_taken(wanted: Ports, taken: int) -> None:
    assert choose(wanted, frozenset({"backend_port"})) == wanted


def test_a_taken_port_is_replaced_when_asked(wanted: Ports, taken: int) -> None:
    chosen = choose(wanted, replace_taken=True)
    assert chosen.prometheus_port != taken
    assert len(set(asdict(chosen).values())) == len(asdict(chosen))
    assert {**asdict(chosen), "prometheus_port": taken} == asdict(wanted)


def test_a_listener_on_all_addresses_takes_the_port() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_keys_are_made_once_and_private(tmp_path: Path) -> None:
    keys = state.local_keys(tmp_path / "home")
    assert keys.public.startswith("pk-lf-local-")
    assert keys.secret.startswith("sk-lf-local-")
    assert stat.S_IMODE((tmp_path / "home" / "keys.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    assert state.local_keys(tmp_path / "home") == keys
    assert state.local_keys(tmp_path / "other") != keys


def test_broken_keys_file(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{")
    with pytest.raises(StackError, match=r"keys.json cannot be read; remove it"):
        state.local_keys(tmp_path)


def _state() -> state.State:
    return state.State(
        pid=1,
        ui="http://127.0.0.1:3000",
        otlp=None,
        prometheus=None,
        bridge=None,
        collector="none",
        logs="/x",
        scrape_interval=5.0,
        metrics_page="http://127.0.0.1:9464/metrics",
        children={"local": 2},
    )


def test_state_is_there_while_the_home_is_held(tmp_path: Path) -> None:
    assert state.read(tmp_path) is None
    with state.held(tmp_path):
        assert state.read(tmp_path) is None
        state.write(tmp_path, _state())
        assert state.read(tmp_path) == _state()
        with pytest.raises(StackError, match="already runs"), state.held(tmp_path):
            pass
    assert state.read(tmp_path) is None
    assert not (tmp_path / "stack.json").exists()


def test_state_of_a_killed_stack_is_none(tmp_path: Path) -> None:
    (tmp_path / "stack.lock").touch()
    state.write(tmp_path, _state())
    assert state.read(tmp_path) is None


def test_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match="set OTEL_AGENTS_HOME"), state.held(tmp_path / "file"):
        pass
