"""A slide as it comes in a stream: what it was said to be, its tiles, and rows of them as soon as they are full."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retinue.runtime.errors import ImageTooLarge, InvalidInput
from retinue.segmentation.v1 import segmentation_pb2 as pb
from services.segmentation.segmentations import Codes
from services.segmentation.settings import SlideSettings

_LEAST_TILE_PX = 32


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a slide is cut by its sender, pixels; the last tiles of rows and columns are as large as what is left."""

    width: int
    height: int
    tile_width: int
    tile_height: int

    @property
    def columns(self) -> int:
        """How many tiles lie in a row."""
        return -(-self.width // self.tile_width)

    @property
    def rows(self) -> int:
        """How many rows of tiles there are."""
        return -(-self.height // self.tile_height)

    def row_height(self, row: int) -> int:
        """Return the height of the tiles of a row."""
        return min(self.tile_height, self.height - row * self.tile_height)

    def column_width(self, column: int) -> int:
        """Return the width of the tiles of a column."""
        return min(self.tile_width, self.width - column * self.tile_width)


def geometry_of(message: pb.SlideGeometry, settings: SlideSettings, field: str = "start.geometry") -> Geometry:
    """Return what a sender says of a slide.

    Raises:
        InvalidInput: a side is out of range.
        ImageTooLarge: tiles, or rows of them, have more pixels than are held.
    """
    most = settings.max_side_px
    for name in ("width", "height"):
        side = getattr(message, name)
        if not 1 <= side <= most:
            raise InvalidInput(f"{field}.{name}", f"is {side}; 1 to {most} are allowed", limit=str(most))
    for name in ("tile_width", "tile_height"):
        side = getattr(message, name)
        if side < _LEAST_TILE_PX:
            raise InvalidInput(f"{field}.{name}", f"is {side}; at least {_LEAST_TILE_PX} is allowed")
    geometry = Geometry(
        message.width,
        message.height,
        min(message.tile_width, message.width),
        min(message.tile_height, message.height),
    )
    for what, pixels, limit in (
        ("tile", geometry.tile_width * geometry.tile_height, settings.max_tile_pixels),
        ("row of tiles", geometry.width * geometry.tile_height, settings.max_row_pixels),
    ):
        if pixels > limit:
            problem = f"a {what} has {pixels} pixels, above the limit of {limit}"
            raise ImageTooLarge(f"{field}.tile_height", problem, limit=str(limit), actual=str(pixels))
    return geometry


def check_windows(geometry: Geometry, tile_size_px: int, settings: SlideSettings) -> None:
    """Say whether a row of windows is small enough to be held.

    Raises:
        ImageTooLarge: it has more pixels than that.
    """
    pixels, limit = geometry.width * min(tile_size_px, geometry.height), settings.max_row_pixels
    if pixels > limit:
        problem = f"a row of windows has {pixels} pixels, above the limit of {limit}"
        raise ImageTooLarge("start.options.tiling.tile_size_px", problem, limit=str(limit), actual=str(pixels))


class TileRows:
    """Puts tiles together to rows of pixels.

    Args:
        geometry: what the tiles have to be.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        self._row = 0
        self._missing = set(range(geometry.columns))
        self._pixels: NDArray[np.uint8] | None = None
        self.tile_count = 0

    def expected_size(self, x: int, y: int) -> tuple[int, int]:
        """Return height and width of the tile at a place.

        Raises:
            InvalidInput: no tile lies there, it was sent before, or another row of tiles is to come first.
        """
        geometry = self._geometry
        if not 0 <= x < geometry.width or x % geometry.tile_width:
            problem = f"is {x}; a multiple of {geometry.tile_width} below {geometry.width} is required"
            raise InvalidInput("tile.x", problem)
        if not 0 <= y < geometry.height or y % geometry.tile_height:
            problem = f"is {y}; a multiple of {geometry.tile_height} below {geometry.height} is required"
            raise InvalidInput("tile.y", problem)
        row, column = y // geometry.tile_height, x // geometry.tile_width
        if row > self._row:
            missing = f"tile x={min(self._missing) * geometry.tile_width}, y={self._row * geometry.tile_height}"
            raise InvalidInput("tile.y", f"is {y} while {missing} has not come; rows come from top to bottom")
        if row < self._row or column not in self._missing:
            raise InvalidInput("tile", f"tile x={x}, y={y} was sent before")
        return geometry.row_height(row), geometry.column_width(column)

    def add(self, x: int, y: int, pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
        """Take a tile of the expected size, and yield the row of tiles that it fills, uint8 [height, width, 3]."""
        geometry = self._geometry
        row = y // geometry.tile_height
        if self._pixels is None:
            self._pixels = np.empty((geometry.row_height(row), geometry.width, 3), np.uint8)
        self._pixels[:, x : x + pixels.shape[1]] = pixels
        self._missing.discard(x // geometry.tile_width)
        self.tile_count += 1
        if not self._missing:
            full, self._pixels = self._pixels, None
            self._row += 1
            self._missing = set(range(geometry.columns))
            yield full

    def check_complete(self) -> None:
        """Say whether all tiles have come.

        Raises:
            InvalidInput: one has not; the message names it.
        """
        geometry = self._geometry
        if self._row < geometry.rows:
            x, y = min(self._missing) * geometry.tile_width, self._row * geometry.tile_height
            count = geometry.rows * geometry.columns
            raise InvalidInput(
                "tile", f"the stream ended after {self.tile_count} of {count} tiles; x={x}, y={y} is missing"
            )


class CodeRows:
    """Puts finished rows of codes together to the sender's rows of tiles.

    Args:
        geometry: of the slide.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        self._row = 0
        self._parts: list[Codes] = []

    def add(self, rows: Codes) -> Iterator[tuple[int, int, Codes]]:
        """Take finished rows and yield left edge, top edge and codes of each tile that is finished by them."""
        geometry = self._geometry
        while len(rows):
            there = sum(len(part) for part in self._parts)
            wanted = geometry.row_height(self._row) - there
            self._parts.append(rows[:wanted])
            rows = rows[wanted:]
            if len(self._parts[-1]) < wanted:
                self._parts[-1] = self._parts[-1].copy()  # a view would hold all that it was cut from
                return
            full = self._parts[0] if len(self._parts) == 1 else np.concatenate(self._parts)
            self._parts = []
            for column in range(geometry.columns):
                x = column * geometry.tile_width
                yield x, self._row * geometry.tile_height, full[:, x : x + geometry.column_width(column)]
            self._row += 1
