"""One picture in memory, looked at window by window."""

import time
from itertools import chain

import numpy as np

from retinue.ops import MergedInstance
from retinue.runtime.caller import Caller
from retinue.runtime.picture import Picture
from retinue.runtime.slots import Slots
from retinue.runtime.timings import Timings
from services.segmentation.segmentations import Codes, SegmentationOptions, Thing
from services.segmentation.things import best_first, is_wanted, thing_of
from services.segmentation.windows import SegmentationEngine, Tiling, Windows


class TiledPicture:
    """One picture looked at through windows.

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

    def __call__(self, timings: Timings) -> tuple[Codes, list[Thing]]:
        """Look at all windows and return codes and things, best first, adding up the time of their stages.

        Raises:
            RetinueError: a window failed, the deadline passed, or the caller went away.
        """
        with self._slots.held(self._caller):
            return self._through_windows(timings)

    def _through_windows(self, timings: Timings) -> tuple[Codes, list[Thing]]:
        begin_s = time.monotonic()
        pixels = self._picture.pixels()
        timings.decode_s = time.monotonic() - begin_s
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
        timings.add(windows.timings)
        things = [thing for thing in map(thing_of, merged) if is_wanted(thing, self._options)]
        codes = np.concatenate([part for part in rows if len(part)])
        return codes, best_first(things, self._options.max_instances)
