"""The client of segmentation for event loops; what all of them do is tested in `test_service_client_async`."""

import asyncio
from pathlib import Path
from typing import Any

from retinue.client.errors import ItemError
from retinue.client.pictures import Picture
from retinue.client.segmentation_answer import SegmentationAnswer
from retinue.client.segmentation_async import AsyncSegmentationClient
from tests.unit.client.scripted_segmentation import RunningSegmentation

JPEG = b"\xff\xd8 not looked at"


def test_an_answer_arrives_as_a_value(served_segmentation: RunningSegmentation) -> None:
    async def ask() -> SegmentationAnswer:
        async with AsyncSegmentationClient(served_segmentation.address) as client:
            return await client.segment(Picture(JPEG, "a.jpg"), min_area_px=3, request_id="r-1")

    found = asyncio.run(ask())
    assert (found.image_id, found.label_ids.tolist()) == ("a.jpg", [1, 2, 1])
    assert served_segmentation.service.metadata[0]["x-request-id"] == "r-1"
    assert served_segmentation.service.requests[0].options.min_area_px == 3


def test_a_bad_picture_leaves_its_neighbours_alone(served_segmentation: RunningSegmentation, tmp_path: Path) -> None:
    pictures: list[Any] = [JPEG, tmp_path / "missing.jpg", b"bad"]

    async def ask() -> list[SegmentationAnswer | ItemError]:
        async with AsyncSegmentationClient(served_segmentation.address) as client:
            return await client.segment_batch(pictures)

    assert [type(result) for result in asyncio.run(ask())] == [SegmentationAnswer, ItemError, ItemError]
