"""When a rule applies: predicates that are read by Python and written as OTTL.

Both prints of one condition stand together, so that the two runners cannot drift apart unseen.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from otel_agents.normalize.record import Record


class Condition(Protocol):
    """Holds for a record or not; ``ottl`` is the same as an OTTL condition on a span."""

    def holds(self, record: Record) -> bool: ...

    def ottl(self) -> str: ...


def attribute(key: str) -> str:
    """The OTTL path of a span's attribute."""
    return f"span.attributes[{quoted(key)}]"


def quoted(text: str) -> str:
    """An OTTL string."""
    return json.dumps(text, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Has:
    """One of the attributes is there."""

    keys: tuple[str, ...]

    def holds(self, record: Record) -> bool:
        return any(key in record.attributes for key in self.keys)

    def ottl(self) -> str:
        return _joined([f"{attribute(key)} != nil" for key in self.keys], " or ")


@dataclass(frozen=True, slots=True)
class Is:
    """An attribute has one of the values."""

    key: str
    values: tuple[str | bool, ...]

    def holds(self, record: Record) -> bool:
        found = record.attributes.get(self.key)
        return any(type(found) is type(value) and found == value for value in self.values)

    def ottl(self) -> str:
        said = [quoted(one) if isinstance(one, str) else str(one).lower() for one in self.values]
        return _joined([f"{attribute(self.key)} == {one}" for one in said], " or ")


@dataclass(frozen=True, slots=True)
class Number:
    """An attribute is this number."""

    key: str
    value: int

    def holds(self, record: Record) -> bool:
        found = record.attributes.get(self.key)
        return isinstance(found, (int, float)) and not isinstance(found, bool) and found == self.value

    def ottl(self) -> str:
        return f"{attribute(self.key)} == {self.value}"


@dataclass(frozen=True, slots=True)
class Scope:
    """The instrumentation scope has one of the names; ``*`` at either end of one stands for any rest."""

    names: tuple[str, ...]

    def holds(self, record: Record) -> bool:
        return any(_named(record.scope, name) for name in self.names)

    def ottl(self) -> str:
        return _joined([_ottl_named("instrumentation_scope.name", name) for name in self.names], " or ")


@dataclass(frozen=True, slots=True)
class Named:
    """The span has one of the names; ``*`` as in :class:`Scope`."""

    names: tuple[str, ...]

    def holds(self, record: Record) -> bool:
        return any(_named(record.name, name) for name in self.names)

    def ottl(self) -> str:
        return _joined([_ottl_named("span.name", name) for name in self.names], " or ")


@dataclass(frozen=True, slots=True)
class All:
    """Every one of the conditions holds."""

    conditions: tuple[Condition, ...]

    def holds(self, record: Record) -> bool:
        return all(one.holds(record) for one in self.conditions)

    def ottl(self) -> str:
        return _joined([one.ottl() for one in self.conditions], " and ")


@dataclass(frozen=True, slots=True)
class Any:
    """One of the conditions holds."""

    conditions: tuple[Condition, ...]

    def holds(self, record: Record) -> bool:
        return any(one.holds(record) for one in self.conditions)

    def ottl(self) -> str:
        return _joined([one.ottl() for one in self.conditions], " or ")


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    condition: Condition

    def holds(self, record: Record) -> bool:
        return not self.condition.holds(record)

    def ottl(self) -> str:
        return f"not ({self.condition.ottl()})"


def has(*keys: str) -> Has:
    """One of the attributes is there."""
    return Has(keys)


def lacks(*keys: str) -> Condition:
    """None of the attributes is there."""
    return Not(Has(keys))


def either(key: str, *values: str | bool) -> Is:
    """The attribute has one of the values."""
    return Is(key, values)


def scope(*names: str) -> Scope:
    """The instrumentation scope is one of these; ``*`` at either end of a name stands for any rest."""
    return Scope(names)


def named(*names: str) -> Named:
    """The span's name is one of these; ``*`` at either end of a name stands for any rest."""
    return Named(names)


def all_of(*conditions: Condition) -> All:
    """Every condition."""
    return All(conditions)


def any_of(*conditions: Condition) -> Any:
    """One of the conditions."""
    return Any(conditions)


def _named(found: str, name: str) -> bool:
    if name.startswith("*"):
        return found.endswith(name[1:])
    return found.startswith(name[:-1]) if name.endswith("*") else found == name


def _ottl_named(path: str, name: str) -> str:
    if name.startswith("*"):
        return f"HasSuffix({path}, {quoted(name[1:])})"
    return f"HasPrefix({path}, {quoted(name[:-1])})" if name.endswith("*") else f"{path} == {quoted(name)}"


def _joined(parts: Sequence[str], word: str) -> str:
    return parts[0] if len(parts) == 1 else "(" + word.join(parts) + ")"
