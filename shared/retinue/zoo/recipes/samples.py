"""The demo's sample pictures: digits that no model was trained on, as people would send them, and one of no digit.

python -m retinue.zoo.recipes.samples --folder services/classification/samples
"""

import argparse
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retinue.zoo.recipes.handwriting import LIGHT_ON_DARK, Style, read_digits, write_digit
from retinue.zoo.recipes.strangers import read_photograph

_ORIENTATION_TAG = 0x0112
_QUARTER_LEFT = 6  # EXIF: what is stored must be turned a quarter to the right to be upright


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture of the demo."""

    file_name: str
    label: str | None
    """Which digit it shows; None where it shows none."""
    which: int = 0
    """The how manieth of its digit in the test part, from 0: a legible one."""
    style: Style = LIGHT_ON_DARK
    is_turned: bool = False
    """Whether it is stored lying on its left side, with the EXIF orientation that says so."""


SAMPLES = (
    Sample("seven.png", "7", 8, Style(size_px=64)),
    Sample(
        "three-on-paper.jpg",
        "3",
        10,
        Style(
            size_px=320,
            ink_rgb=(38, 42, 74),
            paper_rgb=(228, 222, 208),
            scale=0.7,
            shift_xy=(0.04, -0.03),
            angle_rad=0.08,
            crispness=2.5,
            shading_xy=(-0.1, 0.08),
            blur_px=1.5,
            noise=5,
        ),
    ),
    Sample(
        "five-turned-by-exif.jpg",
        "5",
        6,
        Style(
            size_px=240,
            ink_rgb=(30, 28, 30),
            paper_rgb=(214, 216, 214),
            scale=0.75,
            crispness=2,
            shading_xy=(0.1, 0.1),
            blur_px=1,
            noise=4,
        ),
        is_turned=True,
    ),
    Sample(
        "two-on-blackboard.png",
        "2",
        6,
        Style(size_px=120, ink_rgb=(236, 238, 228), paper_rgb=(44, 66, 56), scale=0.8, crispness=1.8, noise=6),
    ),
    Sample("eight-small.png", "8", 0, Style(size_px=28, ink_rgb=(20, 20, 20), paper_rgb=(250, 250, 250), scale=0.9)),
    Sample("gravel.jpg", None),
)
_TEXTURE_SIDE_PX = 160
_JPEG_QUALITY = 85


def encode_sample(sample: Sample) -> bytes:
    """Return the picture file of a sample, in the format that its name says."""
    pixels = _texture() if sample.label is None else write_digit(_held_out(sample.label, sample.which), sample.style)
    exif = Image.Exif()
    if sample.is_turned:
        pixels = np.rot90(pixels)
        exif[_ORIENTATION_TAG] = _QUARTER_LEFT
    file = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    if sample.file_name.endswith(".png"):
        picture.save(file, "PNG", optimize=True)
    else:
        picture.save(file, "JPEG", quality=_JPEG_QUALITY, exif=exif)
    return file.getvalue()


def main(arguments: Sequence[str] | None = None) -> None:
    """Write all samples into the folder that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m retinue.zoo.recipes.samples", description="Make the demo's samples."
    )
    parser.add_argument("--folder", type=Path, required=True, help="where to write them")
    folder: Path = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    for sample in SAMPLES:
        (folder / sample.file_name).write_bytes(encode_sample(sample))


def _held_out(label: str, which: int) -> NDArray[np.float32]:
    digits = read_digits("test")
    ink: NDArray[np.float32] = digits.ink[np.flatnonzero(digits.labels == int(label))[which]]
    return ink


def _texture() -> NDArray[np.uint8]:
    return read_photograph("gravel.png")[:_TEXTURE_SIDE_PX, :_TEXTURE_SIDE_PX]


if __name__ == "__main__":
    main()
