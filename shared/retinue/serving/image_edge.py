"""What the edges of all image services do alike: find the engine, open pictures, tell the failures of a batch apart."""

from collections.abc import Callable, Sequence
from typing import Generic

from google.rpc.status_pb2 import Status

from retinue.common.v1 import image_pb2, model_pb2
from retinue.runtime.engine import Engine
from retinue.runtime.errors import InvalidInput
from retinue.runtime.models import Models
from retinue.runtime.picture import Picture
from retinue.runtime.ticket import Answer, Item
from retinue.serving.call import Call
from retinue.serving.item import Begun, Pending
from retinue.serving.metrics import Metrics
from retinue.serving.settings import ServiceSettings
from retinue.serving.wire import picture_of


class ImageEdge(Generic[Item, Answer]):
    """Stands between a servicer and its models.

    Args:
        models: the engines.
        metrics: where pictures are counted.
        settings: limits on pictures and batches.
    """

    def __init__(self, models: Models[Item, Answer], metrics: Metrics, settings: ServiceSettings) -> None:
        self._models = models
        self._metrics = metrics
        self._limits = settings.images.limits
        self._max_batch_count = settings.images.max_batch_count

    def engine(self, model: model_pb2.ModelRef, call: Call) -> Engine[Item, Answer]:
        """Return the engine that a request names.

        Raises:
            ModelNotFound: there is none of that name or version.
            ModelNotReady: it cannot answer.
        """
        engine = self._models.get(model.name, model.version)
        call.facts["model"] = f"{engine.manifest.name}@{engine.manifest.version}"
        return engine

    def picture(self, image: image_pb2.Image, field: str) -> Picture:
        """Return the picture of a request, not decoded yet.

        Raises:
            InvalidInput: it cannot be one, or is too large; the message names the field.
        """
        picture = picture_of(image, self._limits, field)
        self._metrics.image_bytes.observe(picture.byte_count)
        return picture

    def begin_batch(
        self, images: Sequence[image_pb2.Image], start: Callable[[image_pb2.Image, str], Pending], call: Call
    ) -> list[Begun[Pending]]:
        """Return the pictures of a batch under way, each begun or refused on its own.

        Args:
            images: of the request.
            start: puts an image on its way, given the field it stands in.
            call: the RPC.

        Raises:
            InvalidInput: there are none or too many.
        """
        if not 1 <= len(images) <= self._max_batch_count:
            limit = self._max_batch_count
            raise InvalidInput("images", f"has {len(images)} pictures; 1 to {limit} are allowed", limit=str(limit))
        call.facts["item_count"] = len(images)
        return [self._begin(image, f"images[{index}]", start) for index, image in enumerate(images)]

    @staticmethod
    def failure(begun: Begun[Pending], call: Call) -> Status | None:
        """Return, as soon as it is settled, why an item has no answer; None where it has one."""
        return begun.wait_failure(call)

    @staticmethod
    def _begin(image: image_pb2.Image, field: str, start: Callable[[image_pb2.Image, str], Pending]) -> Begun[Pending]:
        return Begun.of(image.id, lambda: start(image, field))
