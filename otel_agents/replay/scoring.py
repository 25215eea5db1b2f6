"""A scorer that was given as ``module:function``: how good an answer is."""

from __future__ import annotations

import asyncio
import inspect
import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from otel_agents.replay.errors import ReplayError

#: ``score(prompt, output)`` → a number, or a number and a reason; plain or async.
Scorer = Callable[[str, str], Any]


@dataclass(frozen=True, slots=True)
class Grade:
    """A quality, and why."""

    value: float
    reason: str | None = None


def load(where: str) -> Scorer:
    """The function that ``module:function`` names; modules of the working folder are found, too.

    Raises:
        ReplayError: there is no such function.
    """
    module, colon, name = where.partition(":")
    if not (module and colon and name):
        raise ReplayError(f"--scorer {where!r} is not of the form module:function")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:  # importing runs the user's module
        raise ReplayError(
            f"--scorer {where!r} cannot be loaded: {error}; correct the name or the module"
        ) from error
    if not callable(found):
        raise ReplayError(f"--scorer {where!r} is no function")
    return found  # type: ignore[no-any-return]


def grade(scorer: Scorer, prompt: str, output: str) -> Grade:
    """What the scorer says of an answer.

    Raises:
        ReplayError: it raises, or says no finite number.
    """
    try:
        said = scorer(prompt, output)
        if inspect.isawaitable(said):
            said = asyncio.run(_wait_for(said))
        value, reason = said if isinstance(said, tuple) else (said, None)
        number = float(value)
    except Exception as error:  # the user's function
        raise ReplayError(f"the scorer failed: {type(error).__name__}: {error}") from error
    if not math.isfinite(number):
        raise ReplayError(f"the scorer said {number}, which is no quality")
    return Grade(number, str(reason) if reason else None)


async def _wait_for(said: Any) -> Any:
    return await said
