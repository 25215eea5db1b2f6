"""Lists that are spread over attributes with numbers in their names, as messages, tools and documents.

``llm.input_messages.0.message.role``, ``gen_ai.prompt.0.content`` and the like become one list. OTTL has
no loops: there, the statements are written out for a fixed number of elements, the originals of a list
that is longer stay, and how many elements were left out is said on the span.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from otel_agents.normalize.conditions import Condition, attribute, quoted
from otel_agents.normalize.record import Record
from otel_agents.normalize.rules import REMOVES, Group, Where, as_json, parsed

#: On a span behind a Collector: elements of lists that it left out.
CUT: Final = "otel_agents.normalize.cut"
#: Under this name a list grows among the span's attributes, from one group of statements to the next.
_GROWING: Final = attribute("otel_agents.normalize.growing")


@dataclass(frozen=True, slots=True)
class Messages:
    """Messages in attributes ``{prefix}.{number}{field}``.

    Attributes:
        role: its field, "" where messages have none; then, and where it is missing, ``default``.
        content: the text's.
        call_id: of a tool's message: the call that it answers.
        parts: several texts and images of one message: their prefix (after the number), and then the
            fields of kind, text and image URL.
        calls: tool calls: their prefix, and then the fields of id, name and arguments.
        finish: why the model stopped.
        cap, cap_parts, cap_calls: how many of each the Collector reads.
    """

    target: str
    prefix: str
    source: str
    default: str = "user"
    role: str = ""
    content: str = ""
    call_id: str = ""
    parts: tuple[str, str, str, str] | None = None
    calls: tuple[str, str, str, str] | None = None
    finish: str = ""
    when: Condition | None = None
    cap: int = 20
    cap_parts: int = 2
    cap_calls: int = 2
    where: Where = "both"

    # --- Python ------------------------------------------------------------------------------------
    def apply(self, record: Record) -> None:
        if self.target in record.attributes or (self.when is not None and not self.when.holds(record)):
            return
        found = elements(record.attributes, self.prefix)
        messages = [one for fields in found if (one := self._message(fields)) is not None]
        if messages:
            record.attributes[self.target] = as_json(messages)
            spend(record, self.prefix)

    def _message(self, fields: Mapping[str, Any]) -> dict[str, Any] | None:
        content = fields.get(self.content)
        calls = [] if self.calls is None else [*elements(fields, self.calls[0])]
        role = fields.get(self.role) if self.role else None
        if role is None and content is None and not calls:
            return None
        role = role if isinstance(role, str) and _ROLE.match(role) else self.default
        parts: list[dict[str, Any]] = []
        if role == "tool" and (answered := fields.get(self.call_id)) is not None and self.call_id:
            parts.append({"type": "tool_call_response", "id": answered, "response": content})
        elif content is not None and content != "":
            parts.append({"type": "text", "content": content})
        if self.parts is not None:
            parts += [part for one in elements(fields, self.parts[0]) if (part := self._part(one))]
        parts += [made for one in calls if (made := self._call(one))]
        message: dict[str, Any] = {"role": role, "parts": parts}
        if self.finish and (finish := fields.get(self.finish)) is not None:
            message["finish_reason"] = finish
        return message

    def _part(self, fields: Mapping[str, Any]) -> dict[str, Any] | None:
        assert self.parts is not None
        _, kind, text, image = self.parts
        if (said := fields.get(text)) is not None:
            return {"type": "reasoning" if fields.get(kind) == "reasoning" else "text", "content": said}
        if isinstance(url := fields.get(image), str):
            if data := _DATA_URL.match(url):
                return {
                    "type": "blob",
                    "modality": "image",
                    "mime_type": data[1],
                    "content": url[data.end() :],
                }
            return {"type": "uri", "modality": "image", "uri": url}
        return None

    def _call(self, fields: Mapping[str, Any]) -> dict[str, Any] | None:
        assert self.calls is not None
        _, identity, name, arguments = self.calls
        if (called := fields.get(name)) is None:
            return None
        made: dict[str, Any] = {"type": "tool_call", "name": called}
        if (found := fields.get(identity)) is not None:
            made["id"] = found
        if (given := fields.get(arguments)) is not None:
            structured = parsed(given)
            made["arguments"] = structured if isinstance(structured, (dict, list)) else given
        return made

    # --- OTTL --------------------------------------------------------------------------------------
    def groups(self, number: int) -> Iterator[Group]:
        common = _new(self.target, self.when)
        first = [f"{self.prefix}.0{field}" for field in (self.role, self.content) if field]
        if self.calls is not None:
            first.append(f"{self.prefix}.0{self.calls[0]}.0{self.calls[2]}")
        for at in range(self.cap):
            there = " or ".join(attribute(one.replace(".0", f".{at}", 1)) + " != nil" for one in first)
            yield Group(tuple(self._statements(f"{self.prefix}.{at}")), (*common, f"({there})"))
        probe = self.role or self.content
        yield from _finished(self.target, self.prefix, probe, self.cap, common)

    def _statements(self, prefix: str) -> Iterator[str]:
        role, parts = 'cache["role"]', 'cache["parts"]'
        if self.role:
            given = attribute(prefix + self.role)
            yield f'set({role}, {given}) where IsMatch({given}, "{_ROLE.pattern}")'
        yield f"set({role}, {quoted(self.default)}) where {role} == nil"
        content = attribute(prefix + self.content)
        if self.call_id:
            answered = attribute(prefix + self.call_id)
            made = f'{{"type": "tool_call_response", "id": {answered}, "response": {content}}}'
            yield f'set(cache["answer"], {made}) where {role} == "tool" and {answered} != nil'
            yield f'set({parts}, String(cache["answer"])) where cache["answer"] != nil'
        said = f'cache["answer"] == nil and {content} != nil and {content} != ""'
        yield f'set(cache["text"], {{"type": "text", "content": {content}}}) where {said}'
        yield from _appended(parts, 'cache["text"]')
        if self.parts is not None:
            for at in range(self.cap_parts):
                yield from self._ottl_part(f"{prefix}{self.parts[0]}.{at}", f'cache["part{at}"]')
                yield from _appended(parts, f'cache["part{at}"]')
        if self.calls is not None:
            for at in range(self.cap_calls):
                yield from self._ottl_call(f"{prefix}{self.calls[0]}.{at}", at)
                yield from _appended(parts, f'cache["call{at}"]')
        yield f'set({parts}, "") where {parts} == nil'
        yield 'set(cache["end"], "")'
        if self.finish:
            finish = attribute(prefix + self.finish)
            made = f'Format(",\\"finish_reason\\":\\"%s\\"", [{finish}])'
            yield f'set(cache["end"], {made}) where IsMatch({finish}, "{_ROLE.pattern}")'
        message = f'Format("{{\\"role\\":\\"%s\\",\\"parts\\":[%s]%s}}", [{role}, {parts}, cache["end"]])'
        yield f'set(cache["message"], {message})'
        yield from _grown('cache["message"]')

    def _ottl_part(self, prefix: str, part: str) -> Iterator[str]:
        assert self.parts is not None
        kind, text, image = (attribute(prefix + field) for field in self.parts[1:])
        yield f'set({part}, {{"type": "text", "content": {text}}}) where {text} != nil'
        yield f'set({part}["type"], "reasoning") where {text} != nil and {kind} == "reasoning"'
        url = f"{text} == nil and IsString({image})"
        yield f'set({part}, {{"type": "uri", "modality": "image", "uri": {image}}}) where {url}'
        data = f"{url} and IsMatch({image}, {quoted(_DATA_URL.pattern)})"
        made = f'{{"type": "blob", "modality": "image", "mime_type": {image}, "content": {image}}}'
        yield f"set({part}, {made}) where {data}"
        yield f'replace_pattern({part}["mime_type"], "(?s)^data:([^;,]*).*$", "$1") where {data}'
        yield f'replace_pattern({part}["content"], {quoted(_DATA_URL.pattern)}, "") where {data}'

    def _ottl_call(self, prefix: str, at: int) -> Iterator[str]:
        assert self.calls is not None
        identity, name, given = (attribute(prefix + field) for field in self.calls[1:])
        call, arguments = f'cache["call{at}"]', f'cache["arguments{at}"]'
        yield f'set({call}, {{"type": "tool_call", "name": {name}}}) where {name} != nil'
        yield f'set({call}["id"], {identity}) where {call} != nil and {identity} != nil'
        yield f"set({arguments}, ParseJSON({given})) where {call} != nil and IsString({given})"
        yield f'set({call}["arguments"], {arguments}) where {call} != nil and {arguments} != nil'
        rest = f"{call} != nil and {arguments} == nil and {given} != nil"
        yield f'set({call}["arguments"], {given}) where {rest}'


@dataclass(frozen=True, slots=True)
class Items:
    """Things in attributes ``{prefix}.{number}{field}``: tools, documents.

    Attributes:
        fields: name in the list's maps → field; its JSON text is read as structure where ``structured``
            has its name.
        constant: further entries of every map.
        raw: the field that is all of a tool's definition, as JSON text; instead of ``fields``.
        probe: the field that every element has.
        cap: how many the Collector reads.
    """

    target: str
    prefix: str
    source: str
    probe: str
    fields: tuple[tuple[str, str], ...] = ()
    structured: tuple[str, ...] = ()
    constant: tuple[tuple[str, str], ...] = ()
    raw: str = ""
    when: Condition | None = None
    cap: int = 10
    where: Where = "both"

    def apply(self, record: Record) -> None:
        if self.target in record.attributes or (self.when is not None and not self.when.holds(record)):
            return
        made = [self._item(one) for one in elements(record.attributes, self.prefix) if self.probe in one]
        made = [one for one in made if one]
        if made:
            record.attributes[self.target] = as_json(made)
            spend(record, self.prefix)

    def _item(self, found: Mapping[str, Any]) -> Any:
        if self.raw:
            whole = parsed(found.get(self.raw))
            return tool_definition(whole) if isinstance(whole, dict) else None
        item: dict[str, Any] = dict(self.constant)
        for name, field in self.fields:
            value = found.get(field)
            if value is None:
                continue
            structure = parsed(value) if name in self.structured else None
            item[name] = structure if isinstance(structure, (dict, list)) else value
        return item

    def groups(self, number: int) -> Iterator[Group]:
        common = _new(self.target, self.when)
        for at in range(self.cap):
            prefix = f"{self.prefix}.{at}"
            statements = []
            if self.raw:
                given = attribute(prefix + self.raw)
                statements.append(f'set(cache["item"], ParseJSON({given})) where IsString({given})')
                statements.append(f'set(cache["item"], {given}) where IsMap({given})')
                # Chat Completions' form has it all one level deeper.
                statements.append('set(cache["inner"], cache["item"]["function"]) where cache["item"] != nil')
                statements.append('set(cache["inner"]["type"], "function") where IsMap(cache["inner"])')
                statements.append('set(cache["item"], cache["inner"]) where IsMap(cache["inner"])')
            else:
                always = ", ".join(f"{quoted(name)}: {quoted(value)}" for name, value in self.constant)
                statements.append(f'set(cache["item"], {{{always}}})')
                for name, field in self.fields:
                    given = attribute(prefix + field)
                    item = f'cache["item"][{quoted(name)}]'
                    statements.append(f"set({item}, {given}) where {given} != nil")
                    if name in self.structured:
                        statements.append(f"set({item}, ParseJSON({given})) where IsString({given})")
            statements.append('set(cache["text"], String(cache["item"])) where cache["item"] != nil')
            statements += _grown('cache["text"]')
            yield Group(tuple(statements), (*common, f"{attribute(prefix + self.probe)} != nil"))
        yield from _finished(self.target, self.prefix, self.probe, self.cap, common)


@dataclass(frozen=True, slots=True)
class Tools:
    """``gen_ai.tool.definitions`` in the conventions' form, from a list of tools in another one.

    Attributes:
        given: JSON text of a list, or a list of JSON texts; may be the target itself.
        cap: with more tools than that, the Collector leaves them as they are.
    """

    given: str
    source: str
    cap: int = 12
    where: Where = "both"

    def apply(self, record: Record) -> None:
        if self.given != _TOOLS and _TOOLS in record.attributes:
            return
        found = parsed(record.attributes.get(self.given))
        if not isinstance(found, (list, tuple)):
            return
        many = [parsed(one) for one in found]
        if many and all(isinstance(one, dict) for one in many):
            record.attributes[_TOOLS] = as_json([tool_definition(one) for one in many])
            if self.given != _TOOLS:
                record.spent.add(self.given)

    def groups(self, number: int) -> Iterator[Group]:
        given, many, made = attribute(self.given), 'cache["many"]', 'cache["made"]'
        statements = [
            f'set({many}, ParseJSON({given})) where IsString({given}) and HasPrefix({given}, "[")',
            f"set({many}, {given}) where IsList({given})",
            f'set(cache["count"], Len({many})) where {many} != nil',
            f'delete_key(cache, "count") where cache["count"] > {self.cap}',
        ]
        for at in range(self.cap):
            one, inner = f'cache["tool{at}"]', f'cache["inner{at}"]'
            there = f'cache["count"] > {at}'
            statements += [
                f"set({one}, {many}[{at}]) where {there}",
                f"set({one}, ParseJSON({many}[{at}])) where {there} and IsString({many}[{at}])",
                f'set({inner}, {one}["function"]) where IsMap({one})',
                f'set({inner}["type"], "function") where IsMap({inner})',
                f"set({one}, {inner}) where IsMap({inner})",
            ]
            for name in _SCHEMAS:
                schema = f'IsMap({one}) and {one}["{name}"] != nil'
                statements.append(f'set({one}["parameters"], {one}["{name}"]) where {schema}')
                statements.append(f'delete_key({one}, "{name}") where IsMap({one})')
            statements += _appended(made, one)
        whole = f'Concat(["[", {made}, "]"], "")'
        statements.append(f"set({attribute(_TOOLS)}, {whole}) where {made} != nil")
        if self.given != _TOOLS:
            gone = f"{made} != nil and {REMOVES}"
            statements.append(f"delete_key(span.attributes, {quoted(self.given)}) where {gone}")
        conditions = [f"{given} != nil"]
        if self.given != _TOOLS:
            conditions.append(f"{attribute(_TOOLS)} == nil")
        yield Group(tuple(statements), tuple(conditions))


_TOOLS: Final = "gen_ai.tool.definitions"
#: What others call a tool's parameters: the AI SDK, Anthropic.
_SCHEMAS: Final = ("inputSchema", "input_schema")


def tool_definition(given: Mapping[str, Any]) -> dict[str, Any]:
    """A tool as the conventions have it, from the forms of Chat Completions, Anthropic and the AI SDK."""
    inner = given.get("function")
    made = {**inner, "type": "function"} if isinstance(inner, Mapping) else dict(given)
    for name in _SCHEMAS:
        if (schema := made.pop(name, None)) is not None:
            made["parameters"] = schema
    return made


def elements(attributes: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """The fields of every element, in order; their names start with a dot."""
    found: dict[int, dict[str, Any]] = {}
    start = prefix + "."
    for key, value in attributes.items():
        if not key.startswith(start):
            continue
        number, dot, field = key[len(start) :].partition(".")
        if dot and number.isascii() and number.isdigit() and len(number) < 6:
            found.setdefault(int(number), {})["." + field] = value
    return [found[number] for number in sorted(found)]


def spend(record: Record, prefix: str) -> None:
    """Has every attribute of a list removed with the originals."""
    element = re.compile(re.escape(prefix) + r"\.[0-9]+\.")  # gen_ai.prompt.name is none of gen_ai.prompt.0
    record.spent.update(key for key in record.attributes if element.match(key))


_ROLE: Final = re.compile(r"^[A-Za-z0-9_-]+$")
_DATA_URL: Final = re.compile(r"^data:([^;,]*);base64,")


def _new(target: str, when: Condition | None) -> tuple[str, ...]:
    missing = f"{attribute(target)} == nil"
    return (missing,) if when is None else (when.ottl(), missing)


def _appended(whole: str, one: str) -> Iterator[str]:
    """To ``whole``, text of elements parted by commas, another one (a map) is added if there is one."""
    yield f'set({whole}, Concat([{whole}, String({one})], ",")) where {one} != nil and {whole} != nil'
    yield f"set({whole}, String({one})) where {one} != nil and {whole} == nil"


def _grown(text: str) -> list[str]:
    """To the growing list, another element (JSON text) is added."""
    return [
        f'set({text}, Concat([{_GROWING}, {text}], ",")) where {_GROWING} != nil and {text} != nil',
        f"set({_GROWING}, {text}) where {text} != nil",
    ]


def _finished(target: str, prefix: str, probe: str, cap: int, conditions: tuple[str, ...]) -> Iterator[Group]:
    """The grown list becomes the target; what is beyond ``cap`` is counted, and the originals then stay."""
    start = re.escape(prefix)
    probes = quoted(f"^{start}\\.[0-9]+{re.escape(probe)}$")
    elements_ = quoted(f"^{start}\\.[0-9]+\\.")
    left = f'cache["left"] == 0 and {REMOVES}'
    yield Group(
        (
            f'set({attribute(target)}, Concat(["[", {_GROWING}, "]"], ""))',
            'delete_key(span.attributes, "otel_agents.normalize.growing")',
            'set(cache["all"], span.attributes)',
            f'keep_matching_keys(cache["all"], {probes})',
            *(f'delete_key(cache["all"], {quoted(f"{prefix}.{at}{probe}")})' for at in range(cap)),
            'set(cache["left"], Len(cache["all"]))',
            f'set(cache["before"], {attribute(CUT)})',
            'set(cache["before"], 0) where cache["before"] == nil',
            f'set({attribute(CUT)}, cache["before"] + cache["left"]) where cache["left"] > 0',
            f"delete_matching_keys(span.attributes, {elements_}) where {left}",
        ),
        (*conditions, f"{_GROWING} != nil"),
    )
