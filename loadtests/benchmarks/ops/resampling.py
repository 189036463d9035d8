"""Scaling pictures of bytes to floats, beside OpenCV and torch, which make a float picture of them first."""

from collections.abc import Iterator
from functools import partial

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from loadtests.benchmarks.ops.case import Case, MemoryCase
from retinue.ops import resize_bilinear

HEIGHT, WIDTH = 800, 1066
SETUP = """
import numpy as np
from retinue.ops import resize_bilinear
picture = np.ones((3000, 4000, 3), np.uint8)
out = np.ones((800, 1088, 3), np.float32)
resize_bilinear(picture[:9, :9], 5, 5, out=out)
"""


def cases() -> Iterator[Case | MemoryCase]:
    """Yield what is measured of scaling."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    for height, width in ((3000, 4000), (480, 640)):
        picture = rng.integers(0, 256, (height, width, 3), np.uint8)
        out = np.empty((HEIGHT, 1088, 3), np.float32)
        yield Case(
            f"resize_bilinear {height}x{width} to {HEIGHT}x{WIDTH}",
            partial(resize_bilinear, picture, HEIGHT, WIDTH, out=out),
            {
                "cv2": partial(_cv2_resize, picture),
                "torch": partial(_torch_resize, picture),
            },
            target=1.0,
            rival="torch",
            note="into a row of a batch; peers scale a float32 copy, whose making counts; cv2's differs by up to 0.01",
        )
    yield MemoryCase(
        f"resize_bilinear 3000x4000 to {HEIGHT}x{WIDTH}, out given",
        SETUP,
        f"resize_bilinear(picture, {HEIGHT}, {WIDTH}, out=out)",
        limit_mib=4,
    )


def _cv2_resize(picture: NDArray[np.uint8]) -> object:
    return cv2.resize(picture.astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)


def _torch_resize(picture: NDArray[np.uint8]) -> object:
    planes = torch.from_numpy(picture).permute(2, 0, 1)[None].float().contiguous()
    return torch.nn.functional.interpolate(planes, size=(HEIGHT, WIDTH), mode="bilinear", align_corners=False)
