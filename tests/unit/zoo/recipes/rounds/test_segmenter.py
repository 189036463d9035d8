import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from retinue.zoo.recipes.rounds.scenes import CLASSES, coin_scene, smear_scene
from retinue.zoo.recipes.rounds.segmentation_targets import targets_of
from retinue.zoo.recipes.rounds.segmenter import (
    GRAPH_FILE,
    LABELS,
    MEASUREMENT_FILE,
    build_segmenter,
    main,
    normalised,
    segmenter_losses,
)


def test_the_segmenter_is_small_and_has_a_channel_for_each_class_and_the_boundary() -> None:
    model = build_segmenter()
    assert sum(weight.numel() for weight in model.parameters()) < 2_000_000  # 8 MB of float32
    assert model.class_count == 1 + len(CLASSES) + 1
    assert LABELS[1:] == CLASSES


def test_pictures_lie_around_zero() -> None:
    x = normalised([coin_scene(np.random.default_rng(0), 32, 48)] * 2)
    assert x.shape == (2, 3, 32, 48)
    assert x.min() >= -1
    assert x.max() <= 1


def test_who_says_the_truth_loses_almost_nothing_and_who_lies_loses_by_every_loss() -> None:
    rng = np.random.default_rng(1)
    classes, boundaries = targets_of([coin_scene(rng, 64, 64), smear_scene(rng, 64, 64)])
    truth = torch.nn.functional.one_hot(classes, len(LABELS)).permute(0, 3, 1, 2).float()
    said = torch.cat([truth, boundaries], 1) * 40 - 20
    losses, lies = segmenter_losses(said, classes, boundaries), segmenter_losses(-said, classes, boundaries)
    assert set(losses) == {"cross_entropy", "dice", "boundary_focal", "boundary_dice"}
    for name, loss in losses.items():
        assert loss.item() < 1e-4
        assert lies[name].item() > 0.3


@pytest.mark.slow
def test_the_recipe_makes_the_same_small_graph_for_the_same_seed(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    for name in ("one", "other"):
        main(["--folder", str(tmp_path / name), "--steps", "2", "--scenes", "1"])
        assert (tmp_path / name / GRAPH_FILE).stat().st_size < 8_000_000
        figures = json.loads((tmp_path / name / MEASUREMENT_FILE).read_text(encoding="utf-8"))
        assert figures["scenes"]["count"] == 1
        assert figures["labels"] == list(LABELS)
        for drawn, size in (("coins.png", (606, 768, 3)), ("ihc.png", (1024, 1024, 3))):
            picture = cv2.imread(str(tmp_path / name / drawn))
            assert picture is not None
            assert picture.shape == size
    torch.set_num_threads(threads)
    assert (tmp_path / "one" / GRAPH_FILE).read_bytes() == (tmp_path / "other" / GRAPH_FILE).read_bytes()
