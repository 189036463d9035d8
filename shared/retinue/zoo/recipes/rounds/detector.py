"""The embedded detector of round things: trained on drawn scenes, exported, measured and packaged.

    python -m retinue.zoo.recipes.rounds.detector --root services/detection/models

Nothing but drawings is learnt from. The figures in the manifest are of drawings of another seed and of scikit-image's
photograph of coins. Everything is seeded and runs in one thread: one kind of processor makes the same bits again,
another rounds otherwise.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from torch import Tensor

from retinue.ops.boxes import scale_boxes
from retinue.zoo.detector_import import faster_rcnn_fields
from retinue.zoo.export_faster_rcnn import ExportedFasterRcnn, export_faster_rcnn
from retinue.zoo.faster_rcnn import FasterRcnn
from retinue.zoo.faster_rcnn_loss import Sampling, Targets, faster_rcnn_losses
from retinue.zoo.faster_rcnn_policy import FasterRcnnPolicy
from retinue.zoo.normalisation import Normalisation
from retinue.zoo.package import refuse_existing, write_package
from retinue.zoo.plain_trunk import PlainTrunk
from retinue.zoo.recipes.rounds.measurement import HELD_OUT_COUNT, SERVED_SCORE_THRESHOLD, measured
from retinue.zoo.recipes.rounds.scenes import CLASSES, Scene, random_scene
from retinue.zoo.two_stage import TwoStage

NAME = "rounds-frcnn"
VERSION = "1"
CREATED = "2026-11-24"
MEAN = STD = (0.5, 0.5, 0.5)
SEED = 20261124
STEPS = 2400
PICTURES_PER_STEP = 4
DRAWN_SIDES_PX = (208, 384)
LEARNING_RATE = 1.5e-3
WEIGHT_DECAY = 0.05
WARM_UP_STEPS = 60
_CLIPPED_NORM = 10.0

POLICY = FasterRcnnPolicy(
    short_side=320,
    long_side=640,
    size_divisor=32,
    pixels="uint8",
    anchor_sizes=((10.0, 16.0), (24.0, 40.0), (64.0, 104.0)),
    aspect_ratios=(1.0,),
    strides=(4, 8, 16),
    proposals_per_level=400,
    proposals=400,
    nms_iou=0.4,
    detections=300,
)
SAMPLING = Sampling(anchors=256, boxes=96, positive_box_share=0.34, proposals=200)
_log = structlog.get_logger(__name__)


def build_detector() -> FasterRcnn:
    """Return the untrained detector: one and a half million weights."""
    return FasterRcnn(
        PlainTrunk((24, 48, 96, 128)),
        class_count=1 + len(CLASSES),
        anchor_count=POLICY.anchors_per_cell,
        pyramid_channels=64,
        hidden=256,
        has_pooled_level=False,
        canonical_px=112.0,
    )


def train(model: FasterRcnn, *, steps: int = STEPS, seed: int = SEED) -> None:
    """Train a detector in place, AdamW at a rate that rises and then falls as a cosine."""
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    warm_up = min(WARM_UP_STEPS, max(1, steps // 10))
    pace = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=warm_up),
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps - warm_up)),
        ],
        [warm_up],
    )
    model.train()
    running: dict[str, float] = {}
    for step in range(1, steps + 1):
        scenes = [served_scene(rng) for _ in range(PICTURES_PER_STEP)]
        losses = faster_rcnn_losses(model, normalised(scenes), [targets_of(s) for s in scenes], POLICY, rng, SAMPLING)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), _CLIPPED_NORM)
        optimizer.step()
        pace.step()
        for name, loss in losses.items():
            running[name] = 0.95 * running.get(name, loss.item()) + 0.05 * loss.item()
        if step % 50 == 0 or step == steps:
            _log.info("steps_trained", step=step, **{name: round(loss, 4) for name, loss in running.items()})
    model.eval()


def served_scene(rng: np.random.Generator) -> Scene:
    """Return a square scene of any size, scaled to that at which pictures are served; its instances are not."""
    side, size = int(rng.integers(*DRAWN_SIDES_PX)), (POLICY.short_side,) * 2
    scene = random_scene(rng, side, side)
    picture = np.asarray(cv2.resize(scene.picture, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return replace(scene, picture=picture, boxes=scale_boxes(scene.boxes, (side, side), size))


def normalised(scenes: Sequence[Scene]) -> Tensor:
    """Return the pictures of scenes as the network takes them, float32 [n, 3, height, width]."""
    pictures: NDArray[np.uint8] = np.stack([scene.picture for scene in scenes])
    return Normalisation(MEAN, STD).normalised(torch.from_numpy(pictures))


def targets_of(scene: Scene) -> Targets:
    """Return what is to be found in a scene."""
    return Targets(scene.boxes, scene.labels)


def make_package(root: Path, *, overwrite: bool = False, steps: int = STEPS, scene_count: int = HELD_OUT_COUNT) -> Path:
    """Return the folder of the detector after training, exporting, measuring and packaging it.

    Args:
        root: the model repository.
        overwrite: whether a package that is there is replaced.
        steps: another number than the recipe's, to try things out.
        scene_count: so many held-out scenes are measured on.
    """
    refuse_existing(root, NAME, VERSION, overwrite=overwrite)
    torch.set_num_threads(1)  # sums of several threads come out in any order
    torch.manual_seed(SEED)
    model = build_detector()
    train(model, steps=steps)
    with tempfile.TemporaryDirectory() as folder:
        exported = export_faster_rcnn(model, Path(folder), POLICY, mean=MEAN, std=STD)
        place = package_graphs(exported, root, overwrite=overwrite, scene_count=scene_count)
    _log.info("package_written", folder=str(place))
    return place


def package_graphs(
    exported: ExportedFasterRcnn, root: Path, *, overwrite: bool = False, scene_count: int = HELD_OUT_COUNT
) -> Path:
    """Return the folder of the detector after measuring its graphs, which lie in one folder, and packaging them."""
    fields = {
        "name": NAME,
        "version": VERSION,
        "description": "Round things: coins, and red cells, white cells and platelets on blood smears.",
        "task": "detection",
        "labels": ["background", *CLASSES],
        **faster_rcnn_fields(replace(POLICY, score_threshold=SERVED_SCORE_THRESHOLD), exported.levels),
        "accuracy": measured(TwoStage(exported.files[0].parent, POLICY), scene_count),
        "provenance": {
            "source": "Retinue's own, trained from random weights.",
            "recipe": "python -m retinue.zoo.recipes.rounds.detector --root services/detection/models",
            "data": "Scenes drawn by the recipe itself. No photograph was learnt from or tuned on.",
            "created": CREATED,
        },
        "licence": "Apache-2.0",
    }
    return write_package(root, fields, {path.name: path for path in exported.files}, overwrite=overwrite)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the recipe."""
    parser = argparse.ArgumentParser(
        prog="python -m retinue.zoo.recipes.rounds.detector", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--root", type=Path, required=True, help="the model repository to write it into")
    parser.add_argument("--overwrite", action="store_true", help="replace the package if it is there")
    parser.add_argument("--steps", type=int, default=STEPS, help="another number than the recipe's, to try things out")
    parser.add_argument("--scenes", type=int, default=HELD_OUT_COUNT, help="so many held-out scenes are measured on")
    chosen = parser.parse_args(arguments)
    make_package(chosen.root, overwrite=chosen.overwrite, steps=chosen.steps, scene_count=chosen.scenes)


if __name__ == "__main__":
    main()
