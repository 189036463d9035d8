"""How well a segmenter tells round things apart: on drawn scenes that it has not seen, and on a photograph of coins."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.ops.confusion import confusion_matrix
from retinue.ops.instance_metrics import PanopticQuality, match_instances, panoptic_quality
from retinue.ops.instances import remove_small
from retinue.ops.mask_overlap import dice
from retinue.ops.scores import sigmoid, softmax
from retinue.ops.splitting import split_instances
from retinue.zoo.recipes.rounds.coin_reference import coins_picture, coins_reference
from retinue.zoo.recipes.rounds.scenes import CLASSES, COIN, random_scene
from retinue.zoo.tracing import session_of

HELD_OUT_SEED = 20261125
HELD_OUT_COUNT = 400


@dataclass(frozen=True, slots=True)
class Splitting:
    """How instances are found in the answer: `split_instances` by boundary."""

    interior_threshold: float = 0.5
    """Pixels whose probability of ground is at most 1 less this are foreground."""
    boundary_threshold: float = 0.4
    """Foreground with so much probability of boundary marks no instance."""
    min_marker_area_px: int = 9
    min_area_px: int = 24


SPLITTING = Splitting()
"""Chosen on drawn scenes of a third seed: neither the held-out ones nor the coins had a say."""


@dataclass(frozen=True, slots=True)
class Segmented:
    """What a segmenter says of one picture."""

    classes: NDArray[np.int64]
    """[height, width], the class of each pixel, 0 for the ground."""
    instances: NDArray[np.int32]
    """[height, width], ids from 1, 0 for the ground."""
    labels: NDArray[np.int64]
    """[instances], the class that has most probability over an instance's pixels, the ground aside."""


class ServedSegmenter:
    """An exported graph, asked as the service asks it.

    Args:
        path: the graph, of `export_unet` with a boundary.
    """

    def __init__(self, path: Path) -> None:
        self._session = session_of(path)

    def segment(self, picture: NDArray[np.uint8]) -> Segmented:
        """Return the classes and instances of a picture [height, width, 3]."""
        logits, boundary = self._session.run(["logits", "boundary"], {"image": picture[None]})
        shares = softmax(logits[0], axis=0)
        instances = split_instances(
            1 - shares[0],
            sigmoid(boundary[0, 0]),
            method="boundary",
            threshold=SPLITTING.interior_threshold,
            guide_threshold=SPLITTING.boundary_threshold,
            min_marker_area=SPLITTING.min_marker_area_px,
            min_area=SPLITTING.min_area_px,
        )
        count = int(instances.max(initial=0))
        sums = [np.bincount(instances.ravel(), share.ravel(), count + 1)[1:] for share in shares[1:]]
        return Segmented(logits[0].argmax(0), instances, 1 + np.argmax(sums, axis=0))


def measure_scenes(
    segmenter: ServedSegmenter, count: int = HELD_OUT_COUNT, seed: int = HELD_OUT_SEED
) -> dict[str, float]:
    """Return what is found on drawn scenes, all their pixels and instances counted together.

    ``mean_dice`` of the classes that are not ground, and each by its name; ``foreground_dice`` of all of them as one;
    ``PQ``, ``SQ`` and ``RQ`` of instances, whatever their class; ``label_accuracy`` of those that are paired. Things of
    which fewer than `SPLITTING.min_area_px` pixels are seen are no instances.
    """
    rng = np.random.default_rng(seed)
    matrix = np.zeros((len(CLASSES) + 1,) * 2, np.int64)
    quality, right = PanopticQuality(0.0, 0, 0, 0), 0
    for _ in range(count):
        scene = random_scene(rng)
        found = segmenter.segment(scene.picture)
        matrix += confusion_matrix(scene.classes, found.classes, len(matrix))
        truth = remove_small(scene.pieces, SPLITTING.min_area_px)
        quality += panoptic_quality(truth, found.instances)
        labels = np.zeros(truth.max(initial=0) + 1, np.int64)
        labels[truth] = scene.classes  # a piece is of one class
        match = match_instances(truth, found.instances)
        right += int((labels[match.true_ids] == found.labels[match.predicted_ids - 1]).sum())
    by_class = 2 * matrix.diagonal() / np.maximum(1, matrix.sum(0) + matrix.sum(1))
    return {
        "mean_dice": float(by_class[1:].mean()),
        **{name: float(value) for name, value in zip(CLASSES, by_class[1:], strict=True)},
        "foreground_dice": float(2 * matrix[1:, 1:].sum() / max(1, int(matrix[1:].sum() + matrix[:, 1:].sum()))),
        "PQ": quality.panoptic_quality,
        "SQ": quality.segmentation_quality,
        "RQ": quality.recognition_quality,
        "label_accuracy": right / max(1, quality.true_positive_count),
    }


def measure_coins(segmenter: ServedSegmenter) -> dict[str, Any]:
    """Return what is found on the photograph of 24 coins.

    How many ``instances`` of any class, how many of them are ``coins``, how many are ``paired`` with one of the
    reference, the ``dice`` of class coin to the reference mask, and ``PQ``.
    """
    found, reference = segmenter.segment(coins_picture()), coins_reference()
    quality = panoptic_quality(reference, found.instances)
    return {
        "instances": len(found.labels),
        "coins": int((found.labels == COIN).sum()),
        "paired": quality.true_positive_count,
        "dice": float(dice(found.classes == COIN, reference > 0)),
        "PQ": quality.panoptic_quality,
    }
