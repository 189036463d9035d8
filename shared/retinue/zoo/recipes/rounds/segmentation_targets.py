"""What a segmenter of round things learns from a scene: the class of each pixel, and the boundary of each instance."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retinue.zoo.recipes.rounds.scenes import Scene

BOUNDARY_PX = 2.0
"""Widest boundary; two things that touch are parted by one of each."""
BOUNDARY_SHARE = 0.3
"""Of an instance's greatest depth: the boundary of a small one is narrower, so that something is left within."""


def boundary_of(instances: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which pixels of instances lie at their boundary, of `BOUNDARY_PX` at most and one pixel at least.

    Args:
        instances: [height, width], ids from 1, 0 for the ground.

    Notes:
        Where an instance is cut off by the picture's edge, it has no boundary.

    >>> instances = np.array([[0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 1, 1, 1, 0], [0, 1, 1, 1, 0]], np.int32)
    >>> boundary_of(instances).astype(int)
    array([[0, 0, 0, 0, 0],
           [0, 1, 1, 1, 0],
           [0, 1, 0, 1, 0],
           [0, 1, 0, 1, 0]])
    """
    is_edge = np.zeros(instances.shape, np.bool_)
    for one, other in (
        (np.s_[1:], np.s_[:-1]),
        (np.s_[:, 1:], np.s_[:, :-1]),
    ):
        differs = instances[one] != instances[other]
        is_edge[one] |= differs
        is_edge[other] |= differs
    # Along a contact an instance's own edge is always the nearer one.
    depth_px = cv2.distanceTransform((~is_edge | (instances == 0)).astype(np.uint8), cv2.DIST_L2, 5) + 1
    depth_px[instances == 0] = 0
    deepest = np.zeros(int(instances.max(initial=0)) + 1, np.float32)
    np.maximum.at(deepest, instances.ravel(), depth_px.ravel())
    widths = np.clip(BOUNDARY_SHARE * deepest, 1.0, BOUNDARY_PX)
    is_near: NDArray[np.bool_] = (instances > 0) & (depth_px <= widths[instances])
    return is_near


def targets_of(scenes: Sequence[Scene]) -> tuple[Tensor, Tensor]:
    """Return the classes, int64 [n, height, width], and the boundaries, float32 [n, 1, height, width], of scenes."""
    classes = np.stack([scene.classes for scene in scenes]).astype(np.int64)
    boundaries = np.stack([boundary_of(scene.pieces) for scene in scenes])[:, None].astype(np.float32)
    return torch.from_numpy(classes), torch.from_numpy(boundaries)
