import numpy as np
import pytest

from retinue.zoo.export_unet import export_unet
from retinue.zoo.recipes.rounds.coin_reference import coins_picture, coins_reference
from retinue.zoo.recipes.rounds.scenes import CLASSES, COIN, random_scene
from retinue.zoo.recipes.rounds.segmentation_measurement import (
    HELD_OUT_SEED,
    SPLITTING,
    Segmented,
    ServedSegmenter,
    measure_coins,
    measure_scenes,
)
from tests.unit.zoo.test_unet import tiny_unet


class _KnowsAll(ServedSegmenter):
    """Answers the truth of the scenes that it is asked of, in their order."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def segment(self, picture: np.ndarray) -> Segmented:
        scene = random_scene(self._rng)
        assert np.array_equal(scene.picture, picture)
        seen, numbers = np.unique(scene.pieces, return_inverse=True)
        labels = np.zeros(len(seen), np.int64)
        labels[numbers.reshape(-1)] = scene.classes.reshape(-1)
        areas = np.bincount(numbers.reshape(-1))
        kept = (areas >= SPLITTING.min_area_px) & (seen > 0)
        new = np.where(kept, np.cumsum(kept), 0)
        return Segmented(
            scene.classes.astype(np.int64), new[numbers].reshape(scene.pieces.shape).astype(np.int32), labels[kept]
        )


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> ServedSegmenter:
    """Return a segmenter that has learnt nothing."""
    path = tmp_path_factory.mktemp("segmenter") / "model.onnx"
    export_unet(tiny_unet(len(CLASSES) + 2), path, has_boundary=True)
    return ServedSegmenter(path)


def test_answers_have_a_class_for_each_pixel_and_a_label_for_each_instance(segmenter: ServedSegmenter) -> None:
    found = segmenter.segment(random_scene(np.random.default_rng(0), 50, 70).picture)
    assert found.classes.shape == found.instances.shape == (50, 70)
    assert len(found.labels) == found.instances.max()
    assert set(found.labels) <= set(range(1, len(CLASSES) + 1))


def test_who_has_learnt_nothing_finds_little(segmenter: ServedSegmenter) -> None:
    figures = measure_scenes(segmenter, count=2)
    assert set(figures) == {"mean_dice", *CLASSES, "foreground_dice", "PQ", "SQ", "RQ", "label_accuracy"}
    assert figures["PQ"] < 0.2
    assert measure_coins(segmenter)["paired"] < 5


def test_who_knows_all_is_never_wrong() -> None:
    figures = measure_scenes(_KnowsAll(HELD_OUT_SEED), count=6)
    assert figures == dict.fromkeys(figures, 1.0)


def test_the_reference_itself_is_24_coins() -> None:
    class _Reference(ServedSegmenter):
        def __init__(self) -> None: ...

        def segment(self, picture: np.ndarray) -> Segmented:
            assert np.array_equal(picture, coins_picture())
            instances = coins_reference()
            return Segmented((instances > 0) * np.int64(COIN), instances, np.full(24, COIN))

    assert measure_coins(_Reference()) == {"instances": 24, "coins": 24, "paired": 24, "dice": 1.0, "PQ": 1.0}
