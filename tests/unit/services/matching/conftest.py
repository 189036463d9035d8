"""A whole matching service in this process, with limits that a test can reach."""

from collections.abc import Iterator
from typing import Any

import pytest

from retinue.matching.v1 import matching_pb2_grpc
from retinue.serving.settings import GrpcSettings, HttpSettings
from services.matching.__main__ import SERVICE
from services.matching.settings import LimitSettings, MatchingSettings, SolvingSettings
from tests.unit.serving.hosted import Run, run_host
from tests.unit.serving.in_process import PATIENCE_S

LIMITS = LimitSettings(
    max_problem_count=4,
    max_point_count=50,
    max_box_count=40,
    max_cell_count=900,
    max_mask_pixels=1000,
    max_mask_steps=600,
    max_image_count=5,
    max_evaluation_box_count=90,
    max_class_count=6,
    max_iou_threshold_count=3,
)


def settings_of(**groups: Any) -> MatchingSettings:
    """Return settings for free ports, small limits, and problems of more than 100 cells in the pool."""
    return MatchingSettings(
        **{
            "grpc": GrpcSettings(address="127.0.0.1:0", drain_delay_s=0, grace_s=PATIENCE_S),
            "http": HttpSettings(address="127.0.0.1:0"),
            "limits": LIMITS,
            "solving": SolvingSettings(workers=1, max_inline_cells=100),
        }
        | groups
    )


@pytest.fixture(scope="module")
def served() -> Iterator[Run]:
    with run_host(SERVICE, settings_of()) as one:
        one.wait_ready()
        yield one


@pytest.fixture(scope="module")
def stub(served: Run) -> matching_pb2_grpc.MatchingServiceStub:
    return matching_pb2_grpc.MatchingServiceStub(served.channel)
