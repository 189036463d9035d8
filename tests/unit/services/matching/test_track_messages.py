"""The contract of `Track`, message by message."""

from typing import Any

import pytest

from retinue.common.v1 import geometry_pb2
from retinue.matching.v1 import matching_pb2 as pb
from retinue.runtime.errors import InvalidInput, LimitExceeded
from services.matching.track_messages import TrackStream, tracking_options_of
from services.matching.tracking_options import TrackingOptions


def stream(*, max_tracks: int = 10, max_boxes: int = 5) -> TrackStream:
    return TrackStream(max_tracks=max_tracks, max_boxes=max_boxes)


def frame(frame_index: int = 0, *lefts: float, **fields: Any) -> pb.TrackRequest:
    """A frame of squares of 20 pixels."""
    content = {
        "boxes_xyxy_px": [edge for left in lefts for edge in (left, 0.0, left + 20, 20.0)],
        "scores": [0.75] * len(lefts),
    }
    return pb.TrackRequest(frame=pb.TrackFrame(frame_index=frame_index, **(content | fields)))


def options(**fields: Any) -> pb.TrackRequest:
    return pb.TrackRequest(options=pb.TrackOptions(**fields))


def test_each_frame_has_its_answer() -> None:
    tracks = stream()
    assert tracks.answer(options()) is None
    assert tracks.answer(frame(7, 0.0, class_ids=[-4])) == pb.TrackResponse(
        frame_index=7,
        tracks=[
            pb.TrackedBox(
                track_id=1,
                detection_index=0,
                box=geometry_pb2.BoundingBox(x_min=0, y_min=0, x_max=20, y_max=20),
                class_id=-4,
                score=0.75,
                age_frames=1,
            )
        ],
    )
    assert tracks.answer(frame(8 + 31)) == pb.TrackResponse(frame_index=39, ended_track_ids=[1])


def test_without_options_all_are_default() -> None:
    tracks = stream()
    response = tracks.answer(frame(0, 0.0, scores=[0.69]))
    assert response == pb.TrackResponse(frame_index=0)
    response = tracks.answer(frame(1, 0.0, 100.0))
    assert response is not None
    assert [one.track_id for one in response.tracks] == [1, 2]


@pytest.mark.parametrize("before", [options(), frame()])
def test_options_can_only_come_first(before: pb.TrackRequest) -> None:
    tracks = stream()
    tracks.answer(before)
    with pytest.raises(InvalidInput, match="first message") as raised:
        tracks.answer(options())
    assert raised.value.field == "options"


def test_an_empty_message_is_no_frame() -> None:
    with pytest.raises(InvalidInput, match="neither"):
        stream().answer(pb.TrackRequest())


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (frame(-1), "frame.frame_index"),
        (frame(0, boxes_xyxy_px=[0, 0, 1]), "frame.boxes_xyxy_px"),
        (frame(0, boxes_xyxy_px=[0, 0, float("nan"), 1], scores=[1]), "frame.boxes_xyxy_px"),
        (frame(0, boxes_xyxy_px=[1, 0, 0, 1], scores=[1]), "frame.boxes_xyxy_px"),
        (frame(0, *range(6)), "frame.boxes_xyxy_px"),
        (frame(0, 0.0, scores=[]), "frame.scores"),
        (frame(0, scores=[0.5]), "frame.scores"),
        (frame(0, 0.0, scores=[1.5]), "frame.scores"),
        (frame(0, 0.0, scores=[float("nan")]), "frame.scores"),
        (frame(0, 0.0, class_ids=[1, 2]), "frame.class_ids"),
        (frame(0, class_ids=[1]), "frame.class_ids"),
    ],
)
def test_a_frame_that_cannot_be_used_is_refused_by_its_field(request_: pb.TrackRequest, field: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        stream().answer(request_)
    assert raised.value.field == field


def test_the_limit_on_boxes_is_told() -> None:
    with pytest.raises(InvalidInput, match="6 boxes; at most 5") as raised:
        stream().answer(frame(0, *range(6)))
    assert raised.value.metadata["limit"] == "5"
    assert stream().answer(frame(0, *range(5))) is not None


def test_frames_come_in_order() -> None:
    tracks = stream()
    tracks.answer(frame(3))
    with pytest.raises(InvalidInput, match="is 3; 4 or more"):
        tracks.answer(frame(3))


@pytest.mark.parametrize("first", [options(max_tracks=2), None])
def test_more_tracks_than_allowed_end_the_stream(first: pb.TrackRequest | None) -> None:
    tracks = stream(max_tracks=10 if first else 2)
    if first:
        tracks.answer(first)
    tracks.answer(frame(0, 0.0, 100.0))
    with pytest.raises(LimitExceeded, match="3 tracks; at most 2") as raised:
        tracks.answer(frame(1, 200.0))
    assert raised.value.metadata == {"field": "options.max_tracks", "limit": "2"}


def test_every_option_is_taken() -> None:
    given = pb.TrackOptions(
        high_score_threshold=0.5,
        low_score_threshold=0.0,
        new_track_score_threshold=0.5,
        high_iou_threshold=0.0,
        low_iou_threshold=1.0,
        max_lost_frames=0,
        min_seen_frames=3,
        max_tracks=4,
        is_class_aware=True,
    )
    assert len(given.ListFields()) == len(pb.TrackOptions.DESCRIPTOR.fields)
    assert tracking_options_of(given, 9) == TrackingOptions(0.5, 0.0, 0.5, 0.0, 1.0, 0, 3, 4, is_class_aware=True)


def test_what_is_left_out_is_the_contracts_default() -> None:
    assert tracking_options_of(pb.TrackOptions(), 77) == TrackingOptions(
        high_score_threshold=0.6,
        low_score_threshold=0.1,
        new_track_score_threshold=0.7,
        high_iou_threshold=0.2,
        low_iou_threshold=0.5,
        max_lost_frames=30,
        min_seen_frames=1,
        max_tracks=77,
        is_class_aware=False,
    )


def test_a_threshold_that_is_left_out_makes_room_for_one_that_is_given() -> None:
    assert tracking_options_of(pb.TrackOptions(high_score_threshold=0.9), 9).new_track_score_threshold == 0.9
    assert tracking_options_of(pb.TrackOptions(high_score_threshold=0.05), 9).low_score_threshold == 0.05


@pytest.mark.parametrize(
    "fields",
    [
        {"high_score_threshold": -0.1},
        {"high_score_threshold": float("nan")},
        {"low_score_threshold": 0.7},
        {"new_track_score_threshold": 0.5},
        {"high_iou_threshold": 1.5},
        {"low_iou_threshold": float("nan")},
        {"max_lost_frames": -1},
        {"min_seen_frames": 0},
        {"max_tracks": 0},
        {"max_tracks": 11},
    ],
)
def test_an_option_out_of_range_is_named(fields: dict[str, float]) -> None:
    (name,) = fields
    with pytest.raises(InvalidInput) as raised:
        stream().answer(options(**fields))
    assert raised.value.field == f"options.{name}"
