"""Laws of levels and pooled vectors, against torch."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from retinue.ops import fpn_level, spatial_pyramid_pool


def torch_level(boxes: NDArray[Any], convention: str) -> list[int]:
    """The formula of both peers in torch's arithmetic."""
    corners = torch.from_numpy(boxes)
    size = torch.sqrt((corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1]))
    if convention == "torchvision":
        level = torch.floor(4 + torch.log2(size / 224) + torch.tensor(1e-6, dtype=size.dtype))
    else:
        level = torch.floor(4 + torch.log2(size / 224 + 1e-8))
    levels: list[int] = torch.clamp(level, min=2, max=5).to(torch.int64).tolist()
    return levels


@given(arrays(np.float64, st.tuples(st.integers(1, 20), st.just(4)), elements=st.floats(0, 1400)), st.booleans())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("convention", ["torchvision", "detectron2"])
def test_levels_are_those_of_torch(convention: Any, dtype: Any, boxes: NDArray[Any], is_square: bool) -> None:  # noqa: FBT001
    boxes = boxes.astype(dtype)
    boxes[:, 2:] = boxes[:, :2] + 1 + (boxes[:, 2:3] if is_square else boxes[:, 2:])
    assert fpn_level(boxes, convention=convention).tolist() == torch_level(boxes, convention)


@given(st.integers(0, 3), st.integers(-3, 3), st.integers(-2, 2))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("convention", ["torchvision", "detectron2"])
def test_levels_at_a_threshold_are_those_of_torch(
    convention: Any, dtype: Any, doublings: int, ulps: int, stretch: int
) -> None:
    side = 112 * 2.0**doublings * (1 + ulps * np.finfo(dtype).eps)
    box = np.array([[0, 0, side * 2.0**stretch, side / 2.0**stretch]], dtype)
    assert fpn_level(box, convention=convention).tolist() == torch_level(box, convention)


@given(st.floats(1, 4000), st.floats(1, 4000))
def test_a_larger_box_is_never_on_a_finer_level(first: float, second: float) -> None:
    small, large = sorted((first, second))
    levels = fpn_level(np.array([[0, 0, small, small], [0, 0, large, large]]))
    assert levels[0] <= levels[1]


maps = arrays(
    np.float64,
    st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    elements=st.integers(-99, 99).map(float),
)


@settings(deadline=None, max_examples=30)  # torch takes its time
@given(maps, st.lists(st.integers(1, 6), min_size=1, max_size=3))
def test_pooled_vectors_are_those_of_torch(features: NDArray[Any], levels: list[int]) -> None:
    for mode, pool in (
        ("max", torch.nn.functional.adaptive_max_pool2d),
        ("avg", torch.nn.functional.adaptive_avg_pool2d),
    ):
        grids = [pool(torch.from_numpy(features), level).flatten(1) for level in levels]
        expected = torch.cat(grids, dim=1).numpy()
        # Means are taken along one axis and then the other, which rounds differently.
        np.testing.assert_allclose(spatial_pyramid_pool(features, levels, mode=mode), expected, atol=1e-12)  # type: ignore[arg-type] # a name of the loop


@given(maps, st.lists(st.integers(1, 6), min_size=1, max_size=3))
def test_a_batch_gives_what_each_map_gives(features: NDArray[Any], levels: list[int]) -> None:
    rows = [spatial_pyramid_pool(one, levels).tolist() for one in features]
    assert spatial_pyramid_pool(features, levels).tolist() == rows


@given(maps, st.integers(1, 6))
def test_the_largest_of_all_is_in_every_grid(features: NDArray[Any], level: int) -> None:
    vector = spatial_pyramid_pool(features, (level,)).reshape(*features.shape[:2], -1)
    assert vector.max(axis=-1).tolist() == features.max(axis=(2, 3)).tolist()
