"""Layers are added up over instances."""

from typing import Any

import numpy as np
import pytest

from retinue.ops import instance_sums

MAP = np.array([[0, 7, 7, 0], [7, 0, 0, 2]])
LAYERS = np.arange(16, dtype=np.float32).reshape(2, 2, 4)


def test_each_instance_has_the_sum_of_each_layer_and_its_area() -> None:
    ids, sums = instance_sums(MAP, LAYERS)
    assert ids.tolist() == [2, 7]
    assert sums.tolist() == [[7, 15, 1], [1 + 2 + 4, 9 + 10 + 12, 3]]
    assert ids.dtype == np.int64
    assert sums.dtype == np.float64


def test_ids_far_apart_take_no_room() -> None:
    ids, sums = instance_sums(np.where(MAP == 7, 2**31 - 1, MAP), LAYERS)
    assert ids.tolist() == [2, 2**31 - 1]
    assert sums[:, -1].tolist() == [1, 3]


def test_small_numbers_beside_large_ones_are_not_lost() -> None:
    layer = np.array([[[1e8, 1.0, 1.0, 1.0]]], np.float32)
    assert instance_sums(np.ones((1, 4), np.int32), layer)[1].tolist() == [[1e8 + 3, 4]]


def test_what_is_not_finite_stays_with_its_instance() -> None:
    layers = LAYERS.copy()
    layers[0, 1, 3] = np.nan
    sums = instance_sums(MAP, layers)[1]
    assert np.isnan(sums[0, 0])
    assert np.isfinite(sums[1]).all()


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0), (2, 3)])
@pytest.mark.parametrize("count", [0, 3])
def test_without_instances_there_are_no_rows(shape: tuple[int, int], count: int) -> None:
    ids, sums = instance_sums(np.zeros(shape, np.int32), np.ones((count, *shape)))
    assert ids.shape == (0,)
    assert sums.shape == (0, count + 1)


@pytest.mark.parametrize("layers", [LAYERS.astype(np.float64), LAYERS.astype(np.int16), LAYERS.astype(">f4")])
def test_any_real_numbers_will_do(layers: Any) -> None:
    assert instance_sums(MAP, layers)[1].tolist() == instance_sums(MAP, LAYERS)[1].tolist()


def test_layers_may_lie_anyhow_in_memory() -> None:
    strided = np.repeat(LAYERS, 2, axis=2)[:, :, ::2]
    assert instance_sums(MAP, strided)[1].tolist() == instance_sums(MAP, LAYERS)[1].tolist()
    assert instance_sums(MAP.T, LAYERS.transpose(0, 2, 1))[1][:, 0].tolist() == [7, 7]


@pytest.mark.parametrize(
    ("label_map", "layers", "message"),
    [
        (MAP - 1, LAYERS, "label_map: ids must be"),
        (MAP.astype(float), LAYERS, "label_map: must be integers"),
        (MAP[0], LAYERS, "label_map: must be"),
        (MAP, LAYERS[0], r"layers: must be \(layers, 2, 4\)"),
        (MAP, LAYERS[:, :, 1:], r"layers: must be \(layers, 2, 4\)"),
        (MAP, LAYERS.astype(complex), "layers: must be real"),
        (MAP, LAYERS.astype(str), "layers: must be real"),
    ],
)
def test_a_bad_argument_is_refused_by_name(label_map: Any, layers: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        instance_sums(label_map, layers)
