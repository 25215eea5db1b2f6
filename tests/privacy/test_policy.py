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
from otel_agents.privacy.policy import KEY_PATTERNS, SAFE_KEY_PATTERNS, VALUE_PATTERNS, SecretPattern
from otel_agents.privacy.scan import Scanner

ROOT = Path(__file__).parents[2]
REGEXES = [*KEY_PATTERNS, *SAFE_KEY_PATTERNS, *(one.regex for one in VALUE_PATTERNS)]

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


_REPLACED = re.compile(r'replace_all_patterns\((\S+), "value", "((?:\\.|[^"\\])*)", "((?:\\.|[^"\\])*)"\)')


def _plain(text: str) -> str:
    """A string as the Collector reads it from the file."""
    return re.sub(r"\\(.)", r"\1", text).replace("$$", "$")


def test_the_collector_looks_for_these_secrets_in_this_order_and_no_others() -> None:
    """collector/redaction.py has written them there; this reads them back without it."""
    document = yaml.safe_load((ROOT / "otel-collector.yaml").read_text())
    processor = document["processors"]["transform/secrets"]
    wanted = [(one.regex, one.replacement) for one in VALUE_PATTERNS]
    for group in (*processor["trace_statements"], *processor["log_statements"]):
        found = [match.groups() for one in group["statements"] if (match := _REPLACED.match(one))]
        shapes = [(_plain(regex), _plain(by)) for target, regex, by in found if "cache" not in target]
        assert shapes == wanted
        statements = "\n".join(map(_plain, group["statements"]))
        for name, patterns in (("keep", policy.KEY_PATTERNS), ("delete", policy.SAFE_KEY_PATTERNS)):
            joined = "|".join(f"(?:{pattern})" for pattern in patterns)
            assert f'{name}_matching_keys(cache["named"], "{joined}")' in statements
