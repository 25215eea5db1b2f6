"""How the text of a setting becomes its value: one small function a kind.

Every parser takes what an environment variable holds (text) or what a caller passed (already of the
right type) and returns the value, or raises ``ValueError`` with the end of a sentence that starts with
"must be". Nothing here knows the name of a setting; ``config`` adds that.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

Parser = Callable[[object], Any]


class _Unset:
    """Answer of a parser whose text says nothing about this setting: the next source is asked."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = _Unset()


def text(value: object) -> str:
    """Any text, without the white space around it."""
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value.strip()


def boolean(value: object) -> bool:
    """``true`` or ``false`` in any case; also 1/0, yes/no, on/off."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in ("true", "1", "yes", "on"):
        return True
    if word in ("false", "0", "no", "off"):
        return False
    raise ValueError("must be true or false")


def otel_not_disabled(value: object) -> bool:
    """``OTEL_SDK_DISABLED``, turned round. The OTel specification: anything but ``true`` is false."""
    return str(value).strip().lower() != "true"


def whole_number(lowest: int = 0, highest: int | None = None) -> Parser:
    """A whole number between ``lowest`` and ``highest``, both included."""
    span = f"of at least {lowest}" if highest is None else f"from {lowest} to {highest}"

    def parse(value: object) -> int:
        try:
            if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
                raise ValueError
            number = int(value)  # type: ignore[call-overload]
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"must be a whole number {span}") from None
        if number < lowest or (highest is not None and number > highest):
            raise ValueError(f"must be a whole number {span}")
        return int(number)

    return parse


#: A TCP port; 0 means any free one.
port = whole_number(0, 65535)


def seconds(value: object) -> float:
    """A time in seconds, above 0."""
    return _positive(value, "seconds")


def milliseconds_as_seconds(value: object) -> float:
    """OTel's variables hold milliseconds; the settings hold seconds. Arguments are seconds already."""
    if isinstance(value, str):
        return _positive(value, "milliseconds") / 1000
    return _positive(value, "seconds")


def otlp_timeout(value: object) -> float:
    """Seconds, as the Python SDK reads ``OTEL_EXPORTER_OTLP_TIMEOUT``.

    The OTel specification says milliseconds. A text of 1000 or more can only be meant so.
    """
    number = _positive(value, "seconds")
    return number / 1000 if isinstance(value, str) and number >= 1000 else number


def _positive(value: object, unit: str) -> float:
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = -1.0
    if not 0 < number < 1e12:
        raise ValueError(f"must be a number of {unit} above 0")
    return number


def amount(value: object) -> float:
    """A number of at least 0: an amount of money, a score, a time that may be none."""
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < 1e12:
        raise ValueError("must be a number of at least 0")
    return number


def ratio(value: object) -> float:
    """A number from 0 to 1."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number <= 1:
        raise ValueError("must be a number from 0 to 1")
    return number


def choice(*allowed: str) -> Parser:
    """One of ``allowed``, in any case."""

    def parse(value: object) -> str:
        word = str(value).strip().lower()
        if word not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return word

    return parse


def url(value: object) -> str:
    """An http or https URL, without a slash at its end."""
    address = text(value)
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a URL such as http://127.0.0.1:4318")
    try:
        _ = parts.port  # urlsplit checks the port only when it is asked for
    except ValueError:
        raise ValueError("must be a URL whose port is a number from 0 to 65535") from None
    return address.rstrip("/")


def smtp_url(value: object) -> str:
    """``smtp://`` or ``smtps://`` with host, and port, user and password when they are needed."""
    address = text(value)
    parts = urlsplit(address)
    try:
        usable = parts.scheme in ("smtp", "smtps") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("must be a URL such as smtp://user:password@mail.example.com:587")
    return address.rstrip("/")


def words(value: object) -> tuple[str, ...]:
    """Names parted by commas; arguments may be any sequence of text."""
    parts = value.split(",") if isinstance(value, str) else _texts(value, "names parted by commas")
    return tuple(part.strip() for part in parts if part.strip())


def patterns(value: object) -> tuple[str, ...]:
    """Regular expressions: a JSON list of them, or one a line (they may hold commas)."""
    if isinstance(value, str) and value.lstrip().startswith('["'):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError("must be a JSON list of regular expressions, or one a line") from None
    found = value.splitlines() if isinstance(value, str) else _texts(value, "regular expressions")
    for pattern in found:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"must be regular expressions; {pattern!r} is none: {error}") from None
    return tuple(pattern for pattern in found if pattern.strip())


def _texts(value: object, what: str) -> Sequence[str]:
    if isinstance(value, Sequence | set | frozenset) and all(isinstance(item, str) for item in value):
        return list(value)
    raise ValueError(f"must be {what}")


def pairs(value: object) -> dict[str, str]:
    """``name=value,name=value``; arguments may be a mapping."""
    if isinstance(value, Mapping):
        return {str(name): str(one) for name, one in value.items()}
    result: dict[str, str] = {}
    for part in text(value).split(","):
        name, equals, one = part.partition("=")
        if not part.strip():
            continue
        if not equals or not name.strip():
            raise ValueError("must look like name=value,name=value")
        result[name.strip()] = one.strip()
    return result


def budgets(value: object) -> tuple[str, ...]:
    """``30/monthly,0.5/run``: an amount and a period, as many as are wanted."""
    for one in (given := words(value)):
        number, _, period = one.partition("/")
        try:
            usable = period.strip().lower() in ("monthly", "daily", "hourly", "run") and amount(number) > 0
        except ValueError:
            usable = False
        if not usable:
            raise ValueError(
                "must be an amount above 0 and a period (monthly, daily, hourly or run), as in 30/monthly"
            )
    return given


def limits(*names: str) -> Parser:
    """``name=number`` parted by commas, for some of ``names``; numbers are above 0."""

    def parse(value: object) -> dict[str, float]:
        given = pairs(
            {str(name): str(one) for name, one in value.items()} if isinstance(value, Mapping) else value
        )
        for name, number in given.items():
            if name not in names:
                raise ValueError(f"must be numbers for some of {', '.join(names)}")
            try:
                usable = amount(number) > 0
            except ValueError:
                usable = False
            if not usable:
                raise ValueError(f"must have a number above 0 for {name}")
        return {name: float(number) for name, number in given.items()}

    return parse


def encoded_pairs(value: object) -> dict[str, str]:
    """:func:`pairs` whose values are percent-encoded, as OTel's headers and resource attributes are."""
    if isinstance(value, Mapping):
        return pairs(value)
    return {unquote(name): unquote(one) for name, one in pairs(value).items()}


def resource_attribute(*names: str) -> Parser:
    """The first of ``names`` in the text of ``OTEL_RESOURCE_ATTRIBUTES``."""

    def parse(value: object) -> object:
        found = encoded_pairs(value)
        return next((found[name] for name in names if found.get(name)), UNSET)

    return parse


def folder(value: object) -> Path:
    """A path; ``~`` is the user's home folder."""
    if not isinstance(value, str | os.PathLike) or not str(value).strip():
        raise ValueError("must be a path")
    return Path(value).expanduser().absolute()


def exporter(value: object) -> str:
    """``OTEL_{TRACES,METRICS,LOGS}_EXPORTER``: ``otlp`` when the list holds it, else its first name."""
    names = words(value)
    known = ("otlp", "none", "console", "prometheus")
    if not names or any(name.lower() not in known for name in names):
        raise ValueError(f"must be one of {', '.join(known)}")
    return "otlp" if "otlp" in (lower := [name.lower() for name in names]) else lower[0]


_CAPTURE_MODES = ("no_content", "span_only", "event_only", "span_and_event")


def otel_capture(value: object) -> str:
    """``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` as a value of ``capture``.

    ``event_only`` keeps content off the spans; :func:`otel_capture_events` turns the events on.
    """
    mode = choice(*_CAPTURE_MODES)(value)
    return "all" if mode in ("span_only", "span_and_event") else "explicit"


def otel_capture_events(value: object) -> bool:
    """Whether the same variable asks for content in events."""
    return choice(*_CAPTURE_MODES)(value) in ("event_only", "span_and_event")
