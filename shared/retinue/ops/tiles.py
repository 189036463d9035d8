"""How a picture that is too large for a model is cut into overlapping tiles."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, overload

from retinue.ops._arrays import whole_number

MOST_PIXELS_A_SIDE = 2**31 - 1  # so that the count of tiles is a length Python can state


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of a picture, in pixels; what of it lies beyond the picture is for the caller to fill.

    Args:
        y: its first row in the picture.
        x: its first column.
        height: rows of the tile, and of what a model makes of it.
        width: columns of the tile.
        valid_height: how many of its rows lie on the picture, from the top; less than `height` in padded tiles only.
        valid_width: how many of its columns do, from the left.
    """

    y: int
    x: int
    height: int
    width: int
    valid_height: int
    valid_width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """The rows and columns of the picture under the tile: ``picture[tile.slices]`` is its valid part."""
        return slice(self.y, self.y + self.valid_height), slice(self.x, self.x + self.valid_width)


@dataclass(frozen=True, slots=True)
class Axis:
    """Where tiles lie along one side of a picture: every `stride` pixels, and so that the last reaches the end.

    Args:
        size: pixels of the picture.
        tile: pixels of a tile.
        stride: pixels from the start of one tile to that of the next.
        is_padded: whether the last tile hangs over the end, rather than being shifted back to it.
        align: what the start of every tile is a multiple of.
    """

    size: int
    tile: int
    stride: int
    is_padded: bool
    align: int = 1

    @property
    def count(self) -> int:
        """How many tiles there are."""
        return 1 + max(0, -((self.tile - self.size) // self.stride))

    def start(self, index: int) -> int:
        """Return the first pixel of a tile."""
        start = index * self.stride
        return start if self.is_padded else min(start, -((self.tile - self.size) // self.align) * self.align)

    def end(self, index: int) -> int:
        """Return the pixel after the last of a tile that lies on the picture."""
        return min(self.start(index) + self.tile, self.size)

    def length(self, index: int) -> int:
        """Return how many pixels a tile has; of a padded one also those beyond the picture."""
        return self.tile if self.is_padded else self.end(index) - self.start(index)


@dataclass(frozen=True, slots=True)
class TilePlan(Sequence[Tile]):
    """The tiles of a picture in row-major order: a sequence that makes each tile when it is asked for.

    Args:
        rows: where tiles lie from top to bottom.
        columns: where they lie from left to right.

    Notes:
        Made by `plan_tiles`. It takes no memory however many tiles there are.
    """

    rows: Axis
    columns: Axis

    def __len__(self) -> int:
        return self.rows.count * self.columns.count

    @overload
    def __getitem__(self, index: int) -> Tile: ...
    @overload
    def __getitem__(self, index: slice) -> list[Tile]: ...
    def __getitem__(self, index: int | slice) -> Tile | list[Tile]:
        if isinstance(index, slice):
            return [self._tile(place) for place in range(len(self))[index]]
        return self._tile(range(len(self))[index])

    def _tile(self, place: int) -> Tile:
        row, column = divmod(place, self.columns.count)
        y, x = self.rows.start(row), self.columns.start(column)
        height, width = self.rows.length(row), self.columns.length(column)
        return Tile(y, x, height, width, self.rows.end(row) - y, self.columns.end(column) - x)


def plan_tiles(
    height: int,
    width: int,
    tile: int | tuple[int, int],
    overlap: int | tuple[int, int] = 0,
    *,
    edge: Literal["shift", "pad"] = "shift",
    align: int = 1,
) -> TilePlan:
    """Return the tiles that cover a picture, as few as the overlap allows.

    Args:
        height: rows of the picture, 1 to 2**31 - 1.
        width: columns of the picture, likewise.
        tile: side of a tile in pixels, or (height, width), at least 1.
        overlap: how many pixels two neighbours share at least, or (along y, along x); at least 0, less than the tile.
        edge: what becomes of the last row and column of tiles. ``"shift"``: they are shifted back to end with the
            picture and overlap their neighbours by more; a side that is smaller than the tile has one tile, cut to it.
            ``"pad"``: they keep the grid and hang over the end, and every tile has the full size; the caller fills
            what lies beyond (`Tile.valid_height`, `Tile.valid_width`).
        align: what the start of every tile is a multiple of, at least 1; sizes of tiles and overlaps have to be too.
            A network that halves its maps d times sees the same in a tile as in the picture only where it begins at a
            multiple of 2**d. Tiles that are shifted back still end with the picture, and so have up to ``align - 1``
            pixels less than the others.

    Returns:
        A sequence of `Tile`, row by row from the top, each from left to right.

    Raises:
        ValueError: a size, an overlap or ``align`` is no whole number or out of range, a tile or an overlap is no
            multiple of ``align``, or the edge is none of the two.

    Notes:
        Tiles are made when they are asked for, so that a plan of billions costs nothing by itself.

    Source:
        ``"shift"`` is the rule of sahi's `get_slice_bboxes` and of supervision's `InferenceSlicer` (where that one's
        overlap is 0, it clips the last tile instead). ``"pad"`` is the grid of HoVer-Net's tiles.

    >>> [(tile.y, tile.x, tile.height, tile.width) for tile in plan_tiles(4, 10, tile=4, overlap=1)]
    [(0, 0, 4, 4), (0, 3, 4, 4), (0, 6, 4, 4)]
    >>> plan_tiles(4, 9, tile=4, overlap=1, edge="pad")[-1]
    Tile(y=0, x=6, height=4, width=4, valid_height=4, valid_width=3)
    >>> [(tile.x, tile.width) for tile in plan_tiles(4, 21, tile=8, overlap=4, align=4)]
    [(0, 8), (4, 8), (8, 8), (12, 8), (16, 5)]
    """
    if edge not in ("shift", "pad"):
        raise ValueError(f"edge: must be 'shift' or 'pad', got {edge!r}")
    tiles, overlaps = _pair(tile, "tile", at_least=1), _pair(overlap, "overlap", at_least=0)
    align = whole_number(align, "align", at_least=1)
    for name, pair in (("tile", tiles), ("overlap", overlaps)):
        if pair[0] % align or pair[1] % align:
            raise ValueError(f"{name}: must be a multiple of align, {align}, got {pair}")
    sizes = whole_number(height, "height", at_least=1), whole_number(width, "width", at_least=1)
    rows, columns = (
        _axis(size, name, own, shared, is_padded=edge == "pad", align=align)
        for size, name, own, shared in zip(sizes, ("height", "width"), tiles, overlaps, strict=True)
    )
    return TilePlan(rows, columns)


def _axis(size: int, name: str, tile: int, overlap: int, *, is_padded: bool, align: int) -> Axis:
    if size > MOST_PIXELS_A_SIDE:
        raise ValueError(f"{name}: must be at most {MOST_PIXELS_A_SIDE}, got {size}")
    if overlap >= tile:
        raise ValueError(f"overlap: must be less than the tile, got {overlap} for tiles of {tile}")
    return Axis(size, tile if is_padded else min(tile, size), tile - overlap, is_padded, align)


def _pair(sizes: int | tuple[int, int], name: str, *, at_least: int) -> tuple[int, int]:
    """Return the sizes along y and x; one number stands for both."""
    both = sizes if isinstance(sizes, (tuple, list)) else (sizes, sizes)
    if len(both) != 2:
        raise ValueError(f"{name}: must be one number, or two for y and x, got {sizes!r}")
    return whole_number(both[0], name, at_least=at_least), whole_number(both[1], name, at_least=at_least)
