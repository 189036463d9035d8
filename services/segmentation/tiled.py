"""One picture in memory, looked at window by window; waited for as a ticket is."""

import time
from itertools import chain

import numpy as np

from retinue.ops import MergedInstance
from retinue.runtime.caller import Caller
from retinue.runtime.errors import DeadlineExceeded, RetinueError
from retinue.runtime.picture import Picture
from retinue.runtime.slots import Slots
from retinue.runtime.timings import Timings
from services.segmentation.segmentations import Codes, SegmentationOptions, Thing
from services.segmentation.things import best_first, is_wanted, thing_of
from services.segmentation.windows import SegmentationEngine, Tiling, Windows


class Tiled:
    """A picture that is to be looked at through windows; nothing is done before it is waited for.

    Args:
        engine: what looks at the windows.
        picture: the whole.
        options: what the caller wants.
        tiling: how to look.
        caller: who waits.
        slots: how many pictures may be held decoded at a time by all callers together.
    """

    def __init__(
        self,
        engine: SegmentationEngine,
        picture: Picture,
        options: SegmentationOptions,
        tiling: Tiling,
        caller: Caller,
        slots: Slots,
    ) -> None:
        self._engine = engine
        self._picture = picture
        self._options = options
        self._tiling = tiling
        self._caller = caller
        self._slots = slots
        self._answer: tuple[Codes, list[Thing]] | None = None
        self._error: RetinueError | None = None
        self.timings = Timings()

    def wait(self) -> tuple[Codes, list[Thing]]:
        """Return codes and things, best first.

        Raises:
            RetinueError: a window failed, the deadline passed, or the caller went away.
        """
        error = self.wait_error()
        if error is not None or self._answer is None:
            raise error or DeadlineExceeded("the picture was never looked at")
        return self._answer

    def wait_error(self) -> BaseException | None:
        """Look at all windows, if that has not been done, and return why there is no answer; None where there is."""
        if self._answer is None and self._error is None:
            try:
                self._answer = self._looked_at()
            except RetinueError as error:
                # A traceback holds frames, they the decoded picture, and this, which holds the error: a cycle.
                self._error = error.with_traceback(None)
        return self._error

    def _looked_at(self) -> tuple[Codes, list[Thing]]:
        with self._slots.held(self._caller):
            return self._through_windows()

    def _through_windows(self) -> tuple[Codes, list[Thing]]:
        begin_s = time.monotonic()
        pixels = self._picture.pixels()
        self.timings.decode_s = time.monotonic() - begin_s
        size = (pixels.shape[0], pixels.shape[1])
        windows = Windows(self._engine, size, self._tiling, self._options, self._caller)
        rows: list[Codes] = []
        merged: list[MergedInstance] = []
        try:
            for done in chain(windows.add(pixels), windows.finish()):
                rows.append(done.rows)
                merged += done.things
        finally:
            windows.close()
        self.timings.add(windows.timings)
        things = [thing for thing in map(thing_of, merged) if is_wanted(thing, self._options)]
        codes = np.concatenate([part for part in rows if len(part)])
        return codes, best_first(things, self._options.max_instances)
