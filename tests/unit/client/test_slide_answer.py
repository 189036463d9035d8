import cv2
import numpy as np
import pytest

from retinue.client.slide_answer import (
    ClassSummary,
    SegmentedTile,
    SlideInstances,
    SlideSummary,
    read_slide_event,
)
from retinue.segmentation.v1 import segmentation_pb2 as pb
from tests.unit.client.scripted_segmentation import CLASS_OF, regions, slide_answers, slide_instance, things


def test_a_finished_tile_has_its_class_map() -> None:
    classes = np.array(CLASS_OF)[things()][10:20, 5:25]
    tile = pb.SegmentedTile(x=5, y=10, width=20, height=10, classes=regions(classes))
    event = read_slide_event(pb.SegmentStreamResponse(tile=tile))
    assert isinstance(event, SegmentedTile)
    assert (event.x, event.y, event.width, event.height) == (5, 10, 20, 10)
    np.testing.assert_array_equal(event.class_map, classes)
    assert event.class_map is event.class_map, "it is decoded once"


def test_a_class_map_may_come_as_png_or_not_at_all() -> None:
    classes = np.array(CLASS_OF, np.uint8)[things()]
    tile = pb.SegmentedTile(width=40, height=30, class_map_png=cv2.imencode(".png", classes)[1].tobytes())
    event = read_slide_event(pb.SegmentStreamResponse(tile=tile))
    assert isinstance(event, SegmentedTile)
    np.testing.assert_array_equal(event.class_map, classes)
    bare = read_slide_event(pb.SegmentStreamResponse(tile=pb.SegmentedTile(width=40, height=30)))
    assert isinstance(bare, SegmentedTile)
    with pytest.raises(ValueError, match="no class map"):
        _ = bare.class_map


def test_instances_have_masks_in_their_boxes() -> None:
    message = pb.SlideInstances(instances=[slide_instance(3, things() == 3)])
    event = read_slide_event(pb.SegmentStreamResponse(instances=message))
    assert isinstance(event, SlideInstances)
    (one,) = event.instances
    assert (one.number, one.box, one.area_px, one.label, one.score) == (3, (22, 15, 40, 30), 250, "coin", 0.625)
    np.testing.assert_array_equal(one.box_mask(), (things() == 3)[15:30, 22:40])
    message.instances[0].ClearField("box_mask")
    bare = read_slide_event(pb.SegmentStreamResponse(instances=message))
    assert isinstance(bare, SlideInstances)
    with pytest.raises(ValueError, match="instance_masks="):
        bare.instances[0].box_mask()


def test_a_mask_of_another_size_than_the_box_is_refused() -> None:
    message = slide_instance(3, things() == 3)
    message.box.x_max -= 1
    event = read_slide_event(pb.SegmentStreamResponse(instances=pb.SlideInstances(instances=[message])))
    assert isinstance(event, SlideInstances)
    with pytest.raises(ValueError, match="18x15 pixels, its frame 17x15"):
        event.instances[0].box_mask()


def test_the_summary_tells_all_classes() -> None:
    *_, last = slide_answers(pb.SlideStart(image_id="s"), iter(()), things())
    summary = read_slide_event(last)
    assert isinstance(summary, SlideSummary)
    assert summary.classes == (
        ClassSummary(0, "background", 830, 0, 0),
        ClassSummary(1, "coin", 330, 2, 330),
        ClassSummary(2, "token", 40, 1, 40),
    )
    assert (summary.image_id, summary.instance_count, summary.model_name, summary.model_version) == (
        "s",
        3,
        "rounds",
        "2",
    )
    assert summary.timings.infer_s == 2.0
    assert not summary.is_semantic_only


def test_a_kind_of_message_that_is_not_known_is_passed_over() -> None:
    assert read_slide_event(pb.SegmentStreamResponse()) is None
