"""What the commands that serve something have in common."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from otel_agents.config import Settings, table

if TYPE_CHECKING:
    from otel_agents.stack.state import Keys


def require_free(settings: Settings, name: str, host: str) -> None:
    """Checks that the port of setting ``name`` can be listened on.

    Raises:
        PortInUse: it is taken.
        CommandError: ``host`` is no address of this machine.
    """
    port = getattr(settings, name)
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            return
    except OSError as error:
        import errno

        from otel_agents.cli.errors import CommandError
        from otel_agents.stack.errors import PortInUse

        declared = table()[name]
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(port, declared.help, declared.sources[0].name, "") from None
        raise CommandError(
            f"cannot listen on {host}:{port} ({error.strerror}); give another --host"
        ) from None


def keys_of(settings: Settings) -> Keys:
    """Langfuse's keys from the settings when both are set, else those of this home's local backend."""
    from otel_agents.stack.state import Keys, local_keys

    if settings.langfuse_public_key and settings.langfuse_secret_key:
        return Keys(settings.langfuse_public_key, settings.langfuse_secret_key)
    return local_keys(settings.home)
