import numpy as np

from retinue.zoo.recipes.rounds.scenes import COIN, PLATELET
from retinue.zoo.recipes.rounds.segmentation_drawing import COLOURS, outlined
from retinue.zoo.recipes.rounds.segmentation_measurement import Segmented


def test_each_instance_is_outlined_in_the_colour_of_its_class() -> None:
    instances = np.zeros((20, 30), np.int32)
    instances[2:8, 3:9], instances[10:18, 12:20] = 1, 2
    picture = np.full((20, 30, 3), 90, np.uint8)
    drawn = outlined(picture, Segmented(np.zeros((20, 30), np.int64), instances, np.array([COIN, PLATELET])))
    assert drawn.shape == (40, 60, 3)
    assert tuple(drawn[4, 6]) == COLOURS[COIN]
    assert tuple(drawn[20, 24]) == COLOURS[PLATELET]
    assert (drawn[10, 12] == 90).all()
    assert (picture == 90).all()
