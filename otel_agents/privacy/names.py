"""Which names (attribute keys, JSON members, headers) have a secret for a value."""

from __future__ import annotations

import re
from collections.abc import Iterable

from otel_agents.privacy.policy import KEY_PATTERNS, SAFE_KEY_PATTERNS

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_A-Za-z]+")
_BLOCKED = tuple(re.compile(pattern, re.ASCII) for pattern in KEY_PATTERNS)
_SAFE = tuple(re.compile(pattern, re.ASCII) for pattern in SAFE_KEY_PATTERNS)
_REMEMBERED = 4096


def words(name: str) -> tuple[str, ...]:
    """Words of a name in lower case: ``customerSSN``, ``customer-ssn`` and ``Customer_Ssn`` are alike."""
    return tuple(word.lower() for word in _WORDS.findall(name))


class SecretNames:
    """Answers whether a name stands for a secret, and remembers the answers.

    Args:
        extra: the user's names. A name is secret when their words stand in it in a row:
            ``account_number`` matches ``customer.accountNumber`` and not ``accountant_number``.
    """

    __slots__ = ("_answers", "_extra")

    def __init__(self, extra: Iterable[str] = ()) -> None:
        self._extra = tuple(found for found in map(words, extra) if found)
        self._answers: dict[str, bool] = {}

    def __contains__(self, name: str) -> bool:
        answer = self._answers.get(name)
        if answer is None:
            answer = self._decide(name)
            if len(self._answers) >= _REMEMBERED:  # names made from data must not fill the memory
                self._answers.clear()
            self._answers[name] = answer
        return answer

    def _decide(self, name: str) -> bool:
        if self._extra:
            found = words(name)
            for extra in self._extra:
                length = len(extra)
                if any(found[at : at + length] == extra for at in range(len(found) - length + 1)):
                    return True
        if is_safe(name):
            return False
        return any(pattern.search(name) for pattern in _BLOCKED)


def is_safe(name: str) -> bool:
    """Whether a name looks like a secret's and is a number or a plain word (token counts)."""
    return any(pattern.search(name) for pattern in _SAFE)
