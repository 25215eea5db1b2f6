"""Writes the redaction policy into otel-collector.yaml: ``python collector/redaction.py``.

The policy is otel_agents/privacy/policy.py; a test fails when the file does not carry it. Written as
statements of the transform processor and not as lists of the redaction processor, because that

* puts ``****`` in the place of a whole match, name and quotes included, which leaves broken JSON, and
  sees neither lists nor a span's name and status;
* runs every expression over every text, of our own spans too, which are redacted already: 14 ms for a
  span with 20 KB of text, where all the rest of the pipeline takes 1 ms. Here an expression runs only
  on foreign spans that hold one of its hints, plain substrings that are found at the speed of memory.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from otel_agents.privacy.policy import KEY_PATTERNS, REDACTED, SAFE_KEY_PATTERNS, VALUE_PATTERNS
from otel_agents.semconv import SCOPE_NAME

CONFIGURATION = Path(__file__).resolve().parent.parent / "otel-collector.yaml"
BEGIN = "  # ---- secrets: made by collector/redaction.py from otel_agents/privacy/policy.py ----\n"
END = "  # ---- end of what collector/redaction.py made ----\n"

_HEAD = """\
  # The redaction policy, for what other instrumentations send; ours arrives redacted. First the values
  # under keys that name a secret, then what looks like one in any text. Counts of tokens stay: they are
  # numbers, under keys that no pattern names. An expression runs only where one of its hints is found.
  # Name and status of a span travel among its attributes for as long as this takes.
  transform/secrets:
    error_mode: ignore
    trace_statements:
"""

_FOREIGN = f'instrumentation_scope.name != "{SCOPE_NAME}"'
_TEMPORARY = "otel_agents.redaction."


@dataclass(frozen=True, slots=True)
class Target:
    """One place that has attributes, and perhaps texts beside them."""

    context: str
    attributes: str
    texts: tuple[str, ...] = ()
    prepare: tuple[str, ...] = ()
    condition: str = ""


def _texts_of(attributes: str) -> tuple[str, ...]:
    """Lists and maps become JSON text, which can be searched (transform/plain_values says how)."""
    return (
        f'set(cache["all"], {attributes})',
        'stringify_all(cache["all"])',
        f'set(cache["plain"], {attributes})',
        'flatten(cache["plain"], depth=1)',
        'merge_maps(cache["all"], cache["plain"], "update")',
        f'set({attributes}, cache["all"])',
    )


def _text_of(value: str) -> str:
    return f"set({value}, String({value})) where IsMap({value}) or IsList({value})"


# The resource comes with every signal; of metrics it becomes target_info.
_RESOURCE = Target("resource", "resource.attributes", prepare=_texts_of("resource.attributes"))
_TRACES = (
    _RESOURCE,
    Target(
        "span",
        "span.attributes",
        ("span.name", "span.status.message"),
        # The other lists are text already; Langfuse reads tags in text as well.
        prepare=tuple(
            _text_of(f'span.attributes["{key}"]') for key in ("otel_agents.tags", "langfuse.trace.tags")
        ),
        condition=_FOREIGN,
    ),
    Target(
        "spanevent",
        "spanevent.attributes",
        ("spanevent.name",),
        prepare=_texts_of("spanevent.attributes"),
        condition=_FOREIGN,
    ),
)
_LOGS = (
    _RESOURCE,
    Target(
        "log",
        "log.attributes",
        ("log.body",),
        prepare=(*_texts_of("log.attributes"), _text_of("log.body")),
        condition=_FOREIGN,
    ),
)


def section() -> str:
    """The processor, as it stands in the configuration."""
    lines = [BEGIN, _HEAD]
    for target in _TRACES:
        lines += _group(target)
    lines.append("    log_statements:\n")
    for target in _LOGS:
        lines += _group(target)
    lines.append("    metric_statements:\n")
    lines += _group(_RESOURCE)
    return "".join([*lines, END])


def _group(target: Target) -> Iterator[str]:
    yield f"      - context: {target.context}\n"
    if target.condition:
        yield f"        conditions: [{_quoted(target.condition)}]\n"
    yield "        statements:\n"
    for statement in _statements(target):
        yield f"          - {_quoted(statement)}\n"


def _statements(target: Target) -> Iterator[str]:
    attributes = target.attributes
    yield from target.prepare
    for text in target.texts:
        yield f'set({attributes}["{_TEMPORARY}{text}"], {text})'
    # Keys first: what is under them needs no second look.
    yield f'set(cache["named"], {attributes})'
    yield f'keep_matching_keys(cache["named"], {_ottl(_any_of(KEY_PATTERNS))})'
    yield f'delete_matching_keys(cache["named"], {_ottl(_any_of(SAFE_KEY_PATTERNS))})'
    yield 'stringify_all(cache["named"])'
    yield f'replace_all_patterns(cache["named"], "value", "(?s)^.*$", "{REDACTED}")'
    yield f'merge_maps({attributes}, cache["named"], "update")'
    yield f'set(cache["text"], String({attributes}))'
    # Should that fail, a text that holds every hint: then everything is looked for.
    hints = sorted({hint for pattern in VALUE_PATTERNS for hint in pattern.hints})
    yield f'set(cache["text"], {_ottl(" ".join(hints))}) where cache["text"] == nil'
    yield 'set(cache["lower"], ToLowerCase(cache["text"]))'
    for pattern in VALUE_PATTERNS:
        where = "lower" if pattern.regex.startswith("(?i)") else "text"
        hinted = " or ".join(f'Index(cache["{where}"], {_ottl(hint)}) >= 0' for hint in pattern.hints)
        change = f"{_ottl(pattern.regex)}, {_ottl(pattern.replacement)}"
        yield f'replace_all_patterns({attributes}, "value", {change}) where {hinted}'
    for text in target.texts:
        yield f'set({text}, {attributes}["{_TEMPORARY}{text}"])'
        yield f'delete_key({attributes}, "{_TEMPORARY}{text}")'


def _any_of(patterns: tuple[str, ...]) -> str:
    return "|".join(f"(?:{pattern})" for pattern in patterns)


def _ottl(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _quoted(statement: str) -> str:
    """For YAML, and past the Collector's own reading of ``$``."""
    return "'" + statement.replace("$", "$$").replace("'", "''") + "'"


def written(configuration: str) -> str:
    """The configuration with the section as it should be."""
    before, _, rest = configuration.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"{CONFIGURATION} has lost the lines that mark the section")
    return before + section() + after


if __name__ == "__main__":
    current = CONFIGURATION.read_text(encoding="utf-8")
    wanted = written(current)
    if "--check" in sys.argv:
        sys.exit(0 if current == wanted else f"{CONFIGURATION}: run {sys.argv[0]}")
    CONFIGURATION.write_text(wanted, encoding="utf-8")
