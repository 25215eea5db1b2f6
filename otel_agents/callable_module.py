"""Lets a module be called where it has the same name as the function in it.

``from otel_agents import context`` means the function. But as soon as anything imports the module
``otel_agents.context``, Python binds that name of the package to the module. So the module answers a
call as the function does.
"""

from __future__ import annotations

import sys
import types
from typing import Any


class _CallableModule(types.ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(self, self.__name__.rpartition(".")[2])(*args, **kwargs)


def make_callable(module_name: str) -> None:
    """Makes calls of the module go to its member of the same name."""
    sys.modules[module_name].__class__ = _CallableModule
