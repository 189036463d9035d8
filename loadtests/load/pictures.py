"""Real pictures of several sizes and formats, the same for the same seed: the services' samples, scaled and encoded."""

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from loadtests.service_process import REPOSITORY

SIDES_PX = (96, 160, 224, 320, 480, 640, 1024)
# What callers send: mostly JPEG, some PNG and WebP, now and then what scanners and old software write.
_FORMATS = {"JPEG": 10, "PNG": 4, "WEBP": 3, "TIFF": 1, "BMP": 1}
_OPTIONS: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 85},
    "PNG": {"compress_level": 4},
    "WEBP": {"quality": 80, "method": 2},
    "TIFF": {"compression": "tiff_lzw"},
    "BMP": {},
}


@dataclass(frozen=True, slots=True)
class SentPicture:
    """One picture as it is sent.

    Args:
        name: where it is from, and its format and size.
        width: in pixels.
        height: in pixels.
        encoded: the file.
    """

    name: str
    width: int
    height: int
    encoded: bytes


def sample_paths(service: str) -> Sequence[Path]:
    """Return the photographs and drawings that ship with a service; all of them where it has none of its own."""
    services = REPOSITORY / "services"
    found = [path for path in (services / service / "samples").glob("*") if path.suffix in (".jpg", ".png")]
    found = found or [path for path in services.glob("*/samples/*") if path.suffix in (".jpg", ".png")]
    return sorted(found)


def picture_set(service: str, count: int, seed: int) -> Sequence[SentPicture]:
    """Return pictures for a service; the same arguments give the same bytes.

    Args:
        service: whose samples they are made from.
        count: how many; the first of them go through all formats.
        seed: of what is drawn.
    """
    chance = random.Random(f"{service} {seed}")  # noqa: S311 - no secret
    paths = sample_paths(service)
    formats = (*_FORMATS, *chance.choices(list(_FORMATS), list(_FORMATS.values()), k=count))
    return [
        _sent(chance.choice(paths), picture_format, chance.choice(SIDES_PX), chance)
        for picture_format in formats[:count]
    ]


def _sent(path: Path, picture_format: str, side_px: int, chance: random.Random) -> SentPicture:
    """Return a picture with its longer side scaled to so many pixels, after a crop that keeps most of it."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    kept = chance.uniform(0.85, 1.0)
    width, height = max(1, round(picture.width * kept)), max(1, round(picture.height * kept))
    left, top = chance.randint(0, picture.width - width), chance.randint(0, picture.height - height)
    scale = side_px / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture = picture.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))
    output = io.BytesIO()
    picture.save(output, picture_format, **_OPTIONS[picture_format])
    return SentPicture(f"{path.stem}-{size[0]}x{size[1]}.{picture_format.lower()}", *size, output.getvalue())
