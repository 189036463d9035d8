"""The embedded segmenter of round things: trained on drawn scenes, measured as it is served, and written down.

    python -m retinue.zoo.recipes.rounds.segmenter --folder out/rounds-unet

Into the folder go ``model.onnx``, ``measurement.json``, and ``coins.png`` and ``ihc.png`` to look at. Nothing but
drawings is learnt from. Figures are of drawings of another seed, and of scikit-image's photograph of coins. Everything
is seeded and runs in one thread: one kind of processor makes the same bits again, another rounds otherwise.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from skimage import data
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from retinue.zoo.export_unet import ExportedUNet, export_unet
from retinue.zoo.normalisation import Normalisation
from retinue.zoo.package import write_package
from retinue.zoo.recipes.rounds.coin_reference import coins_picture
from retinue.zoo.recipes.rounds.scenes import CLASSES, Scene, coin_scene, smear_scene
from retinue.zoo.recipes.rounds.segmentation_drawing import outlined
from retinue.zoo.recipes.rounds.segmentation_measurement import (
    HELD_OUT_COUNT,
    HELD_OUT_SEED,
    SPLITTING,
    ServedSegmenter,
    measure_coins,
    measure_scenes,
)
from retinue.zoo.recipes.rounds.segmentation_targets import targets_of
from retinue.zoo.segmentation_losses import cross_entropy_loss, dice_loss, focal_loss
from retinue.zoo.unet import UNet

NAME, VERSION, CREATED = "rounds-unet", "1", "2026-11-24"
GRAPH_FILE = "model.onnx"
MEASUREMENT_FILE = "measurement.json"
MEAN = STD = (0.5, 0.5, 0.5)
LABELS = ("background", *CLASSES)
SEED = 20261124
STEPS = 10_000
WIDTHS = (8, 16, 32, 64, 96, 128)
SHAPES = ((4, 192), (2, 272))
"""Pictures of a step and their side, pixels, by turns: what lies far from any edge is learnt too."""
LEARNING_RATE = 6e-3
WARM_UP_SHARE = 0.04
WEIGHT_DECAY = 0.02
CLASS_WEIGHTS = (1.0, 1.0, 1.0, 1.5, 3.0)
"""Of the cross-entropy; white cells are rare and platelets small."""
FOCAL_WEIGHT = 4.0
DICE_SMOOTH = 100.0
"""Pixels; platelets often have fewer in a step, and those of none at all should not drown the rest."""
_CLIPPED_NORM = 5.0
_KEPT_OF_AVERAGE = 0.995
_FREE_STATISTICS_SHARE = 0.6
_STATISTICS_STEPS = 40
_log = structlog.get_logger(__name__)


def build_segmenter() -> UNet:
    """Return the untrained segmenter: a million weights, and five halvings, to tell a cloudy ground from a coin."""
    return UNet(len(LABELS) + 1, widths=WIDTHS)


def segmenter_losses(answers: Tensor, classes: Tensor, boundaries: Tensor) -> dict[str, Tensor]:
    """Return the losses by name, each with its weight.

    Args:
        answers: float32 [batch, classes + 1, height, width], the boundary last.
        classes: int64 [batch, height, width].
        boundaries: float32 [batch, 1, height, width], 0 or 1.
    """
    logits, boundary = answers[:, :-1], answers[:, -1:]
    wanted = functional.one_hot(classes, len(LABELS)).permute(0, 3, 1, 2)[:, 1:].float()
    return {
        "cross_entropy": cross_entropy_loss(logits, classes, class_weights=torch.tensor(CLASS_WEIGHTS)),
        "dice": dice_loss(logits.softmax(1)[:, 1:], wanted, smooth=DICE_SMOOTH),
        "boundary_focal": FOCAL_WEIGHT * focal_loss(boundary, boundaries, alpha=0.5),
        "boundary_dice": dice_loss(boundary.sigmoid(), boundaries, smooth=DICE_SMOOTH),
    }


def train(model: UNet, *, steps: int = STEPS, seed: int = SEED) -> None:
    """Train a segmenter in place, AdamW in one cycle; its weights become their moving average over the steps.

    For the last part of the steps the statistics of batch normalisation stay as they are, so that the network learns to
    do with them as it will when it serves: a picture's own differ much from those of all.
    """
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    pace = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=WARM_UP_SHARE)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(_KEPT_OF_AVERAGE))  # type: ignore[no-untyped-call]
    model.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]  # half the time on a CPU
    running: dict[str, float] = {}
    for step in range(1, steps + 1):
        if step == 1 + round(steps * _FREE_STATISTICS_SHARE):
            update_bn((normalised(_scenes(rng, index)) for index in range(min(steps, _STATISTICS_STEPS))), model)
            for module in model.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.eval()
        scenes = _scenes(rng, step)
        losses = segmenter_losses(model(normalised(scenes)), *targets_of(scenes))
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), _CLIPPED_NORM)
        optimizer.step()
        pace.step()
        average.update_parameters(model)
        for name, loss in losses.items():
            running[name] = 0.95 * running.get(name, loss.item()) + 0.05 * loss.item()
        if step % 50 == 0 or step == steps:
            _log.info("steps_trained", step=step, **{name: round(loss, 4) for name, loss in running.items()})
    model.load_state_dict(average.module.state_dict())
    model.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]


def normalised(scenes: Sequence[Scene]) -> Tensor:
    """Return the pictures of scenes as the network takes them, float32 [n, 3, height, width]."""
    pictures = np.stack([scene.picture for scene in scenes])
    x = Normalisation(MEAN, STD).normalised(torch.from_numpy(pictures))
    return x.contiguous(memory_format=torch.channels_last)


def _scenes(rng: np.random.Generator, step: int) -> list[Scene]:
    """Return as many scenes of coins as of cells: the statistics of normalisation are those of both together."""
    count, side_px = SHAPES[step % len(SHAPES)]
    return [(coin_scene, smear_scene)[index % 2](rng, side_px, side_px) for index in range(count)]


def make_segmenter(folder: Path, *, steps: int = STEPS) -> ExportedUNet:
    """Return what was written after training and exporting the segmenter."""
    torch.set_num_threads(1)  # sums of several threads come out in any order
    torch.manual_seed(SEED)
    model = build_segmenter()
    train(model, steps=steps)
    folder.mkdir(parents=True, exist_ok=True)
    return export_unet(model, folder / GRAPH_FILE, has_boundary=True, mean=MEAN, std=STD)


def measure_segmenter(folder: Path, *, scene_count: int = HELD_OUT_COUNT) -> dict[str, object]:
    """Return what a folder's graph achieves, after writing it beside the graph as ``measurement.json``.

    What is found on the coins, and on a stained tissue of which nothing is claimed, is drawn beside it.
    """
    segmenter = ServedSegmenter(folder / GRAPH_FILE)
    figures: dict[str, object] = {
        "labels": list(LABELS),
        "splitting": asdict(SPLITTING),
        "scenes": {
            "seed": HELD_OUT_SEED,
            "count": scene_count,
            **{name: round(value, 4) for name, value in measure_scenes(segmenter, scene_count).items()},
        },
        "coins": measure_coins(segmenter),
    }
    (folder / MEASUREMENT_FILE).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    tissue: NDArray[np.uint8] = data.immunohistochemistry()  # type: ignore[no-untyped-call]  # ships no types
    for name, picture in (("coins", coins_picture()), ("ihc", tissue)):
        drawn = outlined(picture, segmenter.segment(picture))
        cv2.imwrite(str(folder / f"{name}.png"), drawn[..., ::-1])
    return figures


def package_graph(folder: Path, root: Path, *, overwrite: bool = False) -> Path:
    """Return the folder of the segmenter after packaging the graph and the figures that lie in a folder."""
    figures = json.loads((folder / MEASUREMENT_FILE).read_text(encoding="utf-8"))
    scenes, coins = figures["scenes"], figures["coins"]
    drawn = f"{scenes['count']} drawn scenes that were not learnt from"
    photograph = "scikit-image's photograph of 24 coins, which it never saw"
    fields = {
        "name": NAME,
        "version": VERSION,
        "description": "Round things: coins, and red cells, white cells and platelets on blood smears.",
        "task": "segmentation",
        "family": "instance",
        "labels": list(LABELS),
        "input": {"fit": "scale", "stride_px": build_segmenter().stride_px},
        "output": {
            "splitting": {
                "method": "boundary",
                "guide": "boundary",
                "interior_threshold": SPLITTING.interior_threshold,
                "guide_threshold": SPLITTING.boundary_threshold,
                "min_marker_area_px": SPLITTING.min_marker_area_px,
                "min_area_px": SPLITTING.min_area_px,
            }
        },
        "tiles": {"tile_size_px": 512, "overlap_px": 192},
        "accuracy": [
            {"metric": metric, "value": scenes[key], "dataset": drawn, "sample_count": scenes["count"]}
            for metric, key in (
                ("mean Dice of the classes", "mean_dice"),
                ("Dice of the foreground", "foreground_dice"),
                ("PQ", "PQ"),
                *((f"Dice of {name}", name) for name in CLASSES),
            )
        ]
        + [
            {"metric": metric, "value": float(coins[key]), "dataset": photograph, "sample_count": 1}
            for metric, key in (
                ("Dice of coins", "dice"),
                ("instances found", "instances"),
                ("coins paired at IoU above 0.5", "paired"),
            )
        ],
        "provenance": {
            "source": "Retinue's own, trained from random weights.",
            "recipe": "python -m retinue.zoo.recipes.rounds.segmenter --folder DIR --root services/segmentation/models",
            "data": "Scenes drawn by the recipe itself. No photograph was learnt from or tuned on.",
            "created": CREATED,
        },
        "licence": "Apache-2.0",
    }
    return write_package(root, fields, {GRAPH_FILE: folder / GRAPH_FILE}, overwrite=overwrite)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the recipe."""
    parser = argparse.ArgumentParser(
        prog="python -m retinue.zoo.recipes.rounds.segmenter", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--folder", type=Path, required=True, help="where graph, figures and pictures go")
    parser.add_argument("--steps", type=int, default=STEPS, help="another number than the recipe's, to try things out")
    parser.add_argument("--scenes", type=int, default=HELD_OUT_COUNT, help="so many held-out scenes are measured on")
    parser.add_argument("--root", type=Path, help="the model repository to write a package into")
    parser.add_argument("--overwrite", action="store_true", help="replace the package if it is there")
    parser.add_argument("--is-trained", action="store_true", help="measure and package the graph that is there")
    chosen = parser.parse_args(arguments)
    if not chosen.is_trained:
        exported = make_segmenter(chosen.folder, steps=chosen.steps)
        _log.info("graph_written", files=[str(path) for path in exported.files], deviation=exported.deviation)
    _log.info("graph_measured", **measure_segmenter(chosen.folder, scene_count=chosen.scenes))
    if chosen.root is not None:
        place = package_graph(chosen.folder, chosen.root, overwrite=chosen.overwrite)
        _log.info("package_written", folder=str(place))


if __name__ == "__main__":
    main()
