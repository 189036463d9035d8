"""A service's /metrics as numbers: read, added up over replicas, subtracted, and its histograms' quantiles."""

import math
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

_TIMEOUT_S = 5.0

Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class HistogramCounts:
    """A Prometheus histogram.

    Args:
        bounds: upper bounds of its buckets, ascending, the last one infinite.
        counts: observations in each bucket; not cumulated.
        total: sum of what was observed.
    """

    bounds: Sequence[float]
    counts: Sequence[float]
    total: float

    @property
    def count(self) -> float:
        """How many were observed."""
        return sum(self.counts)

    def bucket_of(self, share: float) -> tuple[float, float]:
        """Return the bounds of the bucket that a quantile lies in: it is above the first and not above the second.

        >>> HistogramCounts((1.0, 2.0, math.inf), (9.0, 1.0, 0.0), 10.0).bucket_of(0.95)
        (1.0, 2.0)
        """
        rank, seen, lower = math.ceil(share * self.count), 0.0, 0.0
        for bound, count in zip(self.bounds, self.counts, strict=True):
            seen += count
            if count and seen >= rank:
                return lower, bound
            lower = bound
        return math.nan, math.nan


class Exposition:
    """The samples of one or more scrapes.

    Args:
        values: each sample's value by its name and its sorted labels.
    """

    def __init__(self, values: Mapping[Key, float]) -> None:
        self._values = values

    @classmethod
    def scrape(cls, addresses: Iterable[str]) -> Self:
        """Return what the side ports at ``host:port`` say, added up.

        Raises:
            OSError: one does not answer.
        """
        values: dict[Key, float] = {}
        for address in addresses:
            with urllib.request.urlopen(f"http://{address}/metrics", timeout=_TIMEOUT_S) as answer:
                text = answer.read().decode()
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    key = (sample.name, tuple(sorted(sample.labels.items())))
                    values[key] = values.get(key, 0.0) + sample.value
        return cls(values)

    def __sub__(self, earlier: "Exposition") -> "Exposition":
        """Return what was counted since an earlier scrape; gauges make no sense in it."""
        before = earlier._values
        return Exposition({key: value - before.get(key, 0.0) for key, value in self._values.items()})

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of all samples of a name that have these labels; 0 where there are none."""
        return sum(value for _, value in self._matching(name, labels))

    def by_label(self, name: str, label: str, **labels: str) -> Mapping[str, float]:
        """Return the sums for each value of one label."""
        sums: dict[str, float] = {}
        for found, value in self._matching(name, labels):
            sums[found.get(label, "")] = sums.get(found.get(label, ""), 0.0) + value
        return sums

    def histogram(self, name: str, **labels: str) -> HistogramCounts:
        """Return all series of a histogram that have these labels as one."""
        cumulated = sorted(
            (float(bound), count) for bound, count in self.by_label(f"{name}_bucket", "le", **labels).items()
        )
        counts, before = [], 0.0
        for _, count in cumulated:
            counts.append(count - before)
            before = count
        return HistogramCounts([bound for bound, _ in cumulated], counts, self.total(f"{name}_sum", **labels))

    def _matching(self, name: str, labels: Mapping[str, str]) -> Iterable[tuple[Mapping[str, str], float]]:
        for (found_name, found_labels), value in self._values.items():
            if found_name == name:
                found = dict(found_labels)
                if labels.items() <= found.items():
                    yield found, value
