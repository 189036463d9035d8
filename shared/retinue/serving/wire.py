"""Between the wire and the runtime: pictures and shares in; picture facts, models and timings out."""

from collections.abc import Mapping
from typing import Final, Literal

from google.protobuf.duration_pb2 import Duration

from retinue.common.v1 import image_pb2, model_pb2
from retinue.runtime.errors import InvalidInput
from retinue.runtime.manifest import Manifest
from retinue.runtime.picture import Picture, PictureFormat, PictureInfo, PictureLimits, open_picture, raw_picture
from retinue.runtime.timings import Timings

MAX_ID_CHARACTERS: Final = 256

_PIXEL_FORMATS: Final[Mapping[int, Literal["rgb", "bgr", "gray"]]] = {
    image_pb2.PIXEL_FORMAT_UNSPECIFIED: "rgb",
    image_pb2.PIXEL_FORMAT_RGB: "rgb",
    image_pb2.PIXEL_FORMAT_BGR: "bgr",
    image_pb2.PIXEL_FORMAT_GRAY: "gray",
}
_FORMATS: Final = {
    None: image_pb2.IMAGE_FORMAT_UNSPECIFIED,
    PictureFormat.JPEG: image_pb2.IMAGE_FORMAT_JPEG,
    PictureFormat.PNG: image_pb2.IMAGE_FORMAT_PNG,
    PictureFormat.WEBP: image_pb2.IMAGE_FORMAT_WEBP,
    PictureFormat.BMP: image_pb2.IMAGE_FORMAT_BMP,
    PictureFormat.TIFF: image_pb2.IMAGE_FORMAT_TIFF,
}


def picture_of(image: image_pb2.Image, limits: PictureLimits, field: str = "image") -> Picture:
    """Return the picture that a request carries; nothing is decoded yet.

    Args:
        image: the message.
        limits: bytes and pixels that are taken.
        field: where the message stands in the request, for errors.

    Raises:
        InvalidInput: neither source is set, the id is too long, or raw pixels do not add up.
        InvalidImage: the bytes are no picture that is read.
        ImageTooLarge: it is above a limit.
    """
    if len(image.id) > MAX_ID_CHARACTERS:
        raise InvalidInput(f"{field}.id", f"has {len(image.id)} characters; at most {MAX_ID_CHARACTERS} are allowed")
    source = image.WhichOneof("source")
    if source == "encoded":
        return open_picture(image.encoded, limits, field=f"{field}.encoded")
    if source == "raw":
        raw = image.raw
        pixel_format = _PIXEL_FORMATS.get(raw.pixel_format)
        if pixel_format is None:
            raise InvalidInput(f"{field}.raw.pixel_format", f"{raw.pixel_format} is no PixelFormat of this version")
        return raw_picture(raw.pixels, raw.height, raw.width, pixel_format, limits, field=f"{field}.raw")
    raise InvalidInput(field, "required: set encoded (a file's bytes) or raw (pixels)")


def check_share(value: float, field: str) -> None:
    """Check a number of a request that is a share of something: a score, a threshold, an overlap.

    Raises:
        InvalidInput: it is not in [0, 1]; the message names the field.
    """
    if not 0.0 <= value <= 1.0:  # written so that NaN fails it
        raise InvalidInput(field, f"is {value}; 0 to 1 are allowed")


def image_info_of(info: PictureInfo) -> image_pb2.ImageInfo:
    """Return the message that tells what the service saw of a picture."""
    return image_pb2.ImageInfo(
        width=info.width,
        height=info.height,
        exif_orientation=info.exif_orientation,
        is_orientation_applied=info.is_orientation_applied,
        format=_FORMATS[info.format],
    )


def model_ref_of(manifest: Manifest) -> model_pb2.ModelRef:
    """Return the message that tells which model answered."""
    return model_pb2.ModelRef(name=manifest.name, version=manifest.version)


def timings_of(timings: Timings) -> model_pb2.Timings:
    """Return the message that tells where the time went."""
    return model_pb2.Timings(
        queue=_duration(timings.queue_s),
        decode=_duration(timings.decode_s),
        preprocess=_duration(timings.preprocess_s),
        infer=_duration(timings.infer_s),
        postprocess=_duration(timings.postprocess_s),
        batch_size=timings.batch_size,
    )


def _duration(seconds: float) -> Duration:
    whole = int(seconds)
    return Duration(seconds=whole, nanos=int((seconds - whole) * 1e9))
