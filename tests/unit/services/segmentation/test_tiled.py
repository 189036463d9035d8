"""A picture looked at through windows, waited for as a ticket is."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from retinue.runtime.caller import Caller
from retinue.runtime.deferred import Deferred
from retinue.runtime.errors import Cancelled, DeadlineExceeded, InvalidImage
from retinue.runtime.picture import PictureLimits, open_picture
from retinue.runtime.slots import Slots
from services.segmentation.pipeline import SegmentationPipeline
from services.segmentation.segmentations import Codes, Thing
from services.segmentation.tiled import TiledPicture
from services.segmentation.windows import SegmentationEngine, Tiling
from tests.unit.services.segmentation.asking import damaged_image_of
from tests.unit.services.segmentation.tiny_segmenters import (
    PATIENCE_S,
    answer,
    options_with,
    picture_of,
    pipeline_of,
    running_engine,
    with_discs,
    write_segmenter,
)

DISCS, COUNT = with_discs(130, 210)
TILING = Tiling(64, 20, "crop", 8)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> SegmentationPipeline:
    root: Path = tmp_path_factory.mktemp("models")
    return pipeline_of(write_segmenter(root))


def tiled_of(
    engine: SegmentationEngine, slots: Slots, caller: Caller | None = None, **options: Any
) -> Deferred[tuple[Codes, list[Thing]]]:
    picture = picture_of(DISCS)
    return Deferred(TiledPicture(engine, picture, options_with(**options), TILING, caller or Caller(), slots))


def test_the_answer_is_that_of_the_whole(pipeline: SegmentationPipeline) -> None:
    with running_engine(pipeline) as engine:
        tiled = tiled_of(engine, Slots(1))
        assert tiled.wait_error() is None
        codes, things = tiled.wait()
    assert_array_equal(codes, answer(pipeline, DISCS).codes)
    assert len(things) == COUNT
    assert tiled.timings.infer_s > 0
    scores = [thing.score for thing in things]
    assert scores == sorted(scores, reverse=True)


def test_it_is_looked_at_once_and_when_it_is_waited_for(pipeline: SegmentationPipeline) -> None:
    with running_engine(pipeline) as engine:
        tiled = tiled_of(engine, Slots(1))
        assert engine.queue_length == 0
        assert tiled.wait() is tiled.wait()


def test_the_options_leave_things_out(pipeline: SegmentationPipeline) -> None:
    with running_engine(pipeline) as engine:
        _, things = tiled_of(engine, Slots(1), min_area_px=200, max_instances=3).wait()
        assert len(things) == 3
        assert all(thing.area >= 200 for thing in things)


def test_a_picture_that_cannot_be_decoded_gives_its_slot_back(pipeline: SegmentationPipeline) -> None:
    slots = Slots(1)
    picture = open_picture(damaged_image_of(DISCS).encoded, PictureLimits())
    with running_engine(pipeline) as engine:
        tiled = Deferred(TiledPicture(engine, picture, options_with(), TILING, Caller(), slots))
        error = tiled.wait_error()
        assert isinstance(error, InvalidImage)
        assert error.__traceback__ is None
        with pytest.raises(InvalidImage):
            tiled.wait()
        assert tiled_of(engine, slots).wait_error() is None


def test_a_deadline_that_passes_before_its_turn_is_told(pipeline: SegmentationPipeline) -> None:
    slots = Slots(1)
    with running_engine(pipeline) as engine, slots.held(Caller()):
        late = tiled_of(engine, slots, Caller(time.monotonic() + 0.01))
        assert isinstance(late.wait_error(), DeadlineExceeded)


def test_a_caller_who_leaves_waits_for_no_turn(pipeline: SegmentationPipeline) -> None:
    slots, caller, is_coming = Slots(1), Caller(), threading.Event()
    with running_engine(pipeline) as engine, ThreadPoolExecutor(1) as pool, slots.held(Caller()):
        tiled = tiled_of(engine, slots, caller)

        def wait() -> BaseException | None:
            is_coming.set()
            return tiled.wait_error()

        waiting = pool.submit(wait)
        assert is_coming.wait(PATIENCE_S)
        caller.cancel()
        assert isinstance(waiting.result(PATIENCE_S), Cancelled)


def test_as_many_pictures_as_there_are_slots_are_looked_at_at_a_time(pipeline: SegmentationPipeline) -> None:
    slots = Slots(2)
    with running_engine(pipeline, workers=2) as engine, ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: tiled_of(engine, slots).wait(), range(6)))
    assert {len(things) for _, things in answers} == {COUNT}
    assert all(np.array_equal(codes, answers[0][0]) for codes, _ in answers)
