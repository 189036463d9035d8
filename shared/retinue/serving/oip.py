"""The Open Inference Protocol face of a service: what stock clients, load generators and control planes speak.

It serves whatever implements `TensorModels`; docs/open-inference-protocol.md says what works with it, and how.
"""

from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import grpc
import structlog

from retinue.oip import open_inference_pb2 as oip
from retinue.oip.open_inference_pb2_grpc import GRPCInferenceServiceServicer
from retinue.runtime.errors import Cancelled, InvalidInput, ModelNotFound, ModelNotReady, NotSupported, RetinueError
from retinue.serving.call import caller_of, current_call
from retinue.serving.model_infer import infer
from retinue.serving.model_keeper import ModelKeeper
from retinue.serving.status import failure_of
from retinue.serving.tensor_model import (
    ComputeTime,
    CountedTime,
    ModelStatistics,
    TensorModel,
    TensorModels,
    TensorSpec,
)

SERVER_NAME: Final = "retinue"
# What works beyond the six calls of the protocol; clients read it and use what it lists.
EXTENSIONS: Final = ("classification", "model_configuration", "statistics")
CONTROL_EXTENSION: Final = "model_repository"
AUTHORIZATION_KEY: Final = "authorization"
STRICT_STREAM_KEY: Final = "triton_grpc_error"

_log = structlog.get_logger(__name__)


class OpenInferenceServicer(GRPCInferenceServiceServicer):
    """Answers the calls of `inference.GRPCInferenceService`; conditions are raised for the interceptor to tell.

    Args:
        models: what is served.
        keeper: loads and unloads models; None where there are none to load.
    """

    def __init__(self, models: TensorModels, keeper: ModelKeeper | None = None) -> None:
        self._models = models
        self._keeper = keeper
        self._version = _installed_version()

    def ServerLive(self, request: oip.ServerLiveRequest, context: grpc.ServicerContext) -> oip.ServerLiveResponse:  # noqa: ARG002
        """Return that the server lives: it has answered."""
        return oip.ServerLiveResponse(live=True)

    def ServerReady(self, request: oip.ServerReadyRequest, context: grpc.ServicerContext) -> oip.ServerReadyResponse:  # noqa: ARG002
        """Return whether all models can answer."""
        return oip.ServerReadyResponse(ready=self._models.is_ready)

    def ModelReady(self, request: oip.ModelReadyRequest, context: grpc.ServicerContext) -> oip.ModelReadyResponse:  # noqa: ARG002
        """Return whether a model can answer; an unknown one is a ModelNotFound."""
        try:
            self._models.get(request.name, request.version)
        except ModelNotReady:
            return oip.ModelReadyResponse(ready=False)
        return oip.ModelReadyResponse(ready=True)

    def ServerMetadata(
        self,
        request: oip.ServerMetadataRequest,  # noqa: ARG002
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> oip.ServerMetadataResponse:
        """Return who the server is and which extensions work."""
        is_open = self._keeper is not None and self._keeper.is_open
        extensions = (*EXTENSIONS, CONTROL_EXTENSION) if is_open else EXTENSIONS
        return oip.ServerMetadataResponse(name=SERVER_NAME, version=self._version, extensions=extensions)

    def ModelMetadata(
        self,
        request: oip.ModelMetadataRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> oip.ModelMetadataResponse:
        """Return the tensors of a model."""
        model = self._models.get(request.name, request.version)
        return oip.ModelMetadataResponse(
            name=model.name,
            versions=[entry.version for entry in self._models.index() if entry.name == model.name and entry.is_ready],
            platform=model.platform,
            inputs=map(_metadata_of, model.inputs),
            outputs=map(_metadata_of, model.outputs),
        )

    def ModelConfig(self, request: oip.ModelConfigRequest, context: grpc.ServicerContext) -> oip.ModelConfigResponse:  # noqa: ARG002
        """Return what clients read of a model's configuration."""
        return oip.ModelConfigResponse(config=_config_of(self._models.get(request.name, request.version)))

    def ModelStatistics(
        self,
        request: oip.ModelStatisticsRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> oip.ModelStatisticsResponse:
        """Return the totals of one model, or of all that are ready."""
        if request.name:
            models = [self._models.get(request.name, request.version)]
        else:
            models = []
            for entry in self._models.index():
                with suppress(ModelNotFound, ModelNotReady):  # or unloaded since
                    models.append(self._models.get(entry.name, entry.version))
        return oip.ModelStatisticsResponse(model_stats=map(_statistics_of, models))

    def RepositoryIndex(
        self,
        request: oip.RepositoryIndexRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> oip.RepositoryIndexResponse:
        """Return every version of every model."""
        return oip.RepositoryIndexResponse(
            models=[
                oip.RepositoryIndexResponse.ModelIndex(
                    name=entry.name,
                    version=entry.version,
                    state="READY" if entry.is_ready else "UNAVAILABLE",
                    reason=entry.reason,
                )
                for entry in self._models.index()
                if entry.is_ready or not request.ready
            ]
        )

    def RepositoryModelLoad(
        self, request: oip.RepositoryModelLoadRequest, context: grpc.ServicerContext
    ) -> oip.RepositoryModelLoadResponse:
        """Load a model as it lies in the repositories now, and return when it answers."""
        keeper = self._asked_keeper()
        if request.parameters:  # a configuration or files of the caller's own: never run
            names = ", ".join(sorted(request.parameters))
            raise InvalidInput("parameters", f"{names}: none is taken; a model is loaded as it lies in the repository")
        keeper.load(request.model_name, _authorization_of(context))
        current_call().facts["model"] = request.model_name
        return oip.RepositoryModelLoadResponse()

    def RepositoryModelUnload(
        self, request: oip.RepositoryModelUnloadRequest, context: grpc.ServicerContext
    ) -> oip.RepositoryModelUnloadResponse:
        """Unload a model: no call that comes now finds it, those that have begun are answered."""
        self._asked_keeper().unload(request.model_name, _authorization_of(context))
        current_call().facts["model"] = request.model_name
        return oip.RepositoryModelUnloadResponse()

    def _asked_keeper(self) -> ModelKeeper:
        if self._keeper is None:
            raise NotSupported("this service has no models to load or unload")
        return self._keeper

    def ModelInfer(self, request: oip.ModelInferRequest, context: grpc.ServicerContext) -> oip.ModelInferResponse:
        """Return a model's answer."""
        model = self._models.get(request.model_name, request.model_version)
        current_call().facts["model"] = f"{model.name}@{model.version}"
        return infer(model, request, caller_of(context))

    def ModelStreamInfer(
        self, request_iterator: Iterator[oip.ModelInferRequest], context: grpc.ServicerContext
    ) -> Iterator[oip.ModelStreamInferResponse]:
        """Yield one answer per request, in order; a condition is an answer too, unless the metadata want a status."""
        is_strict = any(key == STRICT_STREAM_KEY and value == "true" for key, value in context.invocation_metadata())
        caller = caller_of(context)
        item_caller = caller.part(caller.deadline_s)

        def leave() -> None:
            item_caller.cancel()  # whichever is under way

        # One canceller for the whole stream: one for each request would keep every request while the stream lives.
        caller.on_cancel(leave)
        for request in request_iterator:
            item_caller = caller.part(caller.deadline_s)
            if caller.is_cancelled:
                raise Cancelled("the caller went away")
            try:
                # No name for the model: a stream that is silent must not hold an engine that was replaced.
                response = infer(self._models.get(request.model_name, request.model_version), request, item_caller)
            except Cancelled:
                raise
            except RetinueError as error:
                if is_strict:
                    raise
                answer = _failed(request, error)
            else:
                response.parameters["triton_final_response"].bool_param = True
                answer = oip.ModelStreamInferResponse(infer_response=response)
            yield answer  # not in the handler, where the error would hold the frames that it came through


def _authorization_of(context: grpc.ServicerContext) -> str:
    return next((str(value) for key, value in context.invocation_metadata() if key == AUTHORIZATION_KEY), "")


def _failed(request: oip.ModelInferRequest, error: RetinueError) -> oip.ModelStreamInferResponse:
    """Return what a stream says of a request that failed; a fault of ours is logged, and told without its text."""
    call = current_call()
    failure = failure_of(error, call.request_id)
    if failure.is_ours:
        _log.error("stream_item_failed", method=call.method, request_id=call.request_id, exc_info=error)
    return oip.ModelStreamInferResponse(
        error_message=failure.status.message, infer_response=oip.ModelInferResponse(id=request.id)
    )


def _metadata_of(spec: TensorSpec) -> oip.ModelMetadataResponse.TensorMetadata:
    return oip.ModelMetadataResponse.TensorMetadata(name=spec.name, datatype=spec.datatype, shape=spec.shape)


def _config_of(model: TensorModel) -> oip.ModelConfig:
    # Triton's configuration counts no batch dimension, while its metadata do.
    start = 1 if model.max_batch_size else 0
    config = oip.ModelConfig(
        name=model.name,
        platform=model.platform,
        max_batch_size=model.max_batch_size,
        input=[
            oip.ModelInput(name=spec.name, data_type=_data_type(spec), dims=spec.shape[start:]) for spec in model.inputs
        ],
        output=[
            oip.ModelOutput(name=spec.name, data_type=_data_type(spec), dims=spec.shape[start:])
            for spec in model.outputs
        ],
        model_transaction_policy=oip.ModelTransactionPolicy(decoupled=False),
        response_cache=oip.ModelResponseCache(enable=False),
    )
    if model.max_batch_size > 1:
        config.dynamic_batching.SetInParent()
    return config


def _data_type(spec: TensorSpec) -> oip.DataType.ValueType:
    return oip.DataType.Value("TYPE_STRING" if spec.datatype == "BYTES" else f"TYPE_{spec.datatype}")


def _statistics_of(model: TensorModel) -> oip.ModelStatistics:
    statistics: ModelStatistics = model.statistics()
    return oip.ModelStatistics(
        name=model.name,
        version=model.version,
        last_inference=statistics.last_inference_ms,
        inference_count=statistics.inference_count,
        execution_count=statistics.execution_count,
        inference_stats=oip.InferStatistics(
            success=_duration_of(statistics.success),
            fail=_duration_of(statistics.fail),
            queue=_duration_of(statistics.queue),
            **_compute_of(statistics.compute),
        ),
        batch_stats=[
            oip.InferBatchStatistics(batch_size=batch_size, **_compute_of(compute))
            for batch_size, compute in sorted(statistics.batches.items())
        ],
    )


def _compute_of(compute: ComputeTime) -> dict[str, oip.StatisticDuration]:
    return {
        "compute_input": oip.StatisticDuration(count=compute.count, ns=compute.input_ns),
        "compute_infer": oip.StatisticDuration(count=compute.count, ns=compute.infer_ns),
        "compute_output": oip.StatisticDuration(count=compute.count, ns=compute.output_ns),
    }


def _duration_of(time: CountedTime) -> oip.StatisticDuration:
    return oip.StatisticDuration(count=time.count, ns=time.ns)


def _installed_version() -> str:
    """Return the version of the installed package; a source tree that is not installed has none."""
    try:
        return version(SERVER_NAME)
    except PackageNotFoundError:
        return "0"
