import numpy as np

from retinue.ops.instances import instance_properties
from retinue.ops.overlap import pairwise_iou
from retinue.zoo.recipes.rounds.coin_reference import coins_picture, coins_reference
from retinue.zoo.recipes.rounds.measurement import COIN_BOXES


def test_the_reference_has_24_coins_where_their_boxes_are() -> None:
    reference = coins_reference()
    assert reference.shape == coins_picture().shape[:2]
    found = instance_properties(reference)
    assert found.labels.tolist() == list(range(1, 25))
    overlap = pairwise_iou(COIN_BOXES, found.boxes.astype(np.float32))
    assert overlap.max(1).min() > 0.9
    assert sorted(overlap.argmax(1)) == list(range(24))


def test_coins_of_the_reference_are_round_and_brighter_than_what_is_around_them() -> None:
    reference, grey = coins_reference(), coins_picture()[..., 0]
    found = instance_properties(reference)
    width, height = (found.boxes[:, 2:] - found.boxes[:, :2]).T
    share = found.areas / (np.pi / 4 * width * height)  # of the ellipse in the box
    assert 0.95 < share.min() <= share.max() < 1.08
    for number, (x1, y1, x2, y2) in enumerate(found.boxes, start=1):
        around = np.s_[max(0, y1 - 4) : y2 + 4, max(0, x1 - 4) : x2 + 4]
        assert grey[reference == number].mean() > grey[around][reference[around] == 0].mean() + 20
