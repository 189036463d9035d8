"""Laws of segmentation: whoever shares a batch, however a picture is cut, in whatever pieces it comes."""

import random
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from retinue.runtime.caller import Caller
from retinue.runtime.deferred import Deferred
from retinue.runtime.picture import PictureLimits
from retinue.runtime.slots import Slots
from retinue.segmentation.v1 import segmentation_pb2 as pb
from services.segmentation.codes import class_counts
from services.segmentation.options import Forms, tiling_of
from services.segmentation.pipeline import SegmentationPipeline
from services.segmentation.segmentations import Codes, SegmentationOptions, Thing
from services.segmentation.slide_stream import Slide, SlideStream
from services.segmentation.slides import Geometry
from services.segmentation.things import things_of
from services.segmentation.tiled import TiledPicture
from services.segmentation.windows import Tiling
from tests.unit.services.segmentation.asking import Streamed, tiles_of
from tests.unit.services.segmentation.tiny_segmenters import (
    BOUNDARY,
    PATIENCE_S,
    answer,
    answers,
    idle_engine,
    item_of,
    options_with,
    picture_of,
    pipeline_of,
    running_engine,
    with_blobs,
    with_discs,
    write_segmenter,
)

BOX = 9  # the receptive field of `blurred`
BLENDS = st.sampled_from(["crop", "mean", "gaussian"])
THRESHOLDS = st.sampled_from([(None, None, None), (0.5, 0.5, 0.5), (None, 0.9, None), (0.0, 0.3, 1.0)])
SIDES = st.sampled_from([1, 2, 31, 32, 33, 50, 64, 100])


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SegmentationPipeline]:
    root: Path = tmp_path_factory.mktemp("models")
    folders = {
        "plain": write_segmenter(root, "plain", splitting=BOUNDARY | {"min_marker_area_px": 0}),
        "half": write_segmenter(root, "half", policy={"factor": 0.5}),
        "stretched": write_segmenter(
            root, "stretched", policy={"fit": "stretch", "height": 32, "width": 48}, sides=(32, 48)
        ),
        "semantic": write_segmenter(root, "semantic", family="semantic", has_guide=False),
        # What is dark in red and green is a thing, and so is the nothing beyond an edge.
        "blurred": write_segmenter(
            root,
            "blurred",
            box=BOX,
            weights=((0, 0, 0), (-1 / 8, -1 / 8, 0), (0, 0, 0)),
            bias=(0, 18, -60),
            tiles={"overlap_px": BOX},
        ),
    }
    return {name: pipeline_of(folder) for name, folder in folders.items()}


def through_windows(
    pipeline: SegmentationPipeline,
    pixels: NDArray[np.uint8],
    options: SegmentationOptions,
    tiling: Tiling,
    **engine: Any,
) -> tuple[Codes, list[Thing]]:
    with running_engine(pipeline, **engine) as one:
        return Deferred(TiledPicture(one, picture_of(pixels), options, tiling, Caller(), Slots(1))).wait()


def masks_of(things: list[Thing], height: int, width: int) -> list[NDArray[np.bool_]]:
    masks = []
    for thing in things:
        mask = np.zeros((height, width), np.bool_)
        rows, columns = thing.crop.mask.shape
        mask[thing.crop.y : thing.crop.y + rows, thing.crop.x : thing.crop.x + columns] = thing.crop.mask
        masks.append(mask)
    return masks


def places_of(things: list[Thing]) -> list[tuple[Any, ...]]:
    """Return what does not hang on seams, in a fixed order: the class, and every pixel."""
    return sorted(
        (thing.crop.y, thing.crop.x, thing.crop.mask.shape, thing.crop.mask.tobytes(), thing.area, thing.label_id)
        for thing in things
    )


# --- batches


@dataclass(frozen=True)
class Asked:
    """A picture of blobs and what is wanted of it."""

    height: int
    width: int
    seed: int
    thresholds: tuple[float | None, ...]
    min_area_px: int

    @property
    def item(self) -> Any:
        pixels = with_blobs(self.height, self.width, self.seed, coarseness=3)
        return item_of(pixels, options_with(self.thresholds, min_area_px=self.min_area_px))


ASKED = st.builds(Asked, SIDES, SIDES, st.integers(0, 5), THRESHOLDS, st.sampled_from([0, 20]))


@pytest.mark.parametrize("name", ["plain", "half", "stretched", "semantic"])
@given(asked=st.lists(ASKED, min_size=1, max_size=9), workers=st.integers(1, 3), max_batch_size=st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_batched_equals_alone(
    pipelines: dict[str, SegmentationPipeline], name: str, asked: list[Asked], workers: int, max_batch_size: int
) -> None:
    """Any mix of sizes and options, through the engine with several workers, whose buffers hold older pictures."""
    pipeline = pipelines[name]
    items = [one.item for one in asked]
    engine = idle_engine(pipeline, workers=workers, max_batch_size=max_batch_size)
    tickets = [engine.submit(item, Caller()) for item in items]
    engine.start()  # only now, so that batches are as large as may be
    together = [ticket.wait() for ticket in tickets]
    assert engine.close(PATIENCE_S)
    for found, item in zip(together, items, strict=True):
        (alone,) = answers(pipeline, item)
        assert_array_equal(found.codes, alone.codes)
        assert (found.found is None) == (alone.found is None) == (name == "semantic")
        if found.found is not None and alone.found is not None:
            assert_array_equal(found.found.label_map, alone.found.label_map)
            assert_array_equal(found.found.sums, alone.found.sums)


@pytest.mark.parametrize("name", ["plain", "half", "stretched"])
@given(asked=ASKED)
@settings(max_examples=40, deadline=None)
def test_an_answer_adds_up(pipelines: dict[str, SegmentationPipeline], name: str, asked: Asked) -> None:
    """Classes share the picture out where they exclude each other; things overlap nowhere and hold what is theirs."""
    (found,) = answers(pipelines[name], asked.item)
    counts = class_counts(found.codes, 3)
    size = asked.height * asked.width
    if asked.item.options.is_exclusive:
        assert counts.sum() == size
    assert (counts <= size).all()
    assert found.found is not None
    things = things_of(found.found, asked.item.options)
    masks = masks_of(things, asked.height, asked.width)
    assert sum(masks, np.zeros((asked.height, asked.width), np.int64)).max(initial=0) <= 1
    for thing, mask in zip(things, masks, strict=True):
        assert thing.area == mask.sum() >= max(1, asked.min_area_px)
        assert 0 <= thing.score <= 1
        assert thing.label_id in (1, 2)
        rows, columns = mask.nonzero()
        assert rows.min() <= thing.centroid_xy[1] <= rows.max() + 1
        assert columns.min() <= thing.centroid_xy[0] <= columns.max() + 1
    assert all(one.score >= other.score for one, other in pairwise(things))


# --- windows


@given(
    size=st.tuples(st.integers(1, 160), st.integers(1, 160)),
    seed=st.integers(0, 99),
    side=st.integers(32, 90),
    share=st.floats(0, 0.5),
    blend=BLENDS,
    thresholds=THRESHOLDS,
    reach=st.sampled_from([0, 4, 100]),
)
@settings(max_examples=80, deadline=None)
def test_classes_through_windows_are_those_of_the_whole(
    pipelines: dict[str, SegmentationPipeline],
    *,
    size: tuple[int, int],
    seed: int,
    side: int,
    share: float,
    blend: Any,
    thresholds: tuple[float | None, ...],
    reach: int,
) -> None:
    """Exactly, where each pixel is looked at by itself: whatever the windows and the blend."""
    pixels = with_blobs(*size, seed)
    tiling = Tiling(side, int(side * share), blend, reach)
    codes, _ = through_windows(pipelines["plain"], pixels, options_with(thresholds), tiling)
    assert_array_equal(codes, answer(pipelines["plain"], pixels, thresholds=thresholds).codes)


@given(
    size=st.tuples(st.integers(40, 260), st.integers(40, 260)),
    seed=st.integers(0, 99),
    side=st.integers(32, 90),
    share=st.floats(0, 0.5),
    blend=BLENDS,
    reach=st.sampled_from([0, 4, 100]),
    workers=st.integers(1, 3),
    max_queue_items=st.sampled_from([1, 3, 64]),
)
@settings(max_examples=80, deadline=None)
def test_things_through_windows_are_those_of_the_whole(
    pipelines: dict[str, SegmentationPipeline],
    *,
    size: tuple[int, int],
    seed: int,
    side: int,
    share: float,
    blend: Any,
    reach: int,
    workers: int,
    max_queue_items: int,
) -> None:
    """Exactly, where each pixel is looked at by itself and things are discs: from an overlap of one pixel on."""
    pixels, count = with_discs(*size, seed)
    tiling = Tiling(side, max(1, int(side * share)), blend, reach)
    pipeline, options = pipelines["plain"], options_with()
    _, things = through_windows(pipeline, pixels, options, tiling, workers=workers, max_queue_items=max_queue_items)
    whole = answer(pipeline, pixels).found
    assert whole is not None
    assert len(things) == count
    assert places_of(things) == places_of(things_of(whole, options))


def dark_discs(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """Return dark discs on red, and a yellow frame, by which the nothing beyond it is outweighed."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = pixels[..., 1] = 255
    pixels[BOX:-BOX, BOX:-BOX, 1] = 0
    for y in range(BOX + 20, height - BOX - 20, 48):
        for x in range(BOX + 20, width - BOX - 20, 48):
            centre = (x + int(rng.integers(-4, 5)), y + int(rng.integers(-4, 5)))
            cv2.circle(pixels, centre, int(rng.integers(9, 16)), (0, 0, 0), -1)
    return pixels


@given(
    size=st.tuples(st.integers(90, 220), st.integers(90, 220)),
    seed=st.integers(0, 99),
    side=st.integers(40, 100),
    more=st.integers(0, 11),
    blend=BLENDS,
)
@settings(max_examples=60, deadline=None)
def test_from_an_overlap_of_the_receptive_field_on_seams_cannot_be_seen(
    pipelines: dict[str, SegmentationPipeline], size: tuple[int, int], seed: int, side: int, more: int, blend: Any
) -> None:
    """A model that sees zeros beyond an edge, and takes them for things, does so at the edges of windows too."""
    pipeline, pixels = pipelines["blurred"], dark_discs(*size, seed)
    asked = pb.SegmentationOptions()
    asked.tiling.tile_size_px, asked.tiling.overlap_px = side, BOX + more
    tiling = tiling_of(asked, pipeline.manifest)
    assert tiling.reach_px == BOX // 2
    options = options_with(min_area_px=20)
    codes, things = through_windows(pipeline, pixels, options, Tiling(side, BOX + more, blend, tiling.reach_px))
    whole = answer(pipeline, pixels, min_area_px=20)
    assert whole.found is not None
    expected = masks_of(things_of(whole.found, options), *size)
    found = masks_of(things, *size)
    assert expected
    assert len(found) == len(expected)
    for mask in expected:
        assert max((mask & other).sum() / (mask | other).sum() for other in found) >= 0.98
    if blend == "crop":
        assert (codes == whole.codes).mean() > 0.9999  # sums of floats may differ in the last bit


# --- streams


@given(
    size=st.tuples(st.integers(1, 150), st.integers(1, 150)),
    seed=st.integers(0, 99),
    tile=st.tuples(st.integers(32, 170), st.integers(32, 170)),
    side=st.integers(32, 90),
    share=st.floats(0, 0.5),
    blend=BLENDS,
    thresholds=THRESHOLDS,
    form=st.sampled_from(["rle", "polygons", "png"]),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_a_stream_answers_as_the_picture_through_the_same_windows(
    pipelines: dict[str, SegmentationPipeline],
    *,
    size: tuple[int, int],
    seed: int,
    tile: tuple[int, int],
    side: int,
    share: float,
    blend: Any,
    thresholds: tuple[float | None, ...],
    form: Any,
    order: random.Random,
) -> None:
    """To the last bit, whatever the sender's tiles and their order within a row, and whether the sender is slow."""
    pixels, pipeline = with_blobs(*size, seed, coarseness=4), pipelines["plain"]
    tiling, options = Tiling(side, int(side * share), blend, 8), options_with(thresholds, max_instances=10**6)
    codes, things = through_windows(pipeline, pixels, options, tiling)
    geometry = Geometry(size[1], size[0], min(tile[1], size[1]), min(tile[0], size[0]))
    is_exclusive = options.is_exclusive
    slide = Slide("slide", geometry, tiling, options, Forms("rle" if is_exclusive else "none", form))
    with running_engine(pipeline) as engine:
        stream = SlideStream(engine, slide, PictureLimits(), Caller())
        messages = tiles_of(pixels, geometry.tile_height, geometry.tile_width, order=order.shuffle)
        found = Streamed.of(stream.answers(messages, lambda: order.random() < 0.5), *size)
    if is_exclusive:
        assert_array_equal(found.codes, codes)
    assert [one.pixel_count for one in found.summary.classes] == class_counts(codes, 3).tolist()
    assert found.summary.tile_count == geometry.rows * geometry.columns
    assert [one.id for one in found.instances] == list(range(1, len(things) + 1))

    def said(one: pb.SlideInstance) -> tuple[Any, ...]:
        mask = found.pixels_of(one)
        rows, columns = mask.nonzero()
        assert (one.box.x_min, one.box.y_min) == (columns.min(), rows.min())
        return one.label.id, np.float32(one.score), one.area_px, mask.tobytes()

    expected = [
        (thing.label_id, np.float32(thing.score), thing.area, mask.tobytes())
        for thing, mask in zip(things, masks_of(things, *size), strict=True)
    ]
    assert sorted(said(one) for one in found.instances) == sorted(expected)
