"""Counts that cannot be inclusive: more was read from and written to the cache than was sent.

Anthropic's API leaves the cache out of its input, and several instrumentations write what it says. Where
their tables do not know by themselves, this shows it. Repeatable, since the sum is never exceeded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from otel_agents import semconv as sc
from otel_agents.normalize.conditions import Not, all_of, attribute, either, has, scope
from otel_agents.normalize.dialect import COUNTED, Dialect
from otel_agents.normalize.record import Record, integer
from otel_agents.normalize.rules import Sum

_RULE: Final = "semantic-conventions-genai v0.1.0: input_tokens includes cached tokens"
_PARTS: Final = (sc.USAGE_CACHE_READ, sc.USAGE_CACHE_WRITE)


@dataclass(frozen=True, slots=True)
class Exceeded:
    """The counts in ``parts``, or one of them, are above the one in ``whole``."""

    whole: str
    parts: tuple[str, str]

    def holds(self, record: Record) -> bool:
        whole = integer(record.attributes.get(self.whole))
        parts = [integer(record.attributes.get(one)) or 0 for one in self.parts]
        return whole is not None and max(*parts, sum(parts)) > whole

    def ottl(self) -> str:
        whole = f"Int({attribute(self.whole)})"
        one, other = (f"Int({attribute(part)})" for part in self.parts)
        both = " and ".join(f"{attribute(part)} != nil" for part in self.parts)
        return f"({one} > {whole} or {other} > {whole} or ({both} and {one} + {other} > {whole}))"


INCLUSIVE: Final = Dialect(
    name="inclusive",
    title="counts that leave out the cache, whoever wrote them",
    marks=all_of(
        has(*_PARTS),
        has(sc.USAGE_INPUT_TOKENS),
        either(sc.OPERATION_NAME, *sorted(sc.INFERENCE_OPERATIONS)),
        Not(scope(sc.SCOPE_NAME)),
        Not(has(COUNTED)),
    ),
    rules=(
        Sum(
            sc.USAGE_INPUT_TOKENS,
            (sc.USAGE_INPUT_TOKENS, *_PARTS),
            (sc.USAGE_INPUT_TOKENS,),
            _RULE,
            when=Exceeded(sc.USAGE_INPUT_TOKENS, _PARTS),
            replaces=True,
        ),
    ),
    everywhere=True,
)
