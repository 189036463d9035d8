"""The edge: requests checked and turned into items, answers into messages; the only file here that knows the wire."""

from collections.abc import Iterator, Mapping
from typing import Final

import grpc

from retinue.classification.v1 import classification_pb2 as pb
from retinue.classification.v1 import classification_pb2_grpc
from retinue.common.v1 import image_pb2, model_pb2
from retinue.runtime.classification_manifest import ClassificationManifest
from retinue.runtime.engine import Engine
from retinue.runtime.errors import InvalidInput, NotSupported
from retinue.runtime.manifest import Manifest
from retinue.runtime.models import Models
from retinue.runtime.ticket import Ticket
from retinue.serving.call import Call, current_call
from retinue.serving.image_edge import ImageEdge
from retinue.serving.item import Begun
from retinue.serving.metrics import Metrics
from retinue.serving.settings import ServiceSettings
from retinue.serving.stream import OrderedStream
from retinue.serving.wire import check_share, image_info_of, model_ref_of, timings_of
from services.classification.pipeline import Activation, Classification, ClassificationItem, ClassificationOptions

ClassificationEngine = Engine[ClassificationItem, Classification]
ClassificationTicket = Ticket[ClassificationItem, Classification]

_ACTIVATIONS: Final[Mapping[int, Activation | None]] = {
    pb.ACTIVATION_UNSPECIFIED: None,
    pb.ACTIVATION_SOFTMAX: "softmax",
    pb.ACTIVATION_SIGMOID: "sigmoid",
}
_DEFAULTS: Final = ClassificationOptions()


class ClassificationServicer(classification_pb2_grpc.ClassificationServiceServicer):
    """Answers the RPCs of `retinue.classification.v1.ClassificationService`.

    Args:
        models: the engines.
        metrics: where pictures are counted.
        settings: limits on pictures and batches.
    """

    def __init__(
        self, models: Models[ClassificationItem, Classification], metrics: Metrics, settings: ServiceSettings
    ) -> None:
        self._edge = ImageEdge(models, metrics, settings)

    def Classify(
        self,
        request: pb.ClassifyRequest,
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature
    ) -> pb.ClassifyResponse:
        """Classify one picture."""
        call = current_call()
        ticket = self._submit(request, call)
        ticket.wait()
        call.facts.update(queue_s=round(ticket.timings.queue_s, 6), batch_size=ticket.timings.batch_size)
        return _response_of(request.image.id, ticket)

    def BatchClassify(
        self,
        request: pb.BatchClassifyRequest,
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature
    ) -> pb.BatchClassifyResponse:
        """Classify several pictures, each answered or failed on its own."""
        call = current_call()
        engine = self._edge.engine(request.model, call)
        options = _options_of(request.options, engine.manifest)

        def start(image: image_pb2.Image, field: str) -> ClassificationTicket:
            return self._put(engine, image, field, options, call)

        begun = self._edge.begin_batch(request.images, start, call)
        return pb.BatchClassifyResponse(results=[self._result_of(item, call) for item in begun])

    def ClassifyStream(
        self,
        request_iterator: Iterator[pb.ClassifyStreamRequest],
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature
    ) -> Iterator[pb.ClassifyStreamResponse]:
        """Classify pictures as they come, answers in the order of the requests."""
        call = current_call()

        def begin(message: pb.ClassifyStreamRequest) -> Begun[ClassificationTicket]:
            return Begun.of(message.request.image.id, lambda: self._submit(message.request, call))

        for begun in OrderedStream(request_iterator, begin, call.caller):
            call.facts["item_count"] = call.facts.get("item_count", 0) + 1
            yield pb.ClassifyStreamResponse(result=self._result_of(begun, call))

    def _submit(self, request: pb.ClassifyRequest, call: Call) -> ClassificationTicket:
        engine = self._edge.engine(request.model, call)
        return self._put(engine, request.image, "image", _options_of(request.options, engine.manifest), call)

    def _put(
        self,
        engine: ClassificationEngine,
        image: image_pb2.Image,
        field: str,
        options: ClassificationOptions,
        call: Call,
    ) -> ClassificationTicket:
        picture = self._edge.picture(image, field)
        item = ClassificationItem(picture, options)
        return engine.submit(item, call.caller, byte_count=picture.byte_count)

    def _result_of(self, begun: Begun[ClassificationTicket], call: Call) -> pb.ClassifyResult:
        failure = self._edge.failure(begun, call)
        if failure is not None or begun.ticket is None:
            return pb.ClassifyResult(image_id=begun.image_id, error=failure)
        return pb.ClassifyResult(image_id=begun.image_id, response=_response_of(begun.image_id, begun.ticket))


def _options_of(options: pb.ClassificationOptions, manifest: Manifest) -> ClassificationOptions:
    """Return a caller's options, checked.

    Raises:
        InvalidInput: one is out of range.
        NotSupported: features are wanted and the model has none.
    """
    top_k = options.top_k if options.HasField("top_k") else _DEFAULTS.top_k
    if top_k < 1:
        raise InvalidInput("options.top_k", f"is {top_k}; at least 1 is allowed")
    check_share(options.score_threshold, "options.score_threshold")
    if options.activation not in _ACTIVATIONS:
        raise InvalidInput("options.activation", f"{options.activation} is no Activation of this version")
    if options.return_embedding and ClassificationManifest.of(manifest).output.embedding is None:
        raise NotSupported(f"model {manifest.name} has no embedding to return", model=manifest.name)
    return ClassificationOptions(
        top_k=top_k,
        score_threshold=options.score_threshold,
        activation=_ACTIVATIONS[options.activation],
        is_logits_wanted=options.return_logits,
        is_embedding_wanted=options.return_embedding,
    )


def _response_of(image_id: str, ticket: ClassificationTicket) -> pb.ClassifyResponse:
    answer = ticket.wait()
    names = answer.manifest.labels
    return pb.ClassifyResponse(
        image_id=image_id,
        labels=[
            pb.ScoredLabel(label=model_pb2.Label(id=label_id, name=names[label_id]), score=score)
            for label_id, score in zip(answer.label_ids.tolist(), answer.scores.tolist(), strict=True)
        ],
        unknown_score=answer.unknown_score,
        is_unknown=answer.is_unknown,
        logits=None if answer.logits is None else answer.logits.tolist(),
        embedding=None if answer.embedding is None else answer.embedding.tolist(),
        image_info=image_info_of(ticket.item.picture.info),
        model=model_ref_of(answer.manifest),
        timings=timings_of(ticket.timings),
    )
