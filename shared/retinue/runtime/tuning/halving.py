"""Successive halving: many are measured shortly, the better third for longer, until few are left.

Source:
    Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS 2016:
    every round has the same budget. Thirds in place of halves, and a least time for each, are ours.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Candidate = TypeVar("Candidate")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Trial(Generic[Candidate, Result]):
    """One candidate and the longest that was seen of it.

    Args:
        candidate: what was measured.
        result: what came out.
        round: the last round in which it was measured, from 0.
    """

    candidate: Candidate
    result: Result
    round: int


def halve(  # noqa: PLR0913 - all but three have defaults or are named
    candidates: Sequence[Candidate],
    measure: Callable[[Candidate, float], Result | None],
    *,
    key: Callable[[Candidate, Result], Any],
    budget_s: float,
    least_s: float,
    finalists: int = 3,
    kept_share: float = 1 / 3,
    clock: Callable[[], float] = time.monotonic,
) -> list[Trial[Candidate, Result]]:
    """Return what was measured, the best first: who came further stands before who did not.

    Args:
        candidates: what there is to choose from, the most promising first.
        measure: measures one for about so many seconds; None where it cannot be used, and is then out.
        key: ranks a result, larger is better.
        budget_s: for all rounds together; when it is spent, nothing more is begun.
        least_s: what one measurement takes at least. Where all rounds would be too much with that, the last
            candidates are left out.
        finalists: how many are to be left, at least 1.
        kept_share: how many go on into the next round, below 1.
        clock: monotonic seconds; tests give their own.

    Notes:
        Whatever the budget, the first candidate is measured.
    """
    end_s = clock() + budget_s
    count = len(candidates)
    while count > 1 and sum(_counts(count, finalists, kept_share)) * least_s > budget_s:
        count -= 1
    rounds = len(_counts(count, finalists, kept_share))
    going = list(candidates[:count])
    best: dict[int, Trial[Candidate, Result]] = {}
    alive = list(range(len(going)))
    for turn in range(rounds):
        slot_s = max(least_s, (end_s - clock()) / (rounds - turn) / max(1, len(alive)))
        measured: list[int] = []
        for index in alive:
            if best and clock() + least_s > end_s:
                break
            result = measure(going[index], slot_s)
            if result is None:
                best.pop(index, None)
            else:
                best[index] = Trial(going[index], result, turn)
                measured.append(index)
        measured.sort(key=lambda index: key(going[index], best[index].result), reverse=True)
        if len(measured) <= finalists:
            break
        alive = measured[: max(finalists, int(len(measured) * kept_share))]
    return sorted(best.values(), key=lambda one: (one.round, key(one.candidate, one.result)), reverse=True)


def _counts(count: int, finalists: int, kept_share: float) -> list[int]:
    """Return how many are measured in each round.

    >>> _counts(27, 3, 1 / 3)
    [27, 9, 3]
    """
    counts = [count]
    while counts[-1] > finalists:
        counts.append(max(finalists, int(counts[-1] * kept_share)))
    return counts
