import math
from typing import Any

import pytest

from services.matching.tracking_options import TrackingOptions


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("high_score_threshold", -0.1),
        ("high_score_threshold", 1.1),
        ("high_score_threshold", math.nan),
        ("low_score_threshold", -0.1),
        ("low_score_threshold", 0.61),
        ("low_score_threshold", math.nan),
        ("new_track_score_threshold", 0.59),
        ("new_track_score_threshold", 1.1),
        ("high_iou_threshold", -0.1),
        ("high_iou_threshold", 1.1),
        ("low_iou_threshold", math.inf),
        ("max_lost_frames", -1),
        ("min_seen_frames", 0),
        ("max_tracks", 0),
    ],
)
def test_an_option_out_of_range_is_named(name: str, value: float) -> None:
    options: Any = {name: value}
    with pytest.raises(ValueError, match=f"^{name}: is "):
        TrackingOptions(**options)


def test_all_thresholds_may_be_equal() -> None:
    for value in (0.0, 0.5, 1.0):
        TrackingOptions(high_score_threshold=value, low_score_threshold=value, new_track_score_threshold=value)
