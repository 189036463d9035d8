"""Pictures to look at: what a segmenter found, drawn over what it was shown."""

import cv2
import numpy as np
from numpy.typing import NDArray

from retinue.zoo.recipes.rounds.scenes import COIN, PLATELET, RED_CELL, WHITE_CELL
from retinue.zoo.recipes.rounds.segmentation_measurement import Segmented

COLOURS = {COIN: (255, 200, 0), RED_CELL: (255, 60, 60), WHITE_CELL: (60, 140, 255), PLATELET: (60, 220, 60)}
"""RGB by class."""
_SCALE = 2


def outlined(picture: NDArray[np.uint8], found: Segmented) -> NDArray[np.uint8]:
    """Return a picture at twice its size with the outline of each instance in the colour of its class.

    Args:
        picture: [height, width, 3] RGB.
        found: what was found on it.
    """
    canvas = np.repeat(np.repeat(picture, _SCALE, 0), _SCALE, 1)
    for number, label in enumerate(found.labels, start=1):
        mask = (found.instances == number).astype(np.uint8)
        large = np.repeat(np.repeat(mask, _SCALE, 0), _SCALE, 1)
        outlines, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, outlines, -1, COLOURS[int(label)], 1)
    return canvas
