"""Methods of other libraries' classes, wrapped and put back."""

from __future__ import annotations

from typing import Any

import wrapt


class Hooks:
    """What one library's hook has wrapped; false while that is nothing."""

    __slots__ = ("_done",)

    def __init__(self) -> None:
        self._done: list[tuple[type, str, Any]] = []

    def __bool__(self) -> bool:
        return bool(self._done)

    def wrap(self, owner: type, name: str, hook: Any) -> None:
        """Has ``hook(wrapped, instance, args, kwargs)`` run in place of a method that ``owner`` itself has.

        A method that is wrapped already is left as it is.
        """
        if any(done is owner and at == name for done, at, _ in self._done):
            return
        wrapper: Any = wrapt.FunctionWrapper(vars(owner)[name], hook)
        setattr(owner, name, wrapper)
        self._done.append((owner, name, wrapper))

    def undo(self) -> None:
        """Puts the original methods back; where somebody wrapped ours, it stays and has to pass on."""
        for owner, name, wrapper in self._done:
            original = wrapper.__wrapped__
            if vars(owner).get(name) is wrapper:
                setattr(owner, name, original)
        self._done.clear()
