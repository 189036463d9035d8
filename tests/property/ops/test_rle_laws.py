"""Laws of masks as runs, against plain pixels and pycocotools."""

from itertools import groupby
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from pycocotools import mask as coco

from retinue.ops import (
    Rle,
    rle_area,
    rle_bbox,
    rle_decode,
    rle_encode,
    rle_from_string,
    rle_iou,
    rle_merge,
    rle_to_string,
)
from retinue.ops.rle import rle_encode_crop
from retinue.ops.rle_algebra import rle_nms
from retinue.ops.rle_labels import rle_encode_labels

no_deadline = settings(deadline=None)  # a kernel may be compiled in the first example


@st.composite
def masks(draw: st.DrawFn, count: int = 1) -> NDArray[np.bool_]:
    """Masks of one size: specks and holes in them, blocks, and sizes on both sides of where 64 pixels end."""
    height = draw(st.integers(1, 12) | st.sampled_from([63, 64, 65, 130]))
    width = draw(st.integers(1, 12) | st.sampled_from([63, 64, 65, 130]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    share = draw(st.sampled_from([0, 0.02, 0.5, 0.98, 1]))
    pixels = rng.random((count, height, width)) < share
    if draw(st.booleans()):
        pixels = pixels.repeat(4, axis=1).repeat(4, axis=2)[:, :height, :width]
    return pixels


def plain_counts(mask: NDArray[np.bool_]) -> list[int]:
    """Return the runs by looking at one pixel after the other."""
    groups = [(bool(value), len(list(pixels))) for value, pixels in groupby(mask.T.ravel().tolist())]
    return [0] * groups[0][0] + [length for _, length in groups]


def as_coco(mask: NDArray[np.bool_]) -> Any:
    return coco.encode(np.asfortranarray(mask, dtype=np.uint8))


@no_deadline
@given(masks(), st.sampled_from("CF"), st.integers(1, 255))
def test_runs_are_those_of_the_pixels_in_any_order(pixels: NDArray[np.bool_], order: Any, value: int) -> None:
    mask = (pixels[0] * np.uint8(value)).astype(np.uint8, order=order)
    assert rle_encode(mask).counts.tolist() == plain_counts(pixels[0])


@no_deadline
@given(masks(), st.sampled_from("CF"))
def test_pixels_come_back(pixels: NDArray[np.bool_], order: Any) -> None:
    rle = rle_encode(pixels[0])
    out = np.full(pixels[0].shape, 1, np.uint8, order=order)
    assert (rle_decode(rle) == pixels[0]).all()
    assert (rle_decode(rle, out=out) == pixels[0]).all()


@no_deadline
@given(masks(), st.tuples(*[st.integers(0, 3)] * 4), st.sampled_from("CF"))
def test_a_crop_is_the_canvas_around_it(pixels: NDArray[np.bool_], margins: tuple[int, ...], order: Any) -> None:
    above, below, left, right = margins
    canvas = np.pad(pixels[0], ((above, below), (left, right)))
    assert rle_encode_crop(pixels[0].copy(order=order), above, left, *canvas.shape) == rle_encode(canvas)


@no_deadline
@given(masks())
def test_strings_boxes_and_areas_agree_with_pycocotools(pixels: NDArray[np.bool_]) -> None:
    rle, peer = rle_encode(pixels[0]), as_coco(pixels[0])
    assert rle_to_string(rle) == peer["counts"]
    assert rle_from_string(peer["counts"], *pixels[0].shape) == rle
    assert rle_bbox(rle).tolist() == coco.toBbox(peer).tolist()
    assert rle_area(rle) == coco.area(peer)


@no_deadline
@given(st.binary(max_size=30), st.integers(0, 9), st.integers(0, 9))
def test_any_bytes_are_a_mask_or_an_error(text: bytes, height: int, width: int) -> None:
    try:
        rle = rle_from_string(text, height, width)
    except ValueError as error:
        assert str(error).startswith("counts: ")  # noqa: PT017, most examples are errors
    else:
        assert rle.counts.sum() == height * width


@no_deadline
@given(st.text("0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmno", max_size=12))
def test_any_string_of_the_alphabet_is_a_mask_or_an_error(text: str) -> None:
    try:
        rle = rle_from_string(text, 5, 7)
    except ValueError as error:
        assert str(error).startswith("counts: ")  # noqa: PT017
    else:
        assert Rle(5, 7, rle.counts) == rle


@no_deadline
@given(st.lists(st.integers(0, 5), max_size=12))
def test_empty_runs_do_not_change_the_mask(counts: list[int]) -> None:
    total = sum(counts)
    pixels = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(1, total)
    assert Rle(1, total, np.array(counts, int)) == rle_encode(pixels)


@no_deadline
@given(
    arrays(
        st.sampled_from([np.uint8, np.int32, np.int64]),
        array_shapes(min_dims=2, max_dims=2),
        elements=st.integers(0, 4),
    )
)
def test_each_label_has_the_mask_of_its_pixels(label_map: NDArray[Any]) -> None:
    labels, rles = rle_encode_labels(label_map, background=None)
    assert labels.tolist() == np.unique(label_map).tolist()
    assert rles == [rle_encode(label_map == label) for label in labels]


@no_deadline
@given(masks(5), st.booleans())
def test_merging_agrees_with_pixels_and_pycocotools(pixels: NDArray[np.bool_], is_intersection: bool) -> None:  # noqa: FBT001
    merged = rle_merge([rle_encode(mask) for mask in pixels], is_intersection=is_intersection)
    assert merged == rle_encode((np.logical_and if is_intersection else np.logical_or).reduce(pixels))
    assert rle_to_string(merged) == coco.merge([as_coco(mask) for mask in pixels], is_intersection)["counts"]


@no_deadline
@given(masks(4), st.lists(st.booleans(), min_size=4, max_size=4))
def test_iou_agrees_with_pixels_and_pycocotools(pixels: NDArray[np.bool_], crowds: list[bool]) -> None:
    rles, peers = [rle_encode(mask) for mask in pixels], [as_coco(mask) for mask in pixels]
    ious = rle_iou(rles, rles, is_crowd=crowds)
    assert ious.tolist() == coco.iou(peers, peers, crowds).tolist()
    flat = pixels.reshape(4, -1).astype(np.int64)
    common, areas = flat @ flat.T, flat.sum(axis=1)
    union = np.where(crowds, areas[:, None], areas[:, None] + areas - common)
    assert ious.tolist() == np.divide(common, union, out=np.zeros((4, 4)), where=common > 0).tolist()


@no_deadline
@given(masks(6), st.lists(st.integers(0, 2), min_size=6, max_size=6), st.integers(0, 1), st.floats(0, 1))
def test_suppression_agrees_with_its_definition(
    pixels: NDArray[np.bool_], ranks: list[int], labels: int, threshold: float
) -> None:
    rles, groups = [rle_encode(mask) for mask in pixels], [i * labels % 2 for i in range(6)]
    ious = rle_iou(rles, rles)
    kept: list[int] = []
    for i in sorted(range(6), key=lambda i: -ranks[i]):
        if all(ious[i, j] <= threshold or groups[i] != groups[j] for j in kept):
            kept.append(i)
    assert rle_nms(rles, np.array(ranks, float), threshold, labels=groups).tolist() == kept
    assert rle_nms(rles, np.array(ranks, float), threshold, labels=groups, max_output=2).tolist() == kept[:2]
