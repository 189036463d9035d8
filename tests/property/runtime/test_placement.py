"""Laws of placement: whatever a picture's size, it keeps to its policy, and boxes come back to where they were."""

from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from retinue.runtime.detection_manifest import LetterboxInput, ShorterSideInput
from retinue.runtime.placement import placement_of

SIDES = st.integers(1, 65535) | st.sampled_from([1, 2, 3, 65535]) | st.integers(1, 2000)
SIZES = st.tuples(SIDES, SIDES)
ROUNDINGS = st.sampled_from(["floor", "detr"])


@st.composite
def shorter_sides(draw: st.DrawFn, rounding: Any = None) -> ShorterSideInput:
    """Any policy of that kind."""
    short_side = draw(st.integers(1, 1500))
    return ShorterSideInput(
        short_side=short_side,
        long_side=draw(st.integers(short_side, 8192)),
        size_divisor=draw(st.sampled_from([1, 2, 32, 64, 100, 512])),
        rounding=rounding or draw(ROUNDINGS),
    )


LETTERBOXES = st.builds(
    LetterboxInput,
    height=st.integers(1, 8192),
    width=st.integers(1, 8192),
    align=st.sampled_from(["centre", "corner"]),
)


@given(SIZES, shorter_sides())
def test_the_canvas_is_the_least_that_holds_the_picture(size: tuple[int, int], policy: ShorterSideInput) -> None:
    place = placement_of(*size, policy)

    assert place.full == size
    assert (place.top, place.left) == (0, 0)
    for scaled, canvas in zip(place.scaled, place.canvas, strict=True):
        assert canvas % policy.size_divisor == 0
        assert 1 <= scaled <= canvas < scaled + policy.size_divisor


@given(SIZES, shorter_sides("floor"))
@example((1, 65535), ShorterSideInput())
@example((65535, 1), ShorterSideInput())
def test_floored_sides_keep_to_the_policy(size: tuple[int, int], policy: ShorterSideInput) -> None:
    scaled = placement_of(*size, policy).scaled
    shorter, longer = min(scaled), max(scaled)

    assert shorter <= policy.short_side
    assert longer <= policy.long_side
    # One of the two is reached, but for what rounding takes away, which is a pixel at most.
    assert shorter >= policy.short_side - 1 or longer >= policy.long_side - 1


@given(SIZES, shorter_sides("detr"))
@example((1, 65535), ShorterSideInput(rounding="detr"))
@example((65535, 1), ShorterSideInput(rounding="detr"))
@example((1, 2665), ShorterSideInput(rounding="detr"))
def test_detrs_sides_keep_to_the_policy(size: tuple[int, int], policy: ShorterSideInput) -> None:
    """DETR rounds the shorter side first, to the nearest, so the longer may be above its limit by half an aspect."""
    scaled = placement_of(*size, policy).scaled
    aspect = max(size) / min(size)

    assert min(scaled) <= policy.short_side
    assert max(scaled) <= policy.long_side + aspect / 2
    assert max(scaled) <= 2 * policy.long_side, "a line of pixels grew without end"


@given(SIZES, shorter_sides() | LETTERBOXES)
def test_a_picture_on_its_side_lies_on_its_side(size: tuple[int, int], policy: Any) -> None:
    turned = policy
    if isinstance(policy, LetterboxInput):
        turned = policy.model_copy(update={"height": policy.width, "width": policy.height})
    place, other = placement_of(*size, policy), placement_of(*size[::-1], turned)

    assert other.scaled == place.scaled[::-1]
    assert other.canvas == place.canvas[::-1]
    assert (other.top, other.left) == (place.left, place.top)


@given(SIZES, LETTERBOXES)
@example((1, 65535), LetterboxInput(height=640, width=640))
@example((65535, 1), LetterboxInput(height=640, width=640, align="corner"))
def test_a_letterboxed_picture_fills_one_side_and_lies_within(size: tuple[int, int], policy: LetterboxInput) -> None:
    place = placement_of(*size, policy)
    (height, width), (canvas_height, canvas_width) = place.scaled, place.canvas

    assert (canvas_height, canvas_width) == (policy.height, policy.width)
    assert min(height, width, canvas_height - height + 1, canvas_width - width + 1) >= 1
    assert height >= canvas_height - 1 or width >= canvas_width - 1
    below, right = canvas_height - height - place.top, canvas_width - width - place.left
    if policy.align == "centre":
        assert 0 <= below - place.top <= 1
        assert 0 <= right - place.left <= 1
    else:
        assert (place.top, place.left) == (0, 0)


@given(SIZES, shorter_sides() | LETTERBOXES, st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 4), max_size=5))
def test_boxes_come_back_to_where_they_were(
    size: tuple[int, int], policy: Any, shares: list[tuple[float, float, float, float]]
) -> None:
    place = placement_of(*size, policy)
    whole = np.array([size[1], size[0], size[1], size[0]], np.float64)
    ends = np.array(shares, np.float64).reshape(-1, 4)
    boxes = np.concatenate([np.minimum(ends[:, :2], ends[:, 2:]), np.maximum(ends[:, :2], ends[:, 2:])], axis=1) * whole
    scale = np.array([place.scaled[1], place.scaled[0]] * 2) / whole
    on_input = (boxes * scale + [place.left, place.top] * 2).astype(np.float32)
    back = place.back(on_input)

    # A place on the input is known to a rounding of float32 at the far end of the canvas, which scaling makes larger.
    unit = np.float64(np.spacing(np.float32(max(place.canvas))))
    tolerance = 4 * unit / scale + 4 * np.spacing(whole.astype(np.float32))
    assert back.dtype == np.float32
    assert (np.abs(back - boxes) <= tolerance).all()
    assert (back >= 0).all()
    assert (back <= whole).all()


@given(SIZES, shorter_sides() | LETTERBOXES, st.lists(st.tuples(*[st.floats(-1e6, 1e6, width=32)] * 4), max_size=5))
def test_no_box_leaves_the_picture(size: tuple[int, int], policy: Any, boxes: list[Any]) -> None:
    back = placement_of(*size, policy).back(np.array(boxes, np.float32).reshape(-1, 4))

    assert (back >= 0).all()
    assert (back <= [size[1], size[0]] * 2).all()
