"""An engine of pictures as a tensor model: what every image service shares behind the Open Inference Protocol."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

from numpy.typing import NDArray

from retinue.runtime.caller import Caller
from retinue.runtime.engine import Engine
from retinue.runtime.models import Models, ModelState, ModelStatus
from retinue.runtime.picture import Picture, PictureLimits
from retinue.runtime.statistics import Snapshot
from retinue.runtime.ticket import Ticket
from retinue.serving.image_tensor import IMAGE, pictures_of
from retinue.serving.settings import ServiceSettings
from retinue.serving.tensor_model import ComputeTime, CountedTime, ModelIndexEntry, ModelStatistics, TensorSpec

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Item_co = TypeVar("Item_co", covariant=True)
Answer_contra = TypeVar("Answer_contra", contravariant=True)


class TensorFace(Protocol[Item_co, Answer_contra]):
    """What a service says of one engine: the item of a picture, and the tensors of answers."""

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What it gives, batch first."""
        ...

    def labels(self, output: str) -> tuple[str, ...] | None:
        """Return the names of an output's classes by index; None if it has none."""
        ...

    def item(self, picture: Picture) -> Item_co:
        """Return what is submitted for one picture."""
        ...

    def tensors(self, answers: Sequence[Answer_contra], outputs: Collection[str]) -> Mapping[str, NDArray[Any]]:
        """Return the outputs asked for, one row per answer."""
        ...


class ImageModel(Generic[Item, Answer]):
    """One engine as a `TensorModel`."""

    platform = "onnxruntime_onnx"
    inputs = (IMAGE,)

    def __init__(
        self, engine: Engine[Item, Answer], face: TensorFace[Item, Answer], limits: PictureLimits, max_batch_count: int
    ) -> None:
        self._engine = engine
        self._face = face
        self._limits = limits
        self.name = engine.manifest.name
        self.version = engine.manifest.version
        self.max_batch_size = max_batch_count
        self.outputs = face.outputs

    def labels(self, output: str) -> tuple[str, ...] | None:
        """Return the names of an output's classes by index; None if it has none."""
        return self._face.labels(output)

    def infer(
        self, inputs: Mapping[str, NDArray[Any]], outputs: Collection[str], caller: Caller
    ) -> Mapping[str, NDArray[Any]]:
        """Return the outputs asked for; one bad picture fails the request, since a tensor has no place for an error."""
        pictures = pictures_of(inputs[IMAGE.name], self._limits, max_items=self.max_batch_size)
        engine, face = self._engine, self._face
        tickets: list[Ticket[Item, Answer]] = []
        try:
            for picture in pictures:
                ticket = engine.submit(face.item(picture), caller, byte_count=picture.byte_count)
                tickets.append(ticket)
            return face.tensors([ticket.wait() for ticket in tickets], outputs)
        finally:
            for ticket in tickets:  # nobody waits for the rest of a request that failed
                ticket.cancel()

    def statistics(self) -> ModelStatistics:
        """Return the totals of this instant."""
        return _statistics_of(self._engine.statistics.snapshot())


class ImageModels(Generic[Item, Answer]):
    """The models of an image service as `TensorModels`.

    Args:
        models: the engines.
        settings: limits on pictures and batches.
        face: makes the face of an engine.
    """

    def __init__(
        self,
        models: Models[Item, Answer],
        settings: ServiceSettings,
        face: Callable[[Engine[Item, Answer]], TensorFace[Item, Answer]],
    ) -> None:
        self._models = models
        self._limits = settings.images.limits
        self._max_batch_count = settings.images.max_batch_count
        self._face = face
        # Weak, so that an engine that was replaced is not kept; a face does not know its engine.
        self._faces: WeakKeyDictionary[Engine[Item, Answer], TensorFace[Item, Answer]] = WeakKeyDictionary()

    @property
    def is_ready(self) -> bool:
        """Whether loading has ended and at least one model can answer."""
        return self._models.is_ready

    def get(self, name: str, version: str) -> ImageModel[Item, Answer]:
        """Return a model; its latest version where ``version`` is empty.

        Raises:
            ModelNotFound: no such model or version.
            ModelNotReady: it is known but cannot answer.
        """
        engine = self._models.get(name, version)
        face = self._faces.get(engine)
        if face is None:
            face = self._faces[engine] = self._face(engine)
        return ImageModel(engine, face, self._limits, self._max_batch_count)

    def index(self) -> Sequence[ModelIndexEntry]:
        """Return every known version of every model."""
        return [_entry_of(status) for status in self._models.statuses()]


def _entry_of(status: ModelStatus) -> ModelIndexEntry:
    is_ready = status.state is ModelState.READY
    reason = status.reason if is_ready else status.reason or status.state
    return ModelIndexEntry(status.name, status.version, is_ready, reason)


def _statistics_of(totals: Snapshot) -> ModelStatistics:
    return ModelStatistics(
        success=CountedTime(totals.success.count, _ns(totals.success.seconds)),
        fail=CountedTime(totals.failure.count, _ns(totals.failure.seconds)),
        queue=CountedTime(totals.queue.count, _ns(totals.queue.seconds)),
        compute=ComputeTime(
            totals.success.count, _ns(totals.input.seconds), _ns(totals.infer.seconds), _ns(totals.output.seconds)
        ),
        inference_count=totals.inference_count,
        execution_count=totals.execution_count,
        last_inference_ms=round(totals.last_inference_s * 1e3),
        batches={size: ComputeTime(count=run.count, infer_ns=_ns(run.seconds)) for size, run in totals.batches.items()},
    )


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
