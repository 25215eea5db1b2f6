"""The kinds of rules that a dialect's table is made of. Each runs in Python and is printed as OTTL.

A rule never overwrites what is there already unless it says so: what a span says in the conventions'
words is taken at its word. Every rule names its source: the page or the package, with version, that it
was read from.

OTTL has neither loops nor lambdas that are stable, so what needs them says ``python`` for where it runs,
or is written out for a fixed number of elements (see :mod:`otel_agents.normalize.indexed`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from otel_agents.normalize.conditions import Condition, attribute, quoted
from otel_agents.normalize.json_rules import Fields, Rewritten, Said
from otel_agents.normalize.record import Record, integer
from otel_agents.normalize.rule import (
    MODE,
    REMOVES,
    Group,
    Kind,
    Rule,
    Where,
    as_json,
    as_text,
    converted,
    ottl_converted,
    parsed,
)

__all__ = [
    "MODE",
    "REMOVES",
    "Copy",
    "Fields",
    "Group",
    "Make",
    "Prefixed",
    "Rewritten",
    "Rule",
    "Said",
    "Say",
    "Spend",
    "Sum",
    "Where",
    "as_json",
    "as_text",
    "parsed",
]


@dataclass(frozen=True, slots=True)
class Copy:
    """``target`` is the first of ``sources`` that is there (and fits), unless it is there itself.

    Attributes:
        values: what a source's value becomes; with ``only`` others are no value at all.
        kind: ``integer``, ``number`` and ``text`` convert, and a source that cannot be is skipped;
            ``list`` makes a list of one text, or of the JSON text of one; ``seconds`` divides milliseconds;
            ``head`` is the text before the first dot.
        replaces: also where ``target`` is there.
        spends: the sources are removed when originals are.
    """

    target: str
    sources: tuple[str, ...]
    source: str
    values: Mapping[str, str] = field(default_factory=dict)
    only: bool = False
    kind: Kind = "same"
    when: Condition | None = None
    replaces: bool = False
    spends: bool = False
    where: Where = "both"

    def apply(self, record: Record) -> None:
        given = record.attributes.get(self.target)
        if given is not None and not self.replaces:
            return
        if self.when is not None and not self.when.holds(record):
            return
        for key in self.sources:
            value = self._converted(record.attributes.get(key))
            if value is not None:
                record.attributes[self.target] = value
                if self.spends:
                    record.spent.add(key)
                return

    def _converted(self, value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, str) and value in self.values:
            return self.values[value]
        return None if self.only else converted(value, self.kind)

    def groups(self, number: int) -> Iterator[Group]:
        target = attribute(self.target)
        conditions = [] if self.replaces else [f"{target} == nil"]
        if self.when is not None:
            conditions.append(self.when.ottl())
        statements = []
        for key in self.sources:
            given = attribute(key)
            here = [*conditions, f"IsString({given})"]
            rest = [*conditions, f"{given} != nil"]
            if self.values:
                table = f'cache["values{number}"]'
                pairs = ", ".join(f"{quoted(old)}: {quoted(new)}" for old, new in self.values.items())
                statements.append(f"set({table}, {{{pairs}}}) where {table} == nil and {' and '.join(here)}")
                statements.append(f"set({target}, {table}[{given}]) where {' and '.join(here)}")
                if self.replaces:
                    rest.append(f"({table} == nil or {table}[{given}] == nil)")
            if self.only:
                continue
            if self.kind == "list":
                # The conditions of a statement must not see what the one before it has made.
                made = " and ".join([*rest, f"IsString({given})"])
                many = f'HasPrefix({given}, "[")'
                statements.append(f"set({target}, [{given}]) where {made} and not ({many})")
                statements.append(f"set({target}, ParseJSON({given})) where {made} and {many}")
                if key == self.target:
                    continue
                rest.append(f"not (IsString({given}))")
            statements.append(f"set({target}, {ottl_converted(given, self.kind)}) where {' and '.join(rest)}")
        if self.spends:
            for key in self.sources:
                statements.append(
                    f"delete_key(span.attributes, {quoted(key)}) where {target} != nil and {REMOVES}"
                )
        yield Group(tuple(statements))


@dataclass(frozen=True, slots=True)
class Say:
    """``target`` is ``value`` when the condition holds, unless it is there already."""

    target: str
    value: str | bool
    when: Condition
    source: str
    replaces: bool = False
    where: Where = "both"

    def apply(self, record: Record) -> None:
        if (self.replaces or self.target not in record.attributes) and self.when.holds(record):
            record.attributes[self.target] = self.value

    def groups(self, number: int) -> Iterator[Group]:
        target = attribute(self.target)
        missing = [] if self.replaces else [f"{target} == nil"]
        conditions = " and ".join([*missing, self.when.ottl()])
        value = quoted(self.value) if isinstance(self.value, str) else str(self.value).lower()
        yield Group((f"set({target}, {value}) where {conditions}",))


@dataclass(frozen=True, slots=True)
class Sum:
    """``target`` is the sum of the numbers in ``sources``, of which ``needs`` have to be there.

    For dialects that count exclusively: the conventions' input includes what was read from and written
    to the cache, and their output includes reasoning.

    Attributes:
        replaces: also where ``target`` is there, as it is when it is one of ``sources``.
    """

    target: str
    sources: tuple[str, ...]
    needs: tuple[str, ...]
    source: str
    when: Condition | None = None
    replaces: bool = False
    where: Where = "both"

    def apply(self, record: Record) -> None:
        given = record.attributes
        if (self.target in given and not self.replaces) or not all(key in given for key in self.needs):
            return
        if self.when is not None and not self.when.holds(record):
            return
        given[self.target] = sum(integer(given.get(key)) or 0 for key in self.sources)

    def groups(self, number: int) -> Iterator[Group]:
        total = f'cache["sum{number}"]'
        needed = [f"{attribute(key)} != nil" for key in self.needs]
        if not self.replaces:
            needed.append(f"{attribute(self.target)} == nil")
        if self.when is not None:
            needed.append(self.when.ottl())
        statements = [f"set({total}, 0) where {' and '.join(needed)}"]
        for at, key in enumerate(self.sources):
            one = f'cache["sum{number}.{at}"]'
            statements.append(f"set({one}, Int({attribute(key)})) where {total} != nil")
            statements.append(f"set({total}, {total} + {one}) where {total} != nil and {one} != nil")
        statements.append(f"set({attribute(self.target)}, {total}) where {total} != nil")
        yield Group(tuple(statements))


@dataclass(frozen=True, slots=True)
class Spend:
    """Attributes that are removed with the originals once ``needs`` is there: it says the same.

    Attributes:
        keys: names; one that ends with ``.`` stands for all that start with it.
        needs: the attribute that has to be there; "" for none.
        always: removed whatever the setting, because they would be taken for something else.
    """

    keys: tuple[str, ...]
    source: str
    needs: str = ""
    when: Condition | None = None
    always: bool = False
    where: Where = "both"

    def apply(self, record: Record) -> None:
        if self.needs and self.needs not in record.attributes:
            return
        if self.when is not None and not self.when.holds(record):
            return
        found = [
            key
            for key in record.attributes
            if any(key.startswith(one) if one.endswith(".") else key == one for one in self.keys)
        ]
        if self.always:
            for key in found:
                del record.attributes[key]
        else:
            record.spent.update(found)

    def groups(self, number: int) -> Iterator[Group]:
        conditions = [] if self.always else [REMOVES]
        if self.needs:
            conditions.append(f"{attribute(self.needs)} != nil")
        if self.when is not None:
            conditions.append(self.when.ottl())
        where = f" where {' and '.join(conditions)}" if conditions else ""
        exact = [key for key in self.keys if not key.endswith(".")]
        statements = [f"delete_key(span.attributes, {quoted(key)}){where}" for key in exact]
        starts = [key.replace(".", "\\.") for key in self.keys if key.endswith(".")]
        if starts:
            pattern = quoted("^(" + "|".join(starts) + ")")
            statements.append(f"delete_matching_keys(span.attributes, {pattern}){where}")
        yield Group(tuple(statements))


@dataclass(frozen=True, slots=True)
class Prefixed:
    """Every attribute whose name starts with ``old`` under ``new`` instead, but for those in ``but``."""

    old: str
    new: str
    source: str
    but: tuple[str, ...] = ()
    where: Where = "both"

    def apply(self, record: Record) -> None:
        given = record.attributes
        for key in [one for one in given if one.startswith(self.old) and one not in self.but]:
            if key != self.old:
                given.setdefault(self.new + key[len(self.old) :], given[key])
                record.spent.add(key)

    def groups(self, number: int) -> Iterator[Group]:
        found = f'cache["prefixed{number}"]'
        start = re.escape(self.old)
        statements = [f"set({found}, span.attributes)"]
        statements.append(f"keep_matching_keys({found}, {quoted(f'^{start}.')})")
        statements += [f"delete_key({found}, {quoted(key)})" for key in self.but]
        statements.append(f'replace_all_patterns({found}, "key", {quoted("^" + start)}, {quoted(self.new)})')
        statements.append(f'merge_maps(span.attributes, {found}, "insert")')
        # What was left out is kept aside, since patterns of keys know no exceptions.
        kept = f'cache["kept{number}"]'
        if self.but:
            statements.append(f"set({kept}, span.attributes)")
            keys = ", ".join(quoted(key) for key in self.but)
            statements.append(f"keep_keys({kept}, [{keys}])")
        statements.append(f"delete_matching_keys(span.attributes, {quoted(f'^{start}.')}) where {REMOVES}")
        if self.but:
            statements.append(f'merge_maps(span.attributes, {kept}, "insert")')
        yield Group(tuple(statements))


#: What a rule of the Python runner alone makes of a record: the target's value, or None.
Build = Callable[[Record], Any]


@dataclass(frozen=True, slots=True)
class Make:
    """``target`` is what ``build`` answers (None: nothing), unless it is there; structures become JSON.

    For what OTTL cannot do. Where it can do part of it, ``ottl`` is that part.
    """

    target: str
    build: Build
    source: str
    when: Condition | None = None
    spends: tuple[str, ...] = ()
    ottl: Sequence[Group] = ()
    where: Where = "python"

    def apply(self, record: Record) -> None:
        if self.target in record.attributes or (self.when is not None and not self.when.holds(record)):
            return
        made = self.build(record)
        if made is None or made == []:
            return
        record.attributes[self.target] = made if isinstance(made, str) else as_json(made)
        for prefix in self.spends:
            record.spent.update(
                key for key in record.attributes if key == prefix or key.startswith(prefix + ".")
            )

    def groups(self, number: int) -> Iterator[Group]:
        for one in self.ottl:
            conditions = one.conditions
            if self.when is not None:
                conditions = (self.when.ottl(), *conditions)
            yield Group(one.statements, conditions, one.context)
