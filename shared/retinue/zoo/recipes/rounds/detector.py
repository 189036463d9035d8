"""The embedded detector of round things: trained on drawn scenes, measured as it is served, and written down.

    python -m retinue.zoo.recipes.rounds.detector --folder out/rounds

Nothing but drawings is learnt from. Every figure is of scenes that were not, and of scikit-image's photograph of coins.
Everything is seeded and runs in one thread: one kind of processor makes the same bits again, another rounds otherwise.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from torch import Tensor

from retinue.zoo.export_faster_rcnn import ExportedFasterRcnn, export_faster_rcnn
from retinue.zoo.faster_rcnn import FasterRcnn
from retinue.zoo.faster_rcnn_loss import Sampling, Targets, faster_rcnn_losses
from retinue.zoo.faster_rcnn_policy import FasterRcnnPolicy
from retinue.zoo.normalisation import Normalisation
from retinue.zoo.plain_trunk import PlainTrunk
from retinue.zoo.recipes.rounds.scenes import CLASSES, Scene, random_scene

MEAN = STD = (0.5, 0.5, 0.5)
SEED = 20261124
STEPS = 900
PICTURES_PER_STEP = 6
LEARNING_RATE = 1.5e-3
WEIGHT_DECAY = 0.05
WARM_UP_STEPS = 60
_CLIPPED_NORM = 10.0

POLICY = FasterRcnnPolicy(
    short_side=320,
    long_side=640,
    size_divisor=32,
    pixels="uint8",
    anchor_sizes=((16.0,), (32.0,), (64.0,)),
    aspect_ratios=(1.0,),
    strides=(4, 8, 16),
    proposals_per_level=400,
    proposals=300,
    nms_iou=0.4,
)
SAMPLING = Sampling(anchors=256, boxes=96, positive_box_share=0.34, proposals=200)
_log = structlog.get_logger(__name__)


def build_detector() -> FasterRcnn:
    """Return the untrained detector: two million weights."""
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
        scenes = [random_scene(rng) for _ in range(PICTURES_PER_STEP)]
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


def normalised(scenes: Sequence[Scene]) -> Tensor:
    """Return the pictures of scenes as the network takes them, float32 [n, 3, height, width]."""
    pictures: NDArray[np.uint8] = np.stack([scene.picture for scene in scenes])
    return Normalisation(MEAN, STD).normalised(torch.from_numpy(pictures))


def targets_of(scene: Scene) -> Targets:
    """Return what is to be found in a scene."""
    return Targets(scene.boxes, scene.labels)


def make_detector(folder: Path, *, steps: int = STEPS) -> ExportedFasterRcnn:
    """Return what was written after training and exporting the detector."""
    torch.set_num_threads(1)  # sums of several threads come out in any order
    torch.manual_seed(SEED)
    model = build_detector()
    train(model, steps=steps)
    folder.mkdir(parents=True, exist_ok=True)
    return export_faster_rcnn(model, folder, POLICY, mean=MEAN, std=STD)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the recipe."""
    parser = argparse.ArgumentParser(
        prog="python -m retinue.zoo.recipes.rounds.detector", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--folder", type=Path, required=True, help="where the graphs go")
    parser.add_argument("--steps", type=int, default=STEPS, help="another number than the recipe's, to try things out")
    chosen = parser.parse_args(arguments)
    exported = make_detector(chosen.folder, steps=chosen.steps)
    _log.info("graphs_written", files=[str(path) for path in exported.files], deviation=exported.deviation)


if __name__ == "__main__":
    main()
