"""Whether a run can be believed, and whether it met its SLO."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadtests.load.exposition import Exposition
from loadtests.load.reading import Reading
from loadtests.load.samples import INCOMPLETE, OK, Sample, quantile, summary_of
from loadtests.load.scenario import Scenario
from loadtests.load.served_call import ServedCall

# How a call can end here while the service says otherwise: it was answered in the instant in which we gave up, or never
# came there.
_OURS_ALONE = ("DEADLINE_EXCEEDED", "CANCELLED", "UNAVAILABLE")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold.

    Args:
        name: what.
        is_met: whether it held.
        wanted: in words.
        found: in words.
    """

    name: str
    is_met: bool
    wanted: str
    found: str


def slo_checks(scenario: Scenario, samples: Sequence[Sample]) -> Sequence[Check]:
    """Return the checks of a scenario's SLO over the calls that were due after its warm-up.

    Without such calls the SLO is not met; a latency that nobody saw is NaN, and not met either.
    """
    slo = scenario.slo
    counted = [sample for sample in samples if sample.due_s >= scenario.warm_up_s]
    summary = summary_of(counted, scenario.deadline_s, scenario.seconds - scenario.warm_up_s)
    checks = [
        Check("calls", bool(counted), "at least 1 after the warm-up", f"{len(counted)}"),
        _at_most("error ratio", summary.error_ratio, slo.max_error_ratio, "{:.4f}"),
        _at_least("goodput ratio", summary.goodput_ratio, slo.min_goodput_ratio, "{:.4f}"),
    ]
    if slo.min_rate_hz:
        checks.append(_at_least("answers per second", summary.rate_hz, slo.min_rate_hz, "{:.1f}"))
    for name, target in slo.latency_ms.items():
        latencies_ms = [1e3 * sample.latency_s for sample in counted if sample.name == name]
        for label, share, limit in (("p50", 0.5, target.p50), ("p99", 0.99, target.p99)):
            if limit is not None:
                found = quantile(latencies_ms, share)
                checks.append(_at_most(f"{name} {label} ms", found, limit, "{:.1f}"))
    return checks


def memory_checks(scenario: Scenario, readings: Sequence[Reading]) -> Sequence[Check]:
    """Return the checks of how much each service's memory grew after the warm-up; none where the SLO is silent on it.

    A service that was not read twice since then has grown by nobody knows how much: NaN, and not met.
    """
    limit = scenario.slo.max_memory_growth_bytes
    if limit is None:
        return []
    checks = []
    for service in scenario.mix:
        later = [one for one in readings if one.service == service and one.at_s >= scenario.warm_up_s]
        growth = later[-1].resident_bytes - later[0].resident_bytes if len(later) > 1 else math.nan
        checks.append(_at_most(f"{service} memory growth MiB", growth / 2**20, limit / 2**20, "{:.1f}"))
    return checks


def agreement_checks(
    samples: Sequence[Sample],
    locust_counts: Mapping[str, int],
    calls: Mapping[str, ServedCall],
    counted: Mapping[str, Exposition],
) -> Sequence[Check]:
    """Return whether locust, its callers' samples and the services' counters tell the same story.

    Args:
        samples: all calls, those of the warm-up too.
        locust_counts: requests by name, as locust counted them.
        calls: by name.
        counted: what each service counted meanwhile.
    """
    checks = []
    for name, call in calls.items():
        service = name.partition(".")[0]
        ours = [sample for sample in samples if sample.name == name]
        codes = Counter(OK if sample.code == INCOMPLETE else sample.code for sample in ours)
        theirs = counted[service].by_label("grpc_server_handled_total", "grpc_code", grpc_method=call.method)
        unsure = sum(codes[code] for code in _OURS_ALONE)
        found_ok, found_all = round(theirs.get(OK, 0.0)), round(sum(theirs.values()))
        is_agreed = (
            len(ours) == locust_counts.get(name, 0)
            and codes[OK] <= found_ok <= codes[OK] + unsure
            and len(ours) - unsure <= found_all <= len(ours)
        )
        slack = f" (of which {unsure} may be seen differently)" if unsure else ""
        checks.append(
            Check(
                f"{name} counts agree",
                is_agreed,
                f"locust {locust_counts.get(name, 0)}, callers {len(ours)} with {codes[OK]} OK{slack}",
                f"service {found_all} with {found_ok} OK",
            )
        )
        if ours:
            checks.append(_is_not_slower_than_seen(name, call, ours, counted[service]))
    return checks


def _is_not_slower_than_seen(name: str, call: ServedCall, ours: Sequence[Sample], counted: Exposition) -> Check:
    """Return whether the service's p99 is not above the callers': it is a part of what they wait for.

    A histogram says between which bounds a quantile is; where even the lower one is above, the clocks or the callers
    are wrong, as where callers wait for each other before they look at their watch.
    """
    lower_s, upper_s = counted.histogram("grpc_server_handling_seconds", grpc_method=call.method).bucket_of(0.99)
    seen_s = quantile([sample.duration_s for sample in ours], 0.99)
    return Check(
        f"{name} p99 of the service is not above the callers'",
        lower_s <= seen_s,  # False where NaN: the service counted nothing
        f"callers {1e3 * seen_s:.1f} ms",
        f"service {1e3 * lower_s:.1f} to {1e3 * upper_s:.1f} ms",
    )


def _at_most(name: str, found: float, limit: float, form: str) -> Check:
    return Check(name, found <= limit, f"at most {form.format(limit)}", form.format(found))


def _at_least(name: str, found: float, limit: float, form: str) -> Check:
    return Check(name, found >= limit, f"at least {form.format(limit)}", form.format(found))
