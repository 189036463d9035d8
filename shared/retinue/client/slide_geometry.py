"""What the tiles of a slide will be, told before the first of them."""

from dataclasses import dataclass

from retinue.client.tiling import MIN_TILE_SIZE_PX
from retinue.segmentation.v1 import segmentation_pb2


@dataclass(frozen=True, slots=True)
class SlideGeometry:
    """How a picture is cut to be sent: by a grid from its top left corner, without overlap.

    This has nothing to do with the tiles through which the model looks: the service takes what it needs from several.

    Args:
        width: of the whole picture, pixels, at least 1.
        height: of the whole picture, pixels, at least 1.
        tile_width: pixels, at least 32; the last tile of a row is as wide as what is left. A strip is a tile of the
            picture's width.
        tile_height: pixels, at least 32; the tiles of the last row are as high as what is left.

    Raises:
        ValueError: one of them is out of range; the message names it.
    """

    width: int
    height: int
    tile_width: int
    tile_height: int

    def __post_init__(self) -> None:
        for name, least in (
            ("width", 1),
            ("height", 1),
            ("tile_width", MIN_TILE_SIZE_PX),
            ("tile_height", MIN_TILE_SIZE_PX),
        ):
            if not least <= getattr(self, name) < 2**31:
                raise ValueError(f"geometry.{name} is {getattr(self, name)}, must be at least {least}")

    @property
    def tile_count(self) -> int:
        """How many tiles there are.

        >>> SlideGeometry(100, 70, 32, 64).tile_count
        8
        """
        return -(-self.width // self.tile_width) * -(-self.height // self.tile_height)


def slide_geometry_message(geometry: SlideGeometry) -> segmentation_pb2.SlideGeometry:
    """Return the message that carries a geometry."""
    return segmentation_pb2.SlideGeometry(
        width=geometry.width,
        height=geometry.height,
        tile_width=geometry.tile_width,
        tile_height=geometry.tile_height,
    )
