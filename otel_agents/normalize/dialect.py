"""One dialect: how its spans are told from others, and what is done with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from otel_agents import semconv
from otel_agents.normalize.conditions import Condition
from otel_agents.normalize.record import Record
from otel_agents.normalize.rules import Rule

#: On a span that was rewritten: the dialect that it was in. Such a span is left alone afterwards.
NORMALIZED: Final = "otel_agents.normalized"
#: On the copy of a span that tells of a model call which another span tells already.
DUPLICATE_OF: Final = "otel_agents.duplicate_of"
#: On a span whose counts were put there by the hook on the wire, and so are inclusive.
COUNTED: Final = "otel_agents.counted"


@dataclass(frozen=True, slots=True)
class Dialect:
    """A table of rules.

    Attributes:
        name: said on spans that were rewritten by it.
        title: for people, with the versions that it was read from.
        marks: what only spans of this dialect have.
        rules: applied in order.
        everywhere: also applied to our own spans and after another dialect, and not said on the span:
            plain renames, which may be repeated.
    """

    name: str
    title: str
    marks: Condition
    rules: tuple[Rule, ...]
    everywhere: bool = False

    def speaks(self, record: Record) -> bool:
        """Whether the record is one of this dialect's."""
        return self.marks.holds(record)

    def apply(self, record: Record) -> None:
        """Applies the rules that run in Python."""
        for rule in self.rules:
            if rule.where != "ottl":
                rule.apply(record)
        if not self.everywhere:
            record.attributes[NORMALIZED] = self.name


def is_done(record: Record) -> bool:
    """Whether nothing is to be looked for: ours, rewritten already, or told elsewhere."""
    given = record.attributes
    return record.scope == semconv.SCOPE_NAME or NORMALIZED in given or DUPLICATE_OF in given
