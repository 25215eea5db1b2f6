"""Model calls seen on the wire: one span and one usage record for each, whatever SDK made them.

:func:`install` hooks the HTTP clients that are imported, and those that will be. Nothing is
imported for it. What a request or response means is known by the formats (``formats``,
``providers``); what is done with a call by ``call`` and ``outcome``.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

logger = logging.getLogger(__name__)

#: Module of a library → our module with its hook.
_HOOKS: Final = {
    "httpx": "httpx_hook",
    "httpx2": "httpx_hook",
    "requests": "requests_hook",
    "urllib3": "urllib3_hook",
    "aiohttp": "aiohttp_hook",
    "botocore.httpsession": "botocore_hook",
}

_installed = False
_registered = False


def install() -> None:
    """Hooks the HTTP clients, now or when they are imported. Calling it again changes nothing."""
    global _installed, _registered
    if _installed:
        return
    _installed = True
    if _registered:
        for name in _HOOKS:
            if name in sys.modules:
                _hook(sys.modules[name])
        return
    _registered = True
    import wrapt

    for name in _HOOKS:
        wrapt.register_post_import_hook(_hook, name)


def uninstall() -> None:
    """Removes the hooks; calls that are under way are still recorded. Calling it again changes nothing."""
    global _installed
    if not _installed:
        return
    _installed = False
    for name in set(_HOOKS.values()):
        hook = sys.modules.get(f"{__name__}.{name}")
        if hook is not None:
            hook.uninstall()


@contextmanager
def aside(library: str) -> Iterator[None]:
    """Takes the hook of ``library`` away while the block wraps or unwraps the same methods.

    Afterwards it is the outermost again: what is inside of it is quiet during a model call.
    """
    hook = sys.modules.get(f"{__name__}.{_HOOKS[library]}")
    module = sys.modules.get(library)
    if not _installed or hook is None or module is None:
        yield
        return
    hook.uninstall()
    try:
        yield
    finally:
        _hook(module)


def _hook(module: Any) -> None:
    if not _installed:
        return
    try:
        if getattr(getattr(module, "__spec__", None), "_initializing", False):
            # Another thread is importing it: wait until it has its classes. In this thread it is done.
            importlib.import_module(module.__name__)
        importlib.import_module(f"{__name__}.{_HOOKS[module.__name__]}").install(module)
    except Exception:
        logger.warning("otel-agents: could not hook %s", getattr(module, "__name__", module), exc_info=True)
