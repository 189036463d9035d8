"""How well a detector finds round things: on drawn scenes that it has not seen, and on a photograph of coins."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage import data

from retinue.ops.detection_metrics import evaluate_detections
from retinue.ops.detection_records import Detections, GroundTruth
from retinue.ops.overlap import pairwise_iou
from retinue.zoo.recipes.rounds.scenes import CLASSES, COIN, random_scene
from retinue.zoo.two_stage import TwoStage

HELD_OUT_SEED = 20261125
HELD_OUT_COUNT = 400
SERVED_SCORE_THRESHOLD = 0.5
COIN_BOXES: NDArray[np.float32] = np.array(
    [
        (22, 35, 67, 74),
        (81, 39, 120, 74),
        (132, 28, 179, 74),
        (192, 30, 240, 73),
        (255, 34, 297, 72),
        (305, 16, 365, 72),
        (25, 104, 67, 145),
        (84, 108, 122, 145),
        (134, 110, 173, 145),
        (186, 105, 226, 144),
        (245, 95, 296, 144),
        (317, 106, 356, 145),
        (26, 179, 63, 217),
        (80, 175, 124, 217),
        (135, 179, 174, 217),
        (189, 170, 237, 217),
        (251, 172, 297, 217),
        (315, 156, 380, 218),
        (18, 233, 75, 288),
        (93, 245, 136, 287),
        (144, 236, 201, 288),
        (220, 240, 269, 288),
        (276, 239, 326, 289),
        (336, 248, 382, 289),
    ],
    np.float32,
)
"""The coins of scikit-image's ``coins``, corners in pixels, measured by watershed and looked over."""


def measured(detector: TwoStage, scene_count: int = HELD_OUT_COUNT) -> list[dict[str, object]]:
    """Return what a detector achieves, as the manifest's ``accuracy``.

    Scenes are judged as COCO judges, from the policy's own score threshold up.
    """
    scenes = {"dataset": f"Scenes drawn from seed {HELD_OUT_SEED}, not learnt from.", "sample_count": scene_count}
    coins = {
        "dataset": f"scikit-image's photograph of {len(COIN_BOXES)} coins, at score {SERVED_SCORE_THRESHOLD}.",
        "sample_count": 1,
    }
    figures = measure_coins(detector)
    return [
        *(
            {"metric": name if name not in CLASSES else f"AP50 {name}", "value": round(value, 4), **scenes}
            for name, value in measure_scenes(detector, scene_count).items()
        ),
        {"metric": "coins found", "value": figures.found, **coins},
        {"metric": "false boxes", "value": figures.false, **coins},
    ]


@dataclass(frozen=True, slots=True)
class CoinFigures:
    """What was found on the photograph."""

    found: int
    """Coins with a box of class coin, IoU 0.5 at least."""
    false: int
    """Boxes of any class that are none of those."""


def measure_coins(detector: TwoStage, score_threshold: float = SERVED_SCORE_THRESHOLD) -> CoinFigures:
    """Return how many of the 24 coins are found at a threshold, and how many boxes are wrong."""
    grey: NDArray[np.uint8] = data.coins()  # type: ignore[no-untyped-call]  # ships no types
    (answer,) = detector.detect([np.repeat(grey[..., None], 3, 2)])
    sure = answer.scores >= score_threshold
    boxes, labels = answer.boxes[sure], answer.labels[sure]
    hits = (pairwise_iou(COIN_BOXES, boxes) >= 0.5) & (labels == COIN)
    found = int(hits.any(1).sum())
    return CoinFigures(found, len(boxes) - found)


def measure_scenes(detector: TwoStage, count: int = HELD_OUT_COUNT, seed: int = HELD_OUT_SEED) -> dict[str, float]:
    """Return COCO's ``AP`` and ``AP50`` on drawn scenes, over all classes, and ``AP50`` of each class by its name."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for index in range(count):
        scene = random_scene(rng)
        (answer,) = detector.detect([scene.picture])
        truth.append((np.full(len(scene.labels), index), scene.labels, scene.boxes))
        found.append((np.full(len(answer.labels), index), answer.labels, answer.scores, answer.boxes))
    ids, labels, boxes = (np.concatenate(parts) for parts in zip(*truth, strict=True))
    answer_ids, answer_labels, scores, answer_boxes = (np.concatenate(parts) for parts in zip(*found, strict=True))
    records = (
        GroundTruth(image_ids=ids, labels=labels, boxes=boxes),
        Detections(image_ids=answer_ids, labels=answer_labels, scores=scores, boxes=answer_boxes),
    )
    summary = evaluate_detections(*records).summary
    figures = {name: float(summary[name]) for name in ("AP", "AP50")}
    for label, name in enumerate(CLASSES, start=1):
        figures[name] = float(evaluate_detections(*records, labels=[label]).summary["AP50"])
    return figures
