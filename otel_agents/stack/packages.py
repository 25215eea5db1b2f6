"""Whether the packages are there that serve HTTP: an extra, since apps need none of them."""

from __future__ import annotations

from importlib.util import find_spec

from otel_agents.stack.errors import StackError


def require_server(*names: str) -> None:
    """Checks for the packages of the extra ``server``, or for some of them.

    Raises:
        StackError: naming those that are missing.
    """
    missing = [name for name in names or ("starlette", "uvicorn", "jinja2") if find_spec(name) is None]
    if missing:
        raise StackError(f"{', '.join(missing)} not installed; `pip install 'otel-agents[server]'`")
