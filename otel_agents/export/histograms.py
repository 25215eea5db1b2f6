"""Many values for one histogram at once: a stream of 500 chunks has 499 times between them.

The API takes one value at a time, and the SDK looks for the series, the views and the exemplar each
time: 5 µs a value, with the interpreter's lock held while the app wants to run. Where the
instrument is the SDK's and its series are plain explicit buckets, the values are counted in one go
here. That reaches for the SDK's private parts, so everything is looked at before it is used, and
whatever is not as expected (another library's meter, a view that aggregates otherwise, a new SDK)
gets the values one by one.
"""

from __future__ import annotations

import logging
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.context import Context

logger = logging.getLogger(__name__)


def record_many(
    record: Callable[..., None],
    values: Sequence[float],
    labels: Mapping[str, str | int],
    context: Context | None = None,
) -> None:
    """Does what ``record(value, labels, context)`` for each of ``values`` would.

    Args:
        record: the method of a histogram of any implementation of OpenTelemetry's API.
        values: in the histogram's unit, in any order.
        context: carries the span that exemplars point at: the greatest value of each bucket is one.
    """
    left = sorted(values)
    if len(left) > 2 and left[0] >= 0 and math.isfinite(sum(left)):
        try:
            left = _in_bulk(getattr(record, "__self__", None), left, labels, context)
        except Exception:
            logger.debug("otel-agents: values are recorded one by one", exc_info=True)
    for value in left:
        record(value, labels, context)


def _in_bulk(
    histogram: Any, ordered: list[float], labels: Mapping[str, str | int], context: Context | None
) -> list[float]:
    """Counts ``ordered`` where that is possible; answers the values that are still to be recorded."""
    from opentelemetry.sdk.metrics._internal.instrument import Histogram

    if not isinstance(histogram, Histogram):
        return ordered
    # The ordinary way for one value makes the series, if it is new, and takes the exemplar.
    histogram.record(ordered.pop(), labels, context)
    series = _series(histogram, labels)
    if not series:
        return ordered if series is None else []  # nobody reads them
    boundaries = series[0]._boundaries
    if any(one._boundaries != boundaries for one in series):
        return ordered
    counts = _counts(ordered, boundaries)
    greatest: list[float] = []
    end = 0
    for bucket, count in enumerate(counts):
        end += count
        if count:  # by the ordinary way, too, so that every bucket has its exemplar
            greatest.append(ordered[end - 1])
            counts[bucket] -= 1
    total = math.fsum(ordered) - math.fsum(greatest)
    for one in series:
        _add(one, counts, total, ordered[0])
    return greatest


def _series(histogram: Any, labels: Mapping[str, str | int]) -> list[Any] | None:
    """What the SDK counts this series in, a reader and view each; None when one has no plain buckets."""
    from opentelemetry.sdk.metrics._internal import _view_instrument_match as matches
    from opentelemetry.sdk.metrics._internal.aggregation import (
        _DropAggregation,
        _ExplicitBucketHistogramAggregation,
    )

    found: list[Any] = []
    for storage in histogram._measurement_consumer._reader_storages.values():
        for match in storage._instrument_view_instrument_matches[histogram]:
            kept = match._view._attribute_keys
            seen = dict(labels) if kept is None else {key: labels[key] for key in labels if key in kept}
            one = match._attributes_aggregation[matches._hash_attributes(seen)]
            if type(one) is _DropAggregation:
                continue
            if type(one) is not _ExplicitBucketHistogramAggregation:
                return None
            found.append(one)
    return found


def _counts(ordered: Sequence[float], boundaries: Sequence[float]) -> list[int]:
    """How many of ``ordered`` are in each bucket; a bucket holds its upper bound."""
    first = bisect_left(boundaries, ordered[0])
    last = bisect_left(boundaries, ordered[-1])
    counts = [0] * (len(boundaries) + 1)
    before = 0
    for bucket in range(first, last):
        upto = bisect_right(ordered, boundaries[bucket])
        counts[bucket] = upto - before
        before = upto
    counts[last] = len(ordered) - before
    return counts


def _add(one: Any, counts: Sequence[int], total: float, least: float) -> None:
    with one._lock:
        before = one._value or one._get_empty_bucket_counts()
        one._value = [count + more for count, more in zip(before, counts, strict=True)]
        one._sum += total
        if one._record_min_max:
            one._min = min(one._min, least)
