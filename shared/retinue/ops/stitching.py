"""What a model said of each tile, put together to one answer for the picture.

Tiles lie on a grid and the weight of a pixel in a tile is a product of a weight along y and one along x. So a row of
tiles can be blended from left to right and then into the rows above it, and a blend is a running mean: each new tile
pulls what is there toward itself by its part of the weights so far. Two consequences are what this module is built on:
where tiles agree, what they say stays exactly so, and only where they overlap is there anything to compute.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from retinue.ops.tiles import Axis, TilePlan

Blend = Literal["crop", "mean", "gaussian"]

_SIGMA_OF_TILE = 0.125  # of the Gaussian window, as nnU-Net and MONAI have it


def stitch(plan: TilePlan, outputs: Iterable[NDArray[Any]], *, blend: Blend = "crop") -> NDArray[Any]:
    """Return the picture that the outputs of its tiles make up.

    Args:
        plan: the tiles, from `plan_tiles`.
        outputs: one array for each tile, in the plan's order: (tile height, tile width) or (tile height, tile width,
            channels), all of the same dtype and channels. Taken one at a time, so it may be a generator.
        blend: what a pixel is where tiles overlap. ``"crop"``: what the tile says whose centre is nearest along each
            axis, of two equally near the later; any dtype, so also label maps. ``"mean"``: the mean of all tiles.
            ``"gaussian"``: the mean weighted by a Gaussian window, by which a tile's centre counts most; a last tile
            that alignment has made smaller has the window of the others, cut. The means are of floats: float32 stays,
            others count as float64, integers and booleans are refused.

    Returns:
        (height, width) or (height, width, channels); what lies beyond the picture in padded tiles is left out.

    Raises:
        ValueError: an output has another shape or dtype than asked for, there are more or fewer than tiles, the blend
            is none of the three, or the plan is no plan.

    Notes:
        Where overlapping tiles agree, the result is exactly what they say. A pixel is NaN in a mean where a tile says
        NaN or infinity and another has a part in it; values beyond half of the dtype's range may overflow there.
        `RowStitcher` gives the same rows without holding the picture.

    Source:
        The window is that of nnU-Net (Isensee et al., Nature Methods 2021): sigma is 1/8 of the tile. It is nowhere 0
        here, so that pixels which only one tile reaches keep their value.

    >>> from retinue.ops import plan_tiles
    >>> picture = np.arange(12.0).reshape(2, 6)
    >>> plan = plan_tiles(2, 6, tile=(2, 4), overlap=(0, 1))
    >>> stitch(plan, [picture[tile.slices] for tile in plan], blend="gaussian")
    array([[ 0.,  1.,  2.,  3.,  4.,  5.],
           [ 6.,  7.,  8.,  9., 10., 11.]])
    """
    canvas = _Canvas(plan, blend, keeps_all=True)
    place = -1
    for place, output in enumerate(outputs):
        canvas.put(place, output)
    if place + 1 != len(plan):
        raise ValueError(f"outputs: must be one for each of {len(plan)} tiles, got {place + 1}")
    return canvas.pixels


class RowStitcher:
    """Tiles in, finished rows of the picture out, with one row of tiles in memory.

    Args:
        plan: the tiles, from `plan_tiles`.
        blend: as in `stitch`.

    Raises:
        ValueError: the blend or the plan is none.

    >>> from retinue.ops import plan_tiles
    >>> plan = plan_tiles(3, 2, tile=2)
    >>> stitcher = RowStitcher(plan)
    >>> [stitcher.add(np.full((2, 2), y)).tolist() for y in (7, 8)]
    [[[7, 7]], [[8, 8], [8, 8]]]
    """

    def __init__(self, plan: TilePlan, *, blend: Blend = "crop") -> None:
        self._canvas = _Canvas(plan, blend, keeps_all=False)
        self._place = 0

    def add(self, output: NDArray[Any]) -> NDArray[Any]:
        """Return the rows of the picture that the output of the next tile completes, those after the last returned.

        Args:
            output: what `stitch` takes for the tile; tiles come in the plan's order.

        Returns:
            (rows, width) or (rows, width, channels). There are none, except at the last tile of each row of tiles.

        Raises:
            ValueError: the output has another shape or dtype than asked for, or all tiles have been added.
        """
        rows = self._canvas.put(self._place, output)
        self._place += 1
        return rows


class _Share:
    """The pixels of one tile along one axis: from `begin` to `fresh` it joins others, up to `end` it is the first.

    Pixels before `begin` are not taken from the tile. `final` is where the pixels end that no later tile touches.
    """

    __slots__ = ("begin", "end", "final", "fresh", "pull", "start")

    def __init__(self, axis: Axis, index: int, window: Callable[[int], NDArray[np.float64]] | None) -> None:
        self.start = axis.start(index)
        is_last = index + 1 == axis.count
        if window is None:
            self.begin = self.fresh = _seam(axis, index)
            self.final = self.end = axis.size if is_last else _seam(axis, index + 1)
            self.pull = np.empty(0)
            return
        self.begin, self.end = self.start, axis.end(index)
        self.fresh = axis.end(index - 1) if index else self.start
        self.final = axis.size if is_last else axis.start(index + 1)
        #: By how much the tile pulls what is there already: its part of the weights so far.
        self.pull = _pull(axis, index, self.fresh - self.begin, window)


class _Canvas:
    """The rows of the picture that are being put together: all of them, or those of one row of tiles."""

    def __init__(self, plan: TilePlan, blend: Blend, *, keeps_all: bool) -> None:
        if not isinstance(plan, TilePlan):
            raise ValueError(f"plan: must be what plan_tiles returns, got {type(plan).__name__}")  # noqa: TRY004, ops raise ValueError
        if blend not in ("crop", "mean", "gaussian"):
            raise ValueError(f"blend: must be 'crop', 'mean' or 'gaussian', got {blend!r}")
        self._rows, self._columns, self._count = plan.rows, plan.columns, len(plan)
        self._window = {"crop": None, "mean": np.ones, "gaussian": _gaussian}[blend]
        self._keeps_all = keeps_all
        self._top = 0  # the row of the picture that `pixels` begins with
        self._is_begun = False
        self._channels: tuple[int, ...] = ()
        self._dtype = np.dtype(np.float64)
        self.pixels: NDArray[Any] = np.empty(0)
        self._joining: NDArray[Any] = np.empty(0)  # rows of this row of tiles that are still to join those above

    def put(self, place: int, output: NDArray[Any]) -> NDArray[Any]:
        """Take in the tile at a place and return the rows that it completes."""
        if place >= self._count:
            raise ValueError(f"outputs: must be one for each of {self._count} tiles, got more")
        pixels = self._checked(np.asarray(output), place)
        index, column = divmod(place, self._columns.count)
        if column == 0:
            self._row = _Share(self._rows, index, self._window)
        row, across = self._row, _Share(self._columns, column, self._window)
        joined = row.fresh - row.begin
        with np.errstate(over="ignore", invalid="ignore"):  # see the notes of `stitch`
            if joined:
                _join(self._joining[:joined], pixels[:joined], across)
            fresh = slice(row.fresh - self._top, row.end - self._top)
            _join(self.pixels[fresh], pixels[row.fresh - row.start : row.end - row.start], across)
            if column + 1 < self._columns.count:
                return self.pixels[:0]
            if joined:
                _pull_toward(
                    self.pixels[row.begin - self._top : row.fresh - self._top], self._joining[:joined], row.pull
                )
        if self._keeps_all:
            return self.pixels[row.begin : row.final]
        done = row.final - self._top
        rows = self.pixels[:done].copy()
        kept = row.end - row.final
        self.pixels[:kept] = self.pixels[done : done + kept].copy()
        self._top = row.final
        return rows

    def _checked(self, output: NDArray[Any], place: int) -> NDArray[Any]:
        """Return the output in the dtype of the result, if it fits its tile and those before it."""
        row, column = divmod(place, self._columns.count)
        tile = (self._rows.length(row), self._columns.length(column))
        if output.ndim not in (2, 3) or output.shape[:2] != tile:
            raise ValueError(
                f"outputs[{place}]: must be {tile} or {(*tile, 'channels')} as its tile is, got {output.shape}"
            )
        if not self._is_begun:
            self._begin(output, place)
        if output.dtype != self._dtype or output.shape[2:] != self._channels:
            raise ValueError(
                f"outputs[{place}]: must be {(*tile, *self._channels)} of {self._dtype} as those before,"
                f" got {output.shape} of {output.dtype}"
            )
        return output

    def _begin(self, output: NDArray[Any], place: int) -> None:
        result = output.dtype
        if self._window is not None and result != np.float32:
            if result.kind != "f":
                raise ValueError(
                    f"outputs[{place}]: must be floats to be averaged, got dtype {result}; use blend='crop'"
                )
            result = np.dtype(np.float64)
        self._is_begun, self._channels, self._dtype = True, output.shape[2:], output.dtype
        rows = self._rows.size if self._keeps_all else min(self._rows.tile, self._rows.size)
        wide = (self._columns.size, *output.shape[2:])
        self.pixels = np.empty((rows, *wide), result)
        if self._window is not None and self._rows.count > 1:
            most_shared = max(self._rows.end(i) - self._rows.start(i + 1) for i in (0, self._rows.count - 2))
            self._joining = np.empty((most_shared, *wide), result)


def _join(band: NDArray[Any], pixels: NDArray[Any], across: _Share) -> None:
    """Take one tile's pixels into a band of rows that holds those to the left of it."""
    band[:, across.fresh : across.end] = pixels[:, across.fresh - across.start : across.end - across.start]
    if across.fresh > across.begin:
        # Along x the pull is the same in every row, so that the axes are turned for it to apply to the first.
        shared = band[:, across.begin : across.fresh].swapaxes(0, 1)
        _pull_toward(shared, pixels[:, : across.fresh - across.begin].swapaxes(0, 1), across.pull)


def _pull_toward(there: NDArray[Any], other: NDArray[Any], pull: NDArray[np.float64]) -> None:
    """Move what is there toward the other by a part for each entry of the first axis; where they agree, by nothing."""
    there += (other - there) * pull.astype(there.dtype).reshape(-1, *[1] * (there.ndim - 1))


def _seam(axis: Axis, index: int) -> int:
    """Return the first pixel that a tile gives to a crop: the one half-way into what it shares with the tile before."""
    return (axis.start(index) + axis.start(index - 1) + axis.tile) // 2 if index else 0


def _pull(axis: Axis, index: int, length: int, window: Callable[[int], NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the tile's part of the weights of all tiles up to it, for its first `length` pixels."""
    weights = window(axis.tile)
    own = weights[:length]
    total = own.copy()
    start = axis.start(index)
    for other in range(index - 1, -1, -1):
        shift = start - axis.start(other)
        if shift >= axis.tile:
            break
        shared = min(axis.tile - shift, length)
        total[:shared] += weights[shift : shift + shared]
    return own / total


def _gaussian(size: int) -> NDArray[np.float64]:
    """Return a window that is 1 in the middle and e**-8 at both ends."""
    offsets = (np.arange(size) + 0.5) / size - 0.5
    return np.exp(-0.5 * (offsets / _SIGMA_OF_TILE) ** 2)
