"""Prometheus names of OpenTelemetry metrics and attributes.

The rules of the Collector's prometheus exporter with ``UnderscoreEscapingWithSuffixes``, so that a
dashboard cannot tell whether a Collector stood between the app and Prometheus.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

_UNITS: Final = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "TiBy": "tibibytes",
    "KBy": "kilobytes",
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "TBy": "terabytes",
    "m": "meters",
    "V": "volts",
    "A": "amperes",
    "J": "joules",
    "W": "watts",
    "g": "grams",
    "Cel": "celsius",
    "Hz": "hertz",
    "1": "",
    "%": "percent",
}
_PER: Final = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}
_NOT_IN_METRIC: Final = re.compile(r"[^A-Za-z0-9:]+")
_NOT_IN_LABEL: Final = re.compile(r"[^A-Za-z0-9_]")


def metric_name(name: str, unit: str, kind: str) -> str:
    """The Prometheus name of a metric, ``_total`` of counters included; "" when nothing is left of it.

    Args:
        name: OpenTelemetry's, such as ``gen_ai.client.inference.duration``.
        unit: UCUM, such as ``s``; units in braces, such as ``{token}``, leave no trace.
        kind: ``counter``, ``gauge``, ``histogram`` or ``updown`` (a sum that can fall).
    """
    tokens = [token for token in _NOT_IN_METRIC.split(name) if token]
    main, _, per = unit.partition("/")
    for suffix in (_unit(main, _UNITS, ""), _unit(per, _PER, "per_")):
        if suffix and suffix not in tokens:
            tokens.append(suffix)
    if kind == "counter":
        tokens = [*(token for token in tokens if token != "total"), "total"]
    elif kind == "gauge" and unit == "1":
        tokens = [*(token for token in tokens if token != "ratio"), "ratio"]
    joined = "_".join(tokens)
    return f"_{joined}" if joined[:1].isdigit() else joined


def _unit(text: str, names: dict[str, str], prefix: str) -> str:
    text = text.strip()
    if not text or "{" in text or "}" in text:
        return ""
    known = names.get(text, text)
    return _NOT_IN_METRIC.sub("_", prefix + known).strip("_") if known else ""


def label_name(key: str) -> str:
    """The label name of an attribute key; "" when there is none to be made."""
    name = _NOT_IN_LABEL.sub("_", key)
    if not name.strip("_"):
        return ""
    return f"key_{name}" if name[0].isdigit() else name


def label_value(value: object) -> str:
    """An attribute value as the Collector writes it: lists as JSON, booleans in lower case."""
    if isinstance(value, str):
        # A lone surrogate has no UTF-8 form and would fail the whole scrape.
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, Sequence):
        return json.dumps(list(value), ensure_ascii=False, separators=(",", ":"), default=str)
    return str(value)
