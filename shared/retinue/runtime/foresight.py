"""How far the queue's expectations can be trusted: what came of the last ones.

A promise to answer in time rests on what batches cost on average. On a busy machine they cost now more, now less, and
threads wait for cores in ways that no line tells. Under overload a promise that is broken costs a whole answer, which
somebody else would have had in time; one that is not made costs nothing, since the next caller stands at the door.
"""

_MEMORY = 1 - 1 / 128  # of items, some dozens of batches
_DEVIATIONS = 3.0
_MOST = 3.0


class Foresight:
    """Compares what was expected with what it came to; not safe for threads, its batcher holds the lock.

    Source:
        Mean plus a multiple of the mean deviation, both with exponential forgetting, is how TCP sets its
        retransmission timer: Jacobson, "Congestion Avoidance and Control", SIGCOMM 1988.

    >>> foresight = Foresight()
    >>> foresight.caution
    1.0
    >>> for _ in range(200):
    ...     foresight.learn(0.010, 0.015)
    >>> round(foresight.caution, 1)
    1.5
    """

    def __init__(self) -> None:
        self.caution = 1.0
        """By what an expectation is to be multiplied to hold nearly always, in [1, 3]."""
        self._expected_s = self._taken_s = self._deviation_s = 0.0

    def learn(self, expected_s: float, taken_s: float) -> None:
        """Take note that what was expected to take so long took so long; both in seconds, the first above 0."""
        taken_s = min(taken_s, _MOST * expected_s)
        self._expected_s = self._expected_s * _MEMORY + expected_s
        self._taken_s = self._taken_s * _MEMORY + taken_s
        times = self._taken_s / self._expected_s
        self._deviation_s = self._deviation_s * _MEMORY + abs(taken_s - times * expected_s)
        self.caution = min(max(times + _DEVIATIONS * self._deviation_s / self._expected_s, 1.0), _MOST)
