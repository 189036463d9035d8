"""The picture as a service saw it: the frame that all coordinates of its answer are in."""

from dataclasses import dataclass

from retinue.common.v1 import image_pb2


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """The picture as the service saw it, upright.

    Args:
        width: pixels, after orientation.
        height: pixels, after orientation.
        exif_orientation: what the file says, 1 to 8; 1 where it says nothing.
        is_orientation_applied: whether the service turned or mirrored the pixels because of it.
        format: ``jpeg``, ``png``, ``webp``, ``bmp`` or ``tiff``; None for raw pixels.
    """

    width: int
    height: int
    exif_orientation: int
    is_orientation_applied: bool
    format: str | None


def read_image_info(info: image_pb2.ImageInfo) -> ImageInfo:
    """Return the value that a message holds."""
    known = image_pb2.ImageFormat.keys() if info.format else []
    # A newer service may know formats that this client does not.
    name = next((key for key in known if image_pb2.ImageFormat.Value(key) == info.format), None)
    return ImageInfo(
        info.width,
        info.height,
        info.exif_orientation,
        info.is_orientation_applied,
        None if name is None else name.removeprefix("IMAGE_FORMAT_").lower(),
    )
