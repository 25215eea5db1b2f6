"""Which TCP ports the local stack listens on.

Each part has a setting with a default. A port that is taken is an error that names the setting, or, when
the caller allows it, replaced by a free one.
"""

from __future__ import annotations

import ipaddress
import random
import socket
from dataclasses import dataclass, fields, replace
from typing import Final
from urllib.parse import urlsplit

from otel_agents.config import Settings, table
from otel_agents.stack.errors import PortInUse

#: The stack binds to this address alone; other machines have no business with it.
LOOPBACK = "127.0.0.1"

#: Where free ports are looked for.
_RANGE: Final = (10_240, 32_767)
_chance = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Ports:
    """The stack's ports, named as the settings are."""

    backend_port: int
    otlp_grpc_port: int
    otlp_http_port: int
    collector_metrics_port: int
    collector_self_port: int
    collector_health_port: int
    prometheus_port: int
    bridge_port: int

    @staticmethod
    def of(settings: Settings) -> Ports:
        return Ports(**{one.name: getattr(settings, one.name) for one in fields(Ports)})


def is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` of the loopback interface, or of all of them."""
    for address in (LOOPBACK, "0.0.0.0"):
        with socket.socket() as probe:
            # As servers do it: a port whose last connections are still in TIME_WAIT counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
                probe.listen(1)
            except OSError:
                return False
    return True


def free_port(taken: set[int] | None = None) -> int:
    """A port that was free a moment ago and is not in ``taken``.

    Below those that systems give to outgoing connections, as one of these may take a port at any time.
    """
    while True:
        port = _chance.randint(*_RANGE)
        if port not in (taken or ()) and is_free(port):
            return port


def choose(wanted: Ports, needed: frozenset[str] | None = None, replace_taken: bool = False) -> Ports:
    """The ports to use: those wanted, where 0 (and with ``replace_taken`` a taken one) becomes a free one.

    Args:
        needed: names of the ports that will be listened on; others are left alone. None means all.

    Raises:
        PortInUse: for the first taken port, unless ``replace_taken``.
    """
    chosen: dict[str, int] = {}
    for one in fields(Ports):
        port = getattr(wanted, one.name)
        if needed is not None and one.name not in needed:
            continue
        if port == 0 or port in chosen.values() or not is_free(port):
            if port != 0 and not replace_taken:
                declared = table()[one.name]
                raise PortInUse(port, declared.help, declared.sources[0].name)
            port = free_port(set(chosen.values()))
        chosen[one.name] = port
    return replace(wanted, **chosen)


def is_loopback(url: str) -> bool:
    """Whether a URL is of this machine: no proxy belongs between, and nobody listens in."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def accepts(address: str) -> bool:
    """Whether something takes connections at an ``http://host:port`` address."""
    host, _, port = address.removeprefix("http://").partition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=2.0):
            return True
    except OSError:
        return False
