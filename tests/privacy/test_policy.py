"""The policy's expressions: alike in Python and in the Collector's RE2, and what the Collector carries."""

from __future__ import annotations

import os
import re
import re._constants as sre_constants  # type: ignore[import-not-found]
import re._parser as sre_parse  # type: ignore[import-not-found]
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agents.privacy import policy
from otel_agents.privacy.policy import VALUE_PATTERNS, SecretPattern, collector_patterns
from otel_agents.privacy.scan import Scanner

ROOT = Path(__file__).parents[2]
PATTERNS = collector_patterns()
REGEXES = [*PATTERNS.blocked_key_patterns, *PATTERNS.ignored_key_patterns] + [
    one.regex for one in VALUE_PATTERNS
]

# What Go's regexp/syntax does not read, by the names of Python's own parser.
_NOT_IN_RE2 = {"ASSERT", "ASSERT_NOT", "GROUPREF", "GROUPREF_IGNORE", "GROUPREF_EXISTS"}
_NOT_IN_RE2 |= {"ATOMIC_GROUP", "POSSESSIVE_REPEAT"}


def _operations(tree: Any) -> Iterator[tuple[str, Any]]:
    for operation, argument in tree:
        yield str(operation), argument
        todo = [argument]
        while todo:
            part = todo.pop()
            if isinstance(part, sre_parse.SubPattern):
                yield from _operations(part)
            elif isinstance(part, (list, tuple)):
                todo.extend(part)


@pytest.mark.parametrize("regex", REGEXES)
def test_every_expression_keeps_to_what_re2_reads(regex: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tree = sre_parse.parse(regex, re.ASCII)
    for operation, argument in _operations(tree):
        assert operation not in _NOT_IN_RE2, (operation, regex)
        if operation in ("MAX_REPEAT", "MIN_REPEAT"):
            low, high, _ = argument
            # RE2 refuses counted repetition above 1000.
            assert low <= 1000
            assert high <= 1000 or high == sre_constants.MAXREPEAT
    assert "\\Z" not in regex
    assert not re.search(r"\(\?[aLmsux]", regex)


def test_go_compiles_every_expression(tmp_path: Path) -> None:
    go = shutil.which("go")
    if go is None:
        reason = "no go on this machine: install it, or put it on PATH"
        pytest.fail(reason) if os.environ.get("OTEL_AGENTS_REQUIRE_ALL") == "1" else pytest.skip(reason)
    listed = tmp_path / "expressions.txt"
    listed.write_text("\x00".join([*REGEXES]))
    (tmp_path / "main.go").write_text(
        'package main\nimport ("os"; "regexp"; "strings")\nfunc main() {\n'
        "data, _ := os.ReadFile(os.Args[1])\n"
        'for _, one := range strings.Split(string(data), "\\x00") { regexp.MustCompile(one) }\n}\n'
    )
    run = subprocess.run(
        [go, "run", str(tmp_path / "main.go"), str(listed)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr


# A pattern that can fail only after a long run makes a search quadratic in Python. Every pattern
# must therefore be able to succeed with nothing behind its last unbounded repetition, unless the
# run before cannot hold its own start.
_TAIL_NEEDED = {"url credentials"}


@pytest.mark.parametrize("pattern", VALUE_PATTERNS, ids=lambda one: one.name)
def test_nothing_is_asked_behind_an_unbounded_run(pattern: SecretPattern) -> None:
    def minimum(items: list[Any]) -> int:
        return sum(sre_parse.SubPattern(tree.state, [item]).getwidth()[0] for item in items)

    def check(sequence: Any) -> None:
        items = list(sequence)
        for position, (operation, argument) in enumerate(items):
            if str(operation) == "MAX_REPEAT" and argument[1] == sre_constants.MAXREPEAT:
                assert minimum(items[position + 1 :]) == 0, pattern.name
            elif str(operation) == "SUBPATTERN":
                check(argument[3])
            elif str(operation) == "BRANCH":
                for branch in argument[1]:
                    check(branch)

    tree = sre_parse.parse(pattern.regex, re.ASCII)
    if pattern.name not in _TAIL_NEEDED:
        check(tree)


@pytest.mark.parametrize("pattern", VALUE_PATTERNS, ids=lambda one: one.name)
def test_hints_are_in_every_match_and_the_gates_let_every_match_through(pattern: SecretPattern) -> None:
    lower = pattern.regex.startswith("(?i)")
    compiled = re.compile(pattern.regex, re.ASCII)
    scanner = Scanner([pattern])

    @settings(max_examples=60, deadline=None)
    @given(st.from_regex(compiled))
    def check(text: str) -> None:
        match = compiled.search(text)
        assert match is not None
        seen = match[0].lower() if lower else match[0]
        assert any(hint in seen for hint in pattern.hints)
        assert scanner.redact(text) != text or policy.REDACTED in text

    check()


def test_the_groups_named_are_the_groups_there() -> None:
    for pattern in VALUE_PATTERNS:
        assert re.compile(pattern.regex).groups == pattern.groups, pattern.name


# --- what the Collector carries ------------------------------------------------------------------


def _collector() -> tuple[str, dict[str, Any]]:
    text = (ROOT / "otel-collector.yaml").read_text()
    # Environment references are not YAML's business; "$$" is the Collector's way to write "$".
    return text, yaml.safe_load(text)


def _unescaped(values: Any) -> tuple[str, ...]:
    return tuple(str(value).replace("$$", "$") for value in values or ())


def test_the_collector_blocks_exactly_these_names_and_shapes() -> None:
    _, document = _collector()
    redaction = [body for name, body in document["processors"].items() if name.split("/")[0] == "redaction"]
    assert redaction, "otel-collector.yaml has no redaction processor"
    for body in redaction:
        assert body["allow_all_keys"] is True
        assert _unescaped(body["blocked_key_patterns"]) == PATTERNS.blocked_key_patterns
        assert _unescaped(body["ignored_key_patterns"]) == PATTERNS.ignored_key_patterns
        assert _unescaped(body["blocked_values"]) == PATTERNS.blocked_values


def _statements(document: dict[str, Any]) -> list[str]:
    found: list[str] = []
    todo: list[Any] = [
        body for name, body in document["processors"].items() if name.split("/")[0] == "transform"
    ]
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            todo.extend(part.values())
        elif isinstance(part, list):
            todo.extend(part)
        elif isinstance(part, str) and part.startswith(("replace_pattern(", "replace_all_patterns(")):
            found.append(part)
    return found


@pytest.mark.parametrize("target", ["span.attributes", "spanevent.attributes", "span.status.message"])
def test_the_collector_replaces_exactly_these_shapes(target: str) -> None:
    _, document = _collector()
    carried = [one.strip() for one in _statements(document) if f"({target}," in one]
    missing = [one for one in PATTERNS.statements(target) if one not in carried]
    assert not missing, "otel-collector.yaml lacks:\n" + "\n".join(missing)
    marked = [one for one in carried if policy.REDACTED in one]
    assert len(marked) == len(PATTERNS.statements(target)), "otel-collector.yaml carries more than the policy"


def test_ottl_statements_are_quoted_for_the_file() -> None:
    for statement in PATTERNS.statements("span.attributes", "span.status.message"):
        strings = re.findall(r'"((?:\\.|[^"\\])*)"', statement)
        assert "$" not in statement.replace("$$", "")
        unquoted = [re.sub(r"\\(.)", r"\1", string).replace("$$", "$") for string in strings]
        expected = {"|".join(PATTERNS.blocked_values), *(regex for regex, _ in PATTERNS.replacements)}
        assert unquoted[-2] in expected
        assert unquoted[-1].endswith((policy.REDACTED, policy.REDACTED + "@"))
