"""The client of classification for event loops against a real server."""

import asyncio

from retinue.client.classification_answer import Classification
from retinue.client.classification_async import AsyncClassificationClient
from retinue.client.pictures import Picture
from tests.unit.client.scripted_service import Running

JPEG = b"\xff\xd8 not looked at"


def test_an_answer_arrives_as_a_value(served: Running) -> None:
    async def ask() -> Classification:
        async with AsyncClassificationClient(served.address) as client:
            return await client.classify(Picture(JPEG, "a.jpg"), model="pets", request_id="r-1")

    found = asyncio.run(ask())
    assert (found.image_id, found.model_name) == ("a.jpg", "pets")
    assert served.service.metadata[0]["x-request-id"] == "r-1"
    assert served.service.times_remaining_s[0] is not None
