"""Rules that read or write JSON: fields of an object, messages of plain text, keys renamed in a text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from otel_agents.normalize.conditions import Condition, attribute, quoted
from otel_agents.normalize.record import Record
from otel_agents.normalize.rule import (
    REMOVES,
    Group,
    Kind,
    Where,
    as_json,
    as_text,
    converted,
    ottl_converted,
    parsed,
)

_PLACE: Final = re.compile(r"\$([0-9])")


@dataclass(frozen=True, slots=True)
class Fields:
    """Fields of one attribute that holds a JSON object as text (or a map).

    Attributes:
        given: the attribute.
        wanted: ``(target, path, kind)``; a target that is there stays as it is.
    """

    given: str
    wanted: tuple[tuple[str, tuple[str, ...], Kind], ...]
    source: str
    when: Condition | None = None
    where: Where = "both"

    def apply(self, record: Record) -> None:
        if self.when is not None and not self.when.holds(record):
            return
        found = parsed(record.attributes.get(self.given))
        if not isinstance(found, Mapping):
            return
        for target, path, kind in self.wanted:
            value: Any = found
            for step in path:
                value = value.get(step) if isinstance(value, Mapping) else None
            value = converted(value, kind)
            if value is not None and target not in record.attributes:
                record.attributes[target] = value

    def groups(self, number: int) -> Iterator[Group]:
        found = f'cache["fields{number}"]'
        given = attribute(self.given)
        statements = [
            f'set({found}, ParseJSON({given})) where IsString({given}) and HasPrefix({given}, "{{")',
            f"set({found}, {given}) where IsMap({given})",
        ]
        for target, path, kind in self.wanted:
            steps = "".join(f"[{quoted(step)}]" for step in path)
            value = ottl_converted(f"{found}{steps}", kind)
            there = f"{found} != nil and {attribute(target)} == nil and {found}{steps} != nil"
            statements.append(f"set({attribute(target)}, {value}) where {there}")
        yield Group(tuple(statements), () if self.when is None else (self.when.ottl(),))


@dataclass(frozen=True, slots=True)
class Said:
    """``target`` is a list of one message: the text of the first of ``sources`` that is there.

    What agents and workflows were given and what they answered has no structure of its own.
    """

    target: str
    sources: tuple[str, ...]
    role: str
    source: str
    when: Condition | None = None
    where: Where = "both"

    def apply(self, record: Record) -> None:
        if self.target in record.attributes or (self.when is not None and not self.when.holds(record)):
            return
        for key in self.sources:
            value = record.attributes.get(key)
            if value is not None and value != "":
                part = {"type": "text", "content": as_text(value)}
                record.attributes[self.target] = as_json([{"role": self.role, "parts": [part]}])
                record.spent.add(key)
                return

    def groups(self, number: int) -> Iterator[Group]:
        target = attribute(self.target)
        part = f'cache["said{number}"]'
        conditions = [f"{target} == nil"]
        if self.when is not None:
            conditions.append(self.when.ottl())
        statements = []
        for key in self.sources:
            given = attribute(key)
            here = " and ".join([f"{part} == nil", *conditions, f"{given} != nil", f'{given} != ""'])
            statements.append(f'set({part}, {{"type": "text", "content": String({given})}}) where {here}')
            start = quoted(f'[{{"role":"{self.role}","parts":[')
            made = f'Concat([{start}, String({part}), "]}}]"], "")'
            statements.append(f"set({target}, {made}) where {part} != nil and {target} == nil")
            gone = f"{part} != nil and {given} != nil and {REMOVES}"
            statements.append(f"delete_key(span.attributes, {quoted(key)}) where {gone}")
        yield Group(tuple(statements))


@dataclass(frozen=True, slots=True)
class Rewritten:
    """``target`` is the JSON text of ``given`` with keys renamed and the like, by regular expressions.

    For lists of messages whose elements have the right order and other names: text is the only thing that
    OTTL can go through from one end to the other. A quote inside a JSON string is escaped, so ``"name":``
    matches only where a name is. Replacements are written with ``$1``; Go and Python read the same ones.

    Attributes:
        changes: pattern and replacement, applied in order.
        guard: what the text has to match at first.
    """

    target: str
    given: str
    changes: tuple[tuple[str, str], ...]
    source: str
    guard: str = r"^\["
    when: Condition | None = None
    spends: bool = False
    where: Where = "both"

    def apply(self, record: Record) -> None:
        text = record.attributes.get(self.given)
        if self.target != self.given and self.target in record.attributes:
            return
        if not isinstance(text, str) or not re.search(self.guard, text):
            return
        if self.when is not None and not self.when.holds(record):
            return
        for pattern, replacement in self.changes:
            text = re.sub(pattern, _PLACE.sub(r"\\g<\1>", replacement), text)
        record.attributes[self.target] = text
        if self.spends:
            record.spent.add(self.given)

    def groups(self, number: int) -> Iterator[Group]:
        text, given = f'cache["text{number}"]', attribute(self.given)
        conditions = [f"IsString({given})", f"IsMatch({given}, {quoted(self.guard)})"]
        if self.target != self.given:
            conditions.append(f"{attribute(self.target)} == nil")
        if self.when is not None:
            conditions.append(self.when.ottl())
        statements = [f"set({text}, {given}) where {' and '.join(conditions)}"]
        for pattern, replacement in self.changes:
            change = _PLACE.sub(r"${\1}", replacement)
            statements.append(
                f"replace_pattern({text}, {quoted(pattern)}, {quoted(change)}) where {text} != nil"
            )
        statements.append(f"set({attribute(self.target)}, {text}) where {text} != nil")
        if self.spends:
            gone = f"{text} != nil and {REMOVES}"
            statements.append(f"delete_key(span.attributes, {quoted(self.given)}) where {gone}")
        yield Group(tuple(statements))
