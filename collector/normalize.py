"""Writes the normaliser's tables as OTTL: ``python collector/normalize.py`` (``--check`` only compares).

The tables are otel_agents/normalize/. Two files get the same processor, ``transform/normalize``:

* otel-collector.yaml, between two marks: the Collector of this project;
* collector/normalize.yaml: an overlay for a configuration of your own, with
  ``otelcol-contrib --config yours.yaml --config normalize.yaml`` and the processor's name in a pipeline.

Only functions of the stock transform processor are used. OTTL has no loops: what is a list in indexed
attributes is written out for a fixed number of elements, and what is beyond it is counted on the span.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from otel_agents.normalize.dialect import DUPLICATE_OF, NORMALIZED, Dialect
from otel_agents.normalize.dialects import DIALECTS
from otel_agents.normalize.rules import MODE, Group
from otel_agents.semconv import SCOPE_NAME

HERE = Path(__file__).resolve().parent
CONFIGURATION = HERE.parent / "otel-collector.yaml"
OVERLAY = HERE / "normalize.yaml"
BEGIN = "  # ---- other conventions: made by collector/normalize.py from otel_agents/normalize/ ----\n"
END = "  # ---- end of what collector/normalize.py made ----\n"

_HEAD = """\
  # Spans of other instrumentations in the words of the GenAI conventions; docs/dialects.md lists them.
  # OTEL_AGENTS_NORMALIZE: on removes what was carried over, keep leaves it beside, off does nothing.
  # Silent, because text that is no JSON is an error to it, and is to be expected.
  transform/normalize:
    error_mode: silent
    trace_statements:
"""
_OVERLAY_HEAD = """\
# Made by collector/normalize.py from otel_agents/normalize/: do not edit.
#
# An overlay for a Collector of your own: otelcol-contrib --config yours.yaml --config normalize.yaml,
# with transform/normalize named first in a pipeline of traces. otel-collector.yaml has it already.

processors:
"""

_ENABLED = f'"{MODE}" != "off"'


def section() -> str:
    """The processor, without the marks."""
    return "".join([_HEAD, *(line for dialect in DIALECTS for line in _dialect(dialect))])


def _dialect(dialect: Dialect) -> Iterator[str]:
    yield f"      # {dialect.title}\n"
    new = f'span.attributes["{NORMALIZED}"] == nil'
    foreign = f'instrumentation_scope.name != "{SCOPE_NAME}" and span.attributes["{DUPLICATE_OF}"] == nil'
    if dialect.everywhere:
        common = [_ENABLED, dialect.marks.ottl()]
    else:
        said = f'span.attributes["{NORMALIZED}"] == "{dialect.name}#"'
        mark = f'set(span.attributes["{NORMALIZED}"], "{dialect.name}#")'
        conditions = [_ENABLED, foreign, new, dialect.marks.ottl()]
        yield from _group(Group((mark,)), conditions)
        common = [said]
    merged: list[Group] = []
    for number, rule in enumerate(dialect.rules):
        if rule.where == "python" and not getattr(rule, "ottl", ()):
            continue
        for group in rule.groups(number):
            last = merged[-1] if merged else None
            if last is not None and (last.conditions, last.context) == (group.conditions, group.context):
                merged[-1] = Group(last.statements + group.statements, group.conditions, group.context)
            else:
                merged.append(group)
    for group in merged:
        yield from _group(group, [*common, *group.conditions])
    if not dialect.everywhere:
        yield from _group(Group((f'set(span.attributes["{NORMALIZED}"], "{dialect.name}")',)), common)


def _group(group: Group, conditions: list[str]) -> Iterator[str]:
    yield f"      - context: {group.context}\n"
    yield f"        conditions: [{_quoted(' and '.join(conditions))}]\n"
    yield "        statements:\n"
    for statement in group.statements:
        yield f"          - {_quoted(statement)}\n"


def _quoted(statement: str) -> str:
    """For YAML, and past the Collector's own reading of ``$``, but for the one variable."""
    text = statement.replace("$", "$$").replace("'", "''")
    return "'" + text.replace(MODE, "${env:OTEL_AGENTS_NORMALIZE:-on}") + "'"


def configuration_with(current: str) -> str:
    """otel-collector.yaml with the section as it should be."""
    before, _, rest = current.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"{CONFIGURATION} has lost the lines that mark the section")
    return before + BEGIN + section() + END + after


def overlay() -> str:
    """collector/normalize.yaml as it should be."""
    return _OVERLAY_HEAD + section()


if __name__ == "__main__":
    configuration = CONFIGURATION.read_text(encoding="utf-8")
    wanted = {CONFIGURATION: configuration_with(configuration), OVERLAY: overlay()}
    for path, text in wanted.items():
        if "--check" in sys.argv:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                sys.exit(f"{path}: run {sys.argv[0]}")
        else:
            path.write_text(text, encoding="utf-8")
