"""The client of detection for event loops; what all of them do is tested in `test_service_client_async`."""

import asyncio
from pathlib import Path
from typing import Any

from retinue.client.detection_answer import DetectionAnswer
from retinue.client.detection_async import AsyncDetectionClient
from retinue.client.errors import ItemError
from retinue.client.pictures import Picture
from tests.unit.client.scripted_detection import RunningDetection

JPEG = b"\xff\xd8 not looked at"


def test_an_answer_arrives_as_a_value(served_detection: RunningDetection) -> None:
    async def ask() -> DetectionAnswer:
        async with AsyncDetectionClient(served_detection.address) as client:
            return await client.detect(Picture(JPEG, "a.jpg"), class_names=["coin"], request_id="r-1")

    found = asyncio.run(ask())
    assert (found.image_id, found.label_ids.tolist()) == ("a.jpg", [0, 1])
    assert served_detection.service.metadata[0]["x-request-id"] == "r-1"
    assert served_detection.service.requests[0].options.class_names == ["coin"]


def test_a_bad_picture_leaves_its_neighbours_alone(served_detection: RunningDetection, tmp_path: Path) -> None:
    pictures: list[Any] = [JPEG, tmp_path / "missing.jpg", b"bad"]

    async def ask() -> tuple[list[DetectionAnswer | ItemError], list[DetectionAnswer | ItemError]]:
        async with AsyncDetectionClient(served_detection.address) as client:
            streamed = [result async for result in client.detect_stream(pictures, nms="none")]
            return await client.detect_batch(pictures, nms="none"), streamed

    for results in asyncio.run(ask()):
        assert [type(result) for result in results] == [DetectionAnswer, ItemError, ItemError]
