"""The metrics of several processes as those of one service.

Counters and histograms are added up, those of processes that have ended included: a total that fell would be taken for
a restart, and all of what is left counted once more. Most gauges are added up too; see `_RULES` for the others.
"""

import operator
import threading
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

Families = list[Metric]
_Key = tuple[str, tuple[tuple[str, str], ...]]
_Rule = Callable[[float, float], float]
# Of these, the sum over processes is nothing that anybody asks for.
_RULES: Mapping[str, _Rule] = {
    "retinue_model_info": max,
    "retinue_model_state": max,
    "python_info": max,
    "process_max_fds": max,
    "process_start_time_seconds": min,
}


def snapshot(registry: CollectorRegistry) -> Families:
    """Return what a registry holds at this instant; it can be pickled."""
    return list(registry.collect())


def merged(sources: Iterable[Families]) -> Families:
    """Return the metrics of several processes as one."""
    families: dict[str, Metric] = {}
    values: dict[str, dict[_Key, Sample]] = {}
    for family in (family for source in sources for family in source):
        families.setdefault(family.name, _empty(family))
        known = values.setdefault(family.name, {})
        rule: _Rule = _RULES.get(family.name, operator.add)
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            value = rule(known[key].value, sample.value) if key in known else sample.value
            known[key] = Sample(sample.name, sample.labels, value)
    for name, family in families.items():
        family.samples = list(values[name].values())
    return list(families.values())


def _empty(family: Metric) -> Metric:
    return Metric(family.name, family.documentation, family.type, family.unit)


class MergedMetrics(Collector):
    """What /metrics of several processes shows.

    Args:
        sources: gives what each process that lives says of itself.
    """

    def __init__(self, sources: Callable[[], Iterable[Families]]) -> None:
        self._sources = sources
        self._past: Families = []
        self._lock = threading.Lock()

    def bury(self, last: Callable[[], Families], forget: Callable[[], object] = lambda: None) -> None:
        """Keep the totals of a process that has ended: what it said last.

        Args:
            last: gives what it said; asked in that instant too, since a collection under way may yet hear from it.
            forget: takes it from among the sources, in the same instant for all who collect: were it there and among
                the ended for one of them, its totals would count twice and seem to fall afterwards.
        """
        with self._lock:
            forget()
            totals = [family for family in last() if family.type in ("counter", "histogram")]
            self._past = merged([self._past, totals])

    def describe(self) -> Families:
        """Return nothing: what there is, is known when it is collected."""
        return []

    def collect(self) -> Families:
        """Return the metrics of all, living and ended."""
        with self._lock:
            return merged([*self._sources(), self._past])
