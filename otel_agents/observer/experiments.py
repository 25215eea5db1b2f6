"""``experiment(...)``: which variant somebody gets, the same one every time, and what is inside knows it."""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Mapping
from types import TracebackType
from typing import Generic, TypeVar

from otel_agents import semconv, values
from otel_agents.observer import registry
from otel_agents.observer.complaints import complain
from otel_agents.observer.state import enabled
from otel_agents.tracing import contexts, spans
from otel_agents.tracing.contexts import short_name

V = TypeVar("V")


class experiment(Generic[V]):
    """Gives one of several variants, by a hash of the experiment's name and a key: no state is kept.

    Everything inside ``with experiment(...) as chosen`` carries the experiment and the variant, as does
    the task that runs around it. Another variant takes only its share of the keys from the others; nobody
    else changes variants.

    Args:
        name: of the experiment, a configured name.
        variants: name → value, such as a version of a prompt.
        key: who gets the same variant every time; by default the current user, else the session, else
            chance decides.
        weights: name → share, relative to the others; by default all get the same.

    Attributes:
        name: of the experiment.
        variant: the name of the chosen variant; empty when there is none to choose from.
        value: of the chosen variant; None when there is none.
    """

    def __init__(
        self,
        name: str,
        variants: Mapping[str, V],
        key: object = None,
        *,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self.name = short_name(name)
        self.variant = ""
        self.value: V | None = None
        self._block: contexts.context | None = None
        try:
            chosen = _choose(self.name, dict(variants), _key(key), weights)
            if chosen is not None:
                self.variant, self.value = short_name(chosen), variants[chosen]
        except Exception:
            spans.note("choose a variant")
            complain("experiment() needs a mapping of variants")

    @property
    def metadata(self) -> dict[str, str]:
        """``experiment`` and ``variant``, for a task's metadata."""
        return {"experiment": self.name, "variant": self.variant} if self.variant else {}

    def __enter__(self) -> experiment[V]:
        if self.variant:
            self._block = contexts.context(experiment=self.name, variant=self.variant)
            self._block.__enter__()
            try:
                execution = registry.current() if enabled() else None
                if execution is not None:
                    named = {semconv.EXPERIMENT: self.name, semconv.VARIANT: self.variant}
                    spans.set_attributes(execution.span, named)
            except Exception:
                spans.note("mark an experiment")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        if self._block is not None:
            self._block.__exit__(exc_type, exc, traceback)

    async def __aenter__(self) -> experiment[V]:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.__exit__(exc_type, exc, traceback)

    def __repr__(self) -> str:
        return f"experiment({self.name!r}, variant={self.variant!r})"


def _choose(
    name: str, variants: Mapping[str, object], key: str, weights: Mapping[str, float] | None
) -> str | None:
    """Rendezvous hashing: every variant draws a number for the key, and the best one wins."""
    best: tuple[float, str] | None = None
    for variant in variants:
        weight = 1.0 if weights is None else _weight(weights.get(variant, 0.0))
        if weight <= 0:
            continue
        drawn = weight / -math.log(_draw(f"{name}\0{variant}\0{key}"))
        if best is None or drawn > best[0]:
            best = (drawn, variant)
    if best is None:
        complain(f"experiment {name[:40]!r} has no variant to choose from")
        return None
    return best[1]


def _draw(text: str) -> float:
    """A number between 0 and 1, both excluded, that follows from a text."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return min((int.from_bytes(digest[:8]) + 0.5) / 2**64, 1 - 2**-53)


def _weight(given: object) -> float:
    try:
        weight = float(given)  # type: ignore[arg-type]
    except Exception:
        weight = math.nan
    if not math.isfinite(weight) or weight < 0:
        complain("a variant's weight is no number from zero up; it counts as zero")
        return 0.0
    return weight


def _key(given: object) -> str:
    if given is not None:
        return values.to_text(given, 10_000)
    around = contexts.attributes()
    for name in (semconv.USER_ID, semconv.SESSION_ID):
        if found := around.get(name):
            return str(found)
    return secrets.token_hex(8)
