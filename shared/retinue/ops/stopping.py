"""How long work is ended early: a flag that another thread sets, and that loops look at."""

from typing import Final

import numpy as np


class Stopped(Exception):
    """The work was told to stop before its answer was there."""


class Stop:
    """Tells an operation, from another thread, that nobody waits for its answer any more.

    A kernel cannot call back into Python, and does not hold the interpreter's lock while it runs. So it looks at one
    byte in memory between the rows that it places, which costs nothing that could be measured.

    Attributes:
        flag: uint8 [1], 1 once it is set: what kernels look at.

    >>> stop = Stop()
    >>> stop.check()
    >>> stop.set()
    >>> stop.flag
    array([1], dtype=uint8)
    """

    __slots__ = ("flag",)

    def __init__(self) -> None:
        self.flag = np.zeros(1, np.uint8)

    def set(self) -> None:
        """Tell it, once and for all."""
        self.flag[0] = 1

    def check(self) -> None:
        """Raise `Stopped` where it is set."""
        if self.flag[0]:
            raise Stopped("nobody waits for the answer any more")


NEVER: Final = Stop()
"""What operations look at that nobody can stop."""
