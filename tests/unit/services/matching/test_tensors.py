"""The assignment behind the Open Inference Protocol."""

from typing import Any

import grpc
import numpy as np
import pytest

from retinue.oip import open_inference_pb2 as oip
from tests.unit.serving.hosted import Run
from tests.unit.serving.in_process import error_info_of, status_of


def ask(served: Run, costs: Any, *, outputs: tuple[str, ...] = (), model: str = "assign") -> dict[str, Any]:
    matrix = np.array(costs, np.float32)
    request = oip.ModelInferRequest(model_name=model, raw_input_contents=[matrix.tobytes()])
    request.inputs.add(name="cost", datatype="FP32", shape=matrix.shape)
    for output in outputs:
        request.outputs.add(name=output)
    response = served.inference.ModelInfer(request, timeout=20)
    dtypes = {"INT64": "<i8", "FP32": "<f4"}
    return {
        tensor.name: np.frombuffer(raw, dtypes[tensor.datatype]).reshape(tensor.shape).tolist()
        for tensor, raw in zip(response.outputs, response.raw_output_contents, strict=True)
    }


def test_a_matrix_is_answered_with_pairs_and_their_cost(served: Run) -> None:
    assert ask(served, [[4, 1, 3], [2, 0, np.inf]]) == {"pairs": [[0, 1], [1, 0]], "total_cost": [3.0]}
    assert ask(served, [[1.0]], outputs=("total_cost",)) == {"total_cost": [1.0]}


def test_a_matrix_without_a_side_has_no_pairs(served: Run) -> None:
    assert ask(served, np.empty((0, 3))) == {"pairs": [], "total_cost": [0.0]}


def test_a_large_matrix_is_answered_by_the_pool(served: Run) -> None:
    assert len(ask(served, np.eye(20))["pairs"]) == 20


@pytest.mark.parametrize(("costs", "limit"), [([[np.nan]], None), ([[-np.inf]], None), (np.zeros((31, 31)), "900")])
def test_what_is_no_cost_matrix_is_refused(served: Run, costs: Any, limit: str | None) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        ask(served, costs)
    info = error_info_of(status_of(caught.value))
    assert (caught.value.code(), info.metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, "cost")
    assert info.metadata.get("limit") == limit


@pytest.mark.parametrize(("model", "version"), [("other", ""), ("assign", "2")])
def test_another_model_is_unknown(served: Run, model: str, version: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        served.inference.ModelMetadata(oip.ModelMetadataRequest(name=model, version=version))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_the_model_says_what_it_takes_and_did(served: Run) -> None:
    metadata = served.inference.ModelMetadata(oip.ModelMetadataRequest(name="assign"))
    assert [(one.name, one.datatype, list(one.shape)) for one in metadata.inputs] == [("cost", "FP32", [-1, -1])]
    assert [one.name for one in metadata.outputs] == ["pairs", "total_cost"]
    assert list(metadata.versions) == ["1"]
    assert served.inference.ModelConfig(oip.ModelConfigRequest(name="assign")).config.max_batch_size == 0
    (index,) = served.inference.RepositoryIndex(oip.RepositoryIndexRequest()).models
    assert (index.name, index.version, index.state) == ("assign", "1", "READY")

    def counts() -> tuple[int, int]:
        (one,) = served.inference.ModelStatistics(oip.ModelStatisticsRequest()).model_stats
        return one.inference_stats.success.count, one.inference_stats.fail.count

    answered, failed = counts()
    ask(served, [[1.0]])
    with pytest.raises(grpc.RpcError):
        ask(served, [[np.nan]])
    assert counts() == (answered + 1, failed + 1)
