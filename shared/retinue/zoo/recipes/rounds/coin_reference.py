"""The reference mask of scikit-image's photograph of coins: by watershed, without any model, and looked over."""

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data
from skimage.filters import sobel

from retinue.ops.components import connected_components
from retinue.ops.flooding import watershed
from retinue.ops.instances import fill_holes, remove_small

# Grey levels that are surely ground and surely coin: between them the picture's slope decides.
_GROUND_BELOW = 30
_COIN_ABOVE = 150
_MIN_AREA_PX = 300


def coins_picture() -> NDArray[np.uint8]:
    """Return the photograph, uint8 [303, 384, 3], three times the same grey."""
    grey: NDArray[np.uint8] = data.coins()  # type: ignore[no-untyped-call]  # ships no types
    return np.repeat(grey[..., None], 3, 2)


def coins_reference() -> NDArray[np.int32]:
    """Return the 24 coins, int32 [303, 384], 0 for the ground and ids from 1.

    Source:
        The marker watershed of scikit-image's tutorial on this photograph; then holes are filled, crumbs dropped, and
        each coin made convex, as coins are.
    """
    grey = coins_picture()[..., 0]
    markers = np.where(grey < _GROUND_BELOW, 1, np.where(grey > _COIN_ABOVE, 2, 0)).astype(np.int32)
    is_coin = watershed(sobel(grey), markers) == 2  # type: ignore[no-untyped-call]
    found = remove_small(fill_holes(connected_components(is_coin, connectivity=4)[0]), _MIN_AREA_PX)
    reference = np.zeros_like(found)
    for number, coin in enumerate(np.unique(found)[1:], start=1):
        (outline, *_), _ = cv2.findContours((found == coin).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.fillConvexPoly(reference, cv2.convexHull(outline), number)
    return reference
