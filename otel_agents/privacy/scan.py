"""Finds secrets in text, and costs almost nothing when there are none.

Most text is clean. So before any expression runs, cheap gates look for the substrings (hints) that
every match must hold: one search for all hints that end in the same separator, one ``in`` for each
word. Only the patterns behind an open gate run, and those that ignore case run over the text in
lower case, because Python's engine has no fast search for case-insensitive expressions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from otel_agents.privacy.policy import REDACTED, SecretPattern

_IGNORE_CASE = "(?i)"
# What may follow the separator of a token's prefix: "_" is frequent in code, so more is asked of it.
_FOLLOWING = {"-": "[A-Za-z0-9_]", "_": "[A-Za-z0-9+/=]{16}", ".": r"[A-Za-z0-9_\-]{16}"}


class Rule:
    """One compiled pattern: replaces the secrets in a text, keeps what stands around them."""

    __slots__ = ("_any_case", "_groups", "_lower", "_tail", "name")

    def __init__(self, pattern: SecretPattern) -> None:
        self.name = pattern.name
        self._groups = range(1, pattern.groups + 1)
        self._tail = pattern.tail
        self._any_case = re.compile(pattern.regex, re.ASCII)
        self._lower: re.Pattern[str] | None = None
        if pattern.regex.startswith(_IGNORE_CASE):
            self._lower = re.compile(pattern.regex.removeprefix(_IGNORE_CASE), re.ASCII)

    def apply(self, text: str) -> str:
        """``text`` without the secrets of this shape; the same object when there are none."""
        if self._lower is None:
            matches = self._any_case.finditer(text)
        else:
            lowered = text.lower()
            # One character of Unicode grows when it is lowered; positions would not fit any more.
            same = len(lowered) == len(text)
            matches = self._lower.finditer(lowered) if same else self._any_case.finditer(text)
        parts: list[str] = []
        at = 0
        for match in matches:
            parts.append(text[at : match.start()])
            parts.extend(text[slice(*match.span(group))] for group in self._groups if match[group])
            parts.append(REDACTED)
            parts.append(self._tail)
            at = match.end()
        if not parts:
            return text
        parts.append(text[at:])
        return "".join(parts)


class Scanner:
    """Applies all patterns, in their order, to those texts that may hold a secret.

    Args:
        patterns: the policy's, with hints.
        extra: the user's own expressions; they have no hints and always run. The whole match goes.
    """

    __slots__ = ("_extra", "_gates", "_rules", "_words")

    def __init__(self, patterns: Sequence[SecretPattern], extra: Iterable[re.Pattern[str]] = ()) -> None:
        self._rules = tuple(Rule(pattern) for pattern in patterns)
        self._extra = tuple(extra)
        families: dict[str, tuple[list[str], int]] = {}
        self._words: dict[str, int] = {}
        gates: list[tuple[re.Pattern[str], int]] = []
        for number, pattern in enumerate(patterns):
            bit = 1 << number
            if pattern.regex.startswith(_IGNORE_CASE):
                for hint in pattern.hints:
                    self._words[hint] = self._words.get(hint, 0) | bit
                continue
            plain: list[str] = []
            for hint in pattern.hints:
                if hint[-1] in _FOLLOWING:
                    hints, bits = families.get(hint[-1], ([], 0))
                    families[hint[-1]] = ([*hints, hint], bits | bit)
                else:
                    plain.append(re.escape(hint))
            if plain:
                gates.append((re.compile("|".join(plain)), bit))
        for separator, (hints, bits) in families.items():
            # From the separator backwards: separators are rarer than the letters in front of them.
            behind = "|".join(f"(?<={re.escape(hint)})" for hint in hints)
            following = _FOLLOWING[separator]
            gates.append((re.compile(f"{re.escape(separator)}(?={following})(?:{behind})"), bits))
        self._gates = tuple(gates)

    def _open(self, text: str) -> int:
        """Bits of the rules that have to run; 0 for nearly every text."""
        bits = 0
        for gate, behind in self._gates:
            if gate.search(text):
                bits |= behind
        lowered = text.lower()
        for word, behind in self._words.items():
            if word in lowered:
                bits |= behind
        return bits

    def suspects(self, text: str) -> bool:
        """Whether ``text`` may hold a secret; False is certain."""
        return bool(self._extra) or self._open(text) != 0

    def redact(self, text: str) -> str:
        """``text`` without secrets; the same object when there are none."""
        bits = self._open(text)
        if bits:
            for number, rule in enumerate(self._rules):
                if bits >> number & 1:
                    text = rule.apply(text)
        for expression in self._extra:
            if expression.search(text):
                text = expression.sub(REDACTED, text)
        return text
