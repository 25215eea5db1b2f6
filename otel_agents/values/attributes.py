"""Any Python object as a span attribute: what users hand over as attributes and metadata."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from otel_agents import semconv, values
from otel_agents.values.objects import is_a

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue


def attribute_value(value: object, limit: int) -> AttributeValue | None:
    """``value`` as a span attribute: scalars and lists of one scalar type as they are, all else as JSON.

    None and empty lists answer None: they are not set, because Langfuse and the Collector's OTTL read
    an empty list as a value.
    """
    kind = type(value)
    if value is None or kind is bool:
        return value  # type: ignore[return-value]
    if kind is int:
        return value if -values.INT64 <= value < values.INT64 else values.str_of_int(value)  # type: ignore[operator,return-value,arg-type]
    if kind is float:
        return value if math.isfinite(value) else str(value)  # type: ignore[arg-type,return-value]
    if is_a(value, list, tuple):
        if not value:
            return None
        first = type(value[0])
        if (
            first in (str, bool, int, float)
            and len(value) <= values.MAX_ITEMS
            and all(type(one) is first for one in value)
            and (first is not str or sum(map(len, value)) <= limit)
        ):
            return [attribute_value(one, limit) for one in value]
        return values.to_json(value, limit)
    if is_a(value, str):
        return values.to_text(value, limit)
    # Members of an Enum, numbers of numpy and the like are JSON scalars: they stay what they are.
    text = values.to_json(value, limit)
    return text if text[:1] in "[{" else msgspec.json.decode(text)


def _is_money(value: AttributeValue) -> bool:
    """Langfuse adds up what it is given: a negative cost would be taken off others'."""
    return isinstance(value, int | float) and 0 <= value < math.inf


def attributes_of(given: object, limit: int) -> dict[str, AttributeValue]:
    """A user's mapping as span attributes (see :func:`attribute_value`); no mapping, no attributes."""
    attributes: dict[str, AttributeValue] = {}
    if given is None or not issubclass(type(given), Mapping):
        return attributes
    try:
        for key, value in itertools.islice(given.items(), values.MAX_ITEMS):  # type: ignore[attr-defined]
            made = attribute_value(value, limit)
            name = values.to_text(key, values.MAX_KEY)
            if made is not None and name and (name != semconv.USAGE_COST or _is_money(made)):
                attributes[name] = made
    except Exception:  # a mapping that raises
        pass
    return attributes
