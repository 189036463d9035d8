import numpy as np
import pytest

from retinue.client.segmentation_answer import read_box, read_segmentation_answer
from retinue.common.v1 import geometry_pb2
from retinue.segmentation.v1 import segmentation_pb2 as pb
from tests.unit.client.scripted_segmentation import CLASS_OF, answer, things


def test_instances_are_told_with_their_places_and_masks() -> None:
    found = read_segmentation_answer(answer("a"))
    first, _, third = found.instances
    assert (first.box, first.centroid, first.area_px) == ((5, 4, 15, 12), (10.0, 8.0), 80)
    assert (first.label_id, first.label, first.score) == (1, "coin", 0.875)
    np.testing.assert_array_equal(third.mask(), things() == 3)
    np.testing.assert_array_equal(third.box_mask(), (things() == 3)[15:30, 22:40])
    assert first.box_mask().all()


def test_arrays_are_the_same_row_by_row() -> None:
    found = read_segmentation_answer(answer())
    assert found.boxes.tolist() == [list(one.box) for one in found.instances]
    assert [array.dtype.str for array in (found.boxes, found.scores, found.label_ids)] == ["<i8", "<f4", "<i8"]
    assert found.scores.tolist() == [0.875, 0.75, 0.625]
    assert found.label_ids.tolist() == [1, 2, 1]
    empty = read_segmentation_answer(pb.SegmentResponse())
    assert (empty.boxes.shape, empty.scores.shape, empty.instances) == ((0, 4), (0,), ())


def test_maps_are_as_they_were() -> None:
    found = read_segmentation_answer(answer())
    np.testing.assert_array_equal(found.instance_map(), things())
    np.testing.assert_array_equal(found.class_map, np.array(CLASS_OF)[things()])
    assert found.class_map is found.class_map, "it is decoded once"
    assert found.has_class_map


def test_of_overlapping_instances_the_better_one_has_the_pixel() -> None:
    response = answer()
    response.instances[1].CopyFrom(response.instances[0])
    assert set(np.unique(read_segmentation_answer(response).instance_map())) == {0, 1, 3}


def test_what_was_not_asked_for_is_said() -> None:
    response = answer()
    for region in response.classes:
        region.ClearField("mask")
    for one in response.instances:
        one.ClearField("mask")
    found = read_segmentation_answer(response)
    assert not found.has_class_map
    with pytest.raises(ValueError, match="class_map="):
        _ = found.class_map
    for ask in (found.instances[0].mask, found.instances[0].box_mask, found.instance_map):
        with pytest.raises(ValueError, match="instance_masks="):
            ask()


def test_answers_are_equal_where_what_was_sent_is() -> None:
    assert read_segmentation_answer(answer("a")) == read_segmentation_answer(answer("a"))
    assert read_segmentation_answer(answer("a")) != read_segmentation_answer(answer("b"))


def test_edges_that_are_no_numbers_are_no_failure() -> None:
    box = geometry_pb2.BoundingBox(x_min=float("nan"), y_min=float("-inf"), x_max=float("inf"), y_max=7)
    assert read_box(box) == (0, 0, 0, 7)
