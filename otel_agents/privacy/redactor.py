"""One redaction policy for everything that leaves the process: fail-closed, and never raising.

A value goes out only after it was looked at. Where that fails (an odd object, a callback that
raises, a structure without end) the value is replaced, not passed on.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, Final

import msgspec

from otel_agents.privacy.names import SecretNames, is_safe, words
from otel_agents.privacy.policy import REDACTED, VALUE_PATTERNS, assignment_of
from otel_agents.privacy.scan import Scanner

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

    from otel_agents.config import Settings

logger = logging.getLogger(__name__)

#: ``(path, value) -> value``: path is the attribute's key, then ``.member`` and ``[index]``.
Callback = Callable[[str, Any], Any]

FAILED: Final = "[redacted: failed]"
CALLBACK_FAILED: Final = "[redacted: callback failed]"
TOO_DEEP: Final = "[redacted: too deep]"
TOO_LARGE: Final = "[redacted: too large]"
CIRCULAR: Final = "[redacted: circular]"

_MAX_DEPTH = 64
_MAX_NODES = 1_000_000
_SHORT = 64
_REMEMBERED = 4096
# Names whose letters are written as escapes, and URLs with "\/", show only after decoding.
_ESCAPES = re.compile(r"\\(?:/|u00)")
# Cut text is looked at a little beyond the cut, so that half a key at the end is still seen as one.
_BEYOND = 1024


class Redactor:
    """Takes secrets out of text, JSON, nested structures and attributes.

    Args:
        keys: further names whose values are secrets, whatever their case and separators.
        patterns: further regular expressions (Python); the whole match is replaced. Their speed is
            the user's affair: avoid nested repetition.
        callback: asked last, about every string and number: ``(path, value) -> value``. When it
            raises or answers something that is neither text, number, bool nor None, the value is
            replaced by ``[redacted: callback failed]``. It is not asked about token counts.
        limit: characters kept of one string; the rest is cut, with a marker. None: no limit.

    Raises:
        ValueError: when a pattern is not a regular expression; the text names the pattern.
    """

    __slots__ = ("_callback", "_clean", "_limit", "_names", "_scanner", "_warned")

    def __init__(
        self,
        keys: Iterable[str] = (),
        patterns: Iterable[str] = (),
        callback: Callback | None = None,
        limit: int | None = None,
    ) -> None:
        keys = tuple(keys)
        self._names = SecretNames(keys)
        own = [pattern for key in keys if (pattern := assignment_of(words(key))) is not None]
        self._scanner = Scanner((*VALUE_PATTERNS, *own), [_compile(pattern) for pattern in patterns])
        self._callback = callback
        self._limit = limit if limit and limit > 0 else None
        self._clean: dict[str, None] = {}
        self._warned = False

    @classmethod
    def from_settings(cls, settings: Settings, callback: Callback | None = None) -> Redactor:
        """The policy of ``redact_keys``, ``redact_patterns`` and ``max_value_chars``."""
        return cls(settings.redact_keys, settings.redact_patterns, callback, settings.max_value_chars)

    def is_secret_key(self, key: str) -> bool:
        """Whether the value under this name is always replaced."""
        return key in self._names

    def text(self, value: str, path: str = "") -> str:
        """``value`` without secrets; the same object when there are none."""
        try:
            if self._callback is None and value in self._clean:  # a model's name, with every call
                return value
            answer = self._leaf(self._text(value), path)
            return answer if isinstance(answer, str) else str(answer)
        except Exception as error:
            return self._failed(error)

    def value(self, obj: Any, path: str = "") -> Any:
        """A copy of nested mappings and sequences without secrets.

        Nothing is changed in place; what holds no secret is returned as the same object. Values
        under a secret name are replaced whole (None and booleans stay: they tell nothing). Objects
        that JSON does not know are replaced by their redacted text.
        """
        try:
            return _Walk(self).visit(obj, path, 0)
        except Exception as error:
            return self._failed(error)

    def json(self, text: str, path: str = "") -> str:
        """A JSON document without secrets, still JSON; the same object when there are none.

        Text that is not JSON is treated as text.
        """
        try:
            if text[:1] not in ("{", "[", '"'):
                return self.text(text, path)
            if not self._may_hold(text):
                return text
            try:
                document = _decode(text)
            except Exception:
                return self.text(text, path)
            redacted = _Walk(self).visit(document, path, 0)
            return text if redacted is document else _encode(redacted)
        except Exception as error:
            return self._failed(error)

    def attributes(self, attributes: Mapping[str, Any] | None) -> dict[str, AttributeValue]:
        """Span, event or log attributes without secrets: by name, by shape, inside JSON strings."""
        try:
            result: dict[str, AttributeValue] = {}
            for key, value in (attributes or {}).items():
                if value is not None:
                    result[self._text(key)] = self.attribute(key, value)
            return result
        except Exception as error:
            return {"otel_agents.redaction": self._failed(error)}

    def attribute(self, key: str, value: Any) -> AttributeValue:
        """The value of one attribute, as :meth:`attributes` does it."""
        try:
            if value is not None and not isinstance(value, bool) and key in self._names:
                return REDACTED
            if isinstance(value, str):
                return self.json(value, key) if value[:1] in ("{", "[", '"') else self.text(value, key)
            if isinstance(value, (bool, int, float)):
                answer = self._leaf(value, key)
                return answer if answer is not None else ""
            if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
                return [self.attribute(key, item) for item in value]
            answer = self.value(value, key)
            return answer if isinstance(answer, str) else _encode(answer)
        except Exception as error:
            return self._failed(error)

    # --- inside ----------------------------------------------------------------------------------

    def _text(self, value: str) -> str:
        """``value`` by the patterns alone, cut to the limit."""
        limit = self._limit
        if limit is not None and len(value) > limit:
            kept = self._scanner.redact(value[: limit + _BEYOND])[:limit]
            return f"{kept}[cut: {len(value)} characters]"
        if len(value) > _SHORT:
            return self._scanner.redact(value)
        if value in self._clean:  # models, operations and names come again and again
            return value
        redacted = self._scanner.redact(value)
        if redacted is value:
            if len(self._clean) >= _REMEMBERED:
                self._clean.clear()
            self._clean[value] = None
        return redacted

    def _leaf(self, value: Any, path: str) -> Any:
        """The callback's word on one value."""
        if self._callback is None or value is None or is_safe(path):
            return value
        try:
            answer = self._callback(path, value)
        except Exception as error:
            self._warn("the redaction callback", error)
            return CALLBACK_FAILED
        if answer is None or isinstance(answer, (str, bool, int, float)):
            return answer
        return CALLBACK_FAILED

    def _may_hold(self, document: str) -> bool:
        """Whether a JSON document has to be decoded to be sure."""
        if self._callback is not None or (self._limit is not None and len(document) > self._limit):
            return True
        return self._scanner.suspects(document) or _ESCAPES.search(document) is not None

    def _failed(self, error: Exception) -> str:
        self._warn("redaction", error)
        return FAILED

    def _warn(self, what: str, error: Exception) -> None:
        """Once a redactor. Only the error's type: its text may hold the secret."""
        if not self._warned:
            self._warned = True
            logger.warning("otel-agents: %s failed (%s); the value is redacted", what, type(error).__name__)


class _Walk:
    """One pass over one structure; counts its nodes and knows the way to the current one."""

    __slots__ = ("_nodes", "_open", "_redactor")

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._nodes = 0
        self._open: set[int] = set()

    def visit(self, obj: Any, path: str, depth: int) -> Any:
        """``obj`` redacted; the same object when nothing in it had to change."""
        redactor = self._redactor
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            return TOO_LARGE
        if isinstance(obj, str):
            # JSON inside JSON: arguments of tool calls are strings of it.
            if obj[:1] in ("{", "[") and depth < _MAX_DEPTH:
                return self._nested_json(obj, path, depth)
            return redactor._leaf(redactor._text(obj), path)
        if obj is None or isinstance(obj, (bool, int, float)):
            return redactor._leaf(obj, path)
        if depth >= _MAX_DEPTH:
            return TOO_DEEP
        if id(obj) in self._open:
            return CIRCULAR
        self._open.add(id(obj))
        try:
            if isinstance(obj, Mapping):
                return self._mapping(obj, path, depth)
            if isinstance(obj, (bytes, bytearray, memoryview)):
                return redactor._leaf(redactor._text(bytes(obj).decode("utf-8", "replace")), path)
            if isinstance(obj, (Sequence, Set)):
                return self._sequence(obj, path, depth)
            return self._unknown(obj, path)
        finally:
            self._open.discard(id(obj))

    def _mapping(self, obj: Mapping[Any, Any], path: str, depth: int) -> Any:
        redactor = self._redactor
        result: dict[Any, Any] = {}
        changed = False
        for key, value in obj.items():
            name = key if isinstance(key, str) else str(key)
            new_key = redactor._text(name)
            if value is not None and not isinstance(value, bool) and name in redactor._names:
                new_value: Any = REDACTED
            else:
                new_value = self.visit(value, f"{path}.{new_key}" if path else new_key, depth + 1)
            result[key if new_key is name else new_key] = new_value
            changed = changed or new_value is not value or new_key != name
        return result if changed else obj

    def _sequence(self, obj: Sequence[Any] | Set[Any], path: str, depth: int) -> Any:
        result = []
        changed = False
        for index, item in enumerate(obj):
            new = self.visit(item, f"{path}[{index}]", depth + 1)
            result.append(new)
            changed = changed or new is not item
        if not changed:
            return obj
        return tuple(result) if isinstance(obj, tuple) else result

    def _unknown(self, obj: object, path: str) -> Any:
        try:
            shown = str(obj)
        except Exception as error:
            return self._redactor._failed(error)
        return self._redactor._leaf(self._redactor._text(shown), path)

    def _nested_json(self, text: str, path: str, depth: int) -> str:
        redactor = self._redactor
        if not redactor._may_hold(text):
            return text
        try:
            document = _decode(text)
        except Exception:
            document = None
        if isinstance(document, (dict, list)):
            redacted = self.visit(document, path, depth + 1)
            return text if redacted is document else _encode(redacted)
        answer = redactor._leaf(redactor._text(text), path)
        return answer if isinstance(answer, str) else str(answer)


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"redaction pattern {pattern!r} is not a regular expression: {error}") from None


def _decode(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return json.loads(text)  # also knows NaN and lone surrogates


def _encode(document: Any) -> str:
    try:
        return msgspec.json.encode(document).decode()
    except (TypeError, ValueError, RecursionError, UnicodeError):
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=lambda _: REDACTED)
