import time
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retinue.oip.open_inference_pb2 import ModelInferRequest
from retinue.runtime.caller import Caller
from retinue.runtime.errors import InvalidInput, NotSupported
from retinue.serving.model_infer import best_classes, hurried, infer
from retinue.serving.tensor_model import ModelStatistics, TensorForm, TensorSpec
from retinue.serving.tensors import encode_raw

Tensor = ModelInferRequest.InferInputTensor


class Affine:
    """Computes ``x * scale`` of a batch of triples, names the sums, and repeats the scale."""

    name = "affine"
    version = "2"
    platform = "test"
    max_batch_size = 4
    inputs = (
        TensorSpec("x", "FP32", (-1, 3), also=(TensorForm("FP32", (3,)),)),
        TensorSpec("scale", "INT64", (-1, 1)),
    )
    outputs = (
        TensorSpec("y", "FP32", (-1, 3)),
        TensorSpec("text", "BYTES", (-1, 1)),
        TensorSpec("scale", "INT64", (-1, 1)),
    )

    def __init__(self) -> None:
        self.caller: Caller | None = None

    def labels(self, output: str) -> tuple[str, ...] | None:
        return ("red", "green") if output == "y" else None

    def infer(
        self, inputs: Mapping[str, NDArray[Any]], outputs: Collection[str], caller: Caller
    ) -> Mapping[str, NDArray[Any]]:
        self.caller = caller
        y = inputs["x"] * inputs["scale"]
        text = np.array([[str(row.sum()).encode()] for row in np.atleast_2d(y)], dtype=object)
        answers = {"y": y, "text": text, "scale": inputs["scale"]}
        return {name: answers[name] for name in outputs}

    def statistics(self) -> ModelStatistics:
        return ModelStatistics()


def request_of(*, raw: bool = True, **changes: Any) -> ModelInferRequest:
    """Return a good request, x = [[1, 2, 3]] and scale = [[2]], with some of its fields changed."""
    x, scale = Tensor(name="x", datatype="FP32", shape=(1, 3)), Tensor(name="scale", datatype="INT64", shape=(1, 1))
    if raw:
        contents = [encode_raw("FP32", np.array([1, 2, 3])), encode_raw("INT64", np.array([2]))]
        fields = {"inputs": (x, scale), "raw_input_contents": contents}
    else:
        x.contents.fp32_contents.extend([1, 2, 3])
        scale.contents.int64_contents.append(2)
        fields = {"inputs": (x, scale)}
    return ModelInferRequest(**({"model_name": "affine", "id": "seven"} | fields | changes))


@pytest.mark.parametrize("raw", [True, False])
def test_answer_holds_every_output_raw_in_the_models_order(raw: bool) -> None:  # noqa: FBT001 - a parameter of the test
    response = infer(Affine(), request_of(raw=raw), Caller())
    assert (response.model_name, response.model_version, response.id) == ("affine", "2", "seven")
    assert [(one.name, one.datatype, list(one.shape)) for one in response.outputs] == [
        ("y", "FP32", [1, 3]),
        ("text", "BYTES", [1, 1]),
        ("scale", "INT64", [1, 1]),
    ]
    assert list(response.raw_output_contents) == [
        encode_raw("FP32", np.array([2, 4, 6])),
        b"\x04\x00\x00\x0012.0",
        encode_raw("INT64", np.array([2])),
    ]
    assert not any(one.HasField("contents") for one in response.outputs)


def test_wanted_outputs_come_alone_and_in_the_requests_order() -> None:
    response = infer(Affine(), request_of(outputs=[{"name": "scale"}, {"name": "y"}]), Caller())
    assert [one.name for one in response.outputs] == ["scale", "y"]
    assert len(response.raw_output_contents) == 2


def test_inputs_may_come_in_any_order() -> None:
    good = request_of()
    request = request_of(inputs=good.inputs[::-1], raw_input_contents=good.raw_input_contents[::-1])
    assert infer(Affine(), request, Caller()).raw_output_contents == infer(Affine(), good, Caller()).raw_output_contents


def test_other_form_of_an_input_is_taken() -> None:
    good = request_of()
    request = request_of(inputs=[Tensor(name="x", datatype="FP32", shape=(3,)), good.inputs[1]])
    assert list(infer(Affine(), request, Caller()).outputs[0].shape) == [1, 3]


def test_unknown_parameters_are_ignored() -> None:
    request = request_of()
    for parameters in (request.parameters, request.inputs[0].parameters):
        parameters["priority"].uint64_param = 2**63
        parameters["triton_enable_empty_final_response"].bool_param = True
        parameters["headers"].string_param = "x"
    assert infer(Affine(), request, Caller()).id == "seven"


X, SCALE = request_of().inputs
RAW_X, RAW_SCALE = request_of().raw_input_contents
TYPED = request_of(raw=False).inputs


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"inputs": []}, "inputs", "x, scale missing"),
        ({"inputs": [X]}, "inputs", "scale missing"),
        ({"inputs": [X, SCALE, Tensor(name="z")]}, "inputs[2].name", "no input 'z'; inputs are x, scale"),
        ({"inputs": [X, SCALE, X]}, "inputs[2].name", "'x' is there twice"),
        ({"raw_input_contents": [RAW_X]}, "raw_input_contents", "1 entries for 2 inputs"),
        ({"raw_input_contents": [RAW_X, RAW_SCALE, b""]}, "raw_input_contents", "3 entries for 2 inputs"),
        ({"inputs": [X, TYPED[1]]}, "inputs[1].contents", "together with raw_input_contents"),
        ({"raw_input_contents": []}, "inputs[0].contents.fp32_contents", "0 values"),
        ({"raw_input_contents": [RAW_X, RAW_SCALE[:-1]]}, "inputs[1]", "7 raw bytes"),
        (
            {"inputs": [Tensor(name="x", datatype="FP64", shape=(1, 3)), SCALE]},
            "inputs[0].datatype",
            r"x cannot be FP64 \[1, 3\]; it can be FP32 \[-1, 3\], FP32 \[3\]",
        ),
        ({"inputs": [Tensor(name="x", datatype="BF16", shape=(1, 3)), SCALE]}, "inputs[0].datatype", "BF16"),
        ({"inputs": [Tensor(name="x", datatype="FP32", shape=(1, 4)), SCALE]}, "inputs[0].shape", "x cannot be"),
        ({"inputs": [Tensor(name="x", datatype="FP32", shape=(-1, 3)), SCALE]}, "inputs[0].shape", "negative"),
        ({"inputs": [Tensor(name="x", datatype="FP32", shape=(5, 3)), SCALE]}, "inputs[0].shape", "at most 4"),
        ({"outputs": [{"name": "z"}]}, "outputs[0].name", "no output 'z'; outputs are y, text, scale"),
        ({"outputs": [{"name": "y"}, {"name": "y"}]}, "outputs[1].name", "'y' is there twice"),
        (
            {"outputs": [{"name": "text", "parameters": {"classification": {"int64_param": 1}}}]},
            "outputs[0].parameters.classification",
            "BYTES cannot be ranked",
        ),
        (
            {"outputs": [{"name": "y", "parameters": {"classification": {"int64_param": -1}}}]},
            "outputs[0].parameters.classification",
            "negative",
        ),
        (
            {"outputs": [{"name": "y", "parameters": {"classification": {"string_param": "1"}}}]},
            "outputs[0].parameters.classification",
            "integer",
        ),
        ({"parameters": {"timeout": {"string_param": "1"}}}, "parameters.timeout", "integer"),
    ],
)
def test_request_that_does_not_fit_the_model_is_refused(changes: dict[str, Any], field: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem) as caught:
        infer(Affine(), request_of(**changes), Caller())
    assert caught.value.field == field


def test_shared_memory_is_refused() -> None:
    """Silence would be worse: the caller would read a region that nobody has written."""
    request = request_of()
    request.inputs[0].parameters["shared_memory_region"].string_param = "r"
    with pytest.raises(NotSupported, match=r"inputs\[0\]"):
        infer(Affine(), request, Caller())
    request = request_of(outputs=[{"name": "y"}])
    request.outputs[0].parameters["shared_memory_region"].string_param = "r"
    with pytest.raises(NotSupported, match=r"outputs\[0\]"):
        infer(Affine(), request, Caller())


def test_classification_gives_the_best_classes_as_text() -> None:
    request = request_of(outputs=[{"name": "y", "parameters": {"classification": {"int64_param": 2}}}])
    response = infer(Affine(), request, Caller())
    (output,) = response.outputs
    assert (output.datatype, list(output.shape)) == ("BYTES", [1, 2])
    # The third class has no label, since the model names two.
    third, second = b"6.000000:2", b"4.000000:1:green"
    assert response.raw_output_contents[0] == encode_raw("BYTES", np.array([third, second], dtype=object))


def test_best_classes_are_ordered_by_score_then_index_with_nan_last() -> None:
    scores = np.array([[0.5, np.nan, 0.5, 2.0], [0, -1, -2, -3]], dtype=np.float32)
    texts = best_classes(scores, (), 9, is_batched=True)
    assert [[text.split(b":")[1] for text in row] for row in texts] == [
        [b"3", b"0", b"2", b"1"],
        [b"0", b"1", b"2", b"3"],
    ]


def test_equal_scores_keep_the_order_of_their_index() -> None:
    texts = best_classes(np.repeat([1.0, 2.0], 50), (), 100, is_batched=False)
    assert [int(text.split(b":")[1]) for text in texts] == [*range(50, 100), *range(50)]


def test_best_classes_of_integers_are_written_as_integers() -> None:
    assert best_classes(np.array([3, 250], dtype=np.uint8), (), 1, is_batched=False).tolist() == [b"250:1"]


@pytest.mark.parametrize("shape", [(0, 5), (2, 0), (0, 0)])
def test_best_classes_of_nothing_are_none(shape: tuple[int, int]) -> None:
    texts = best_classes(np.empty(shape), (), 3, is_batched=True)
    assert texts.shape == (shape[0], min(3, shape[1]))


def test_timeout_shortens_the_deadline() -> None:
    request = request_of(parameters={"timeout": {"int64_param": 2_000_000}})
    before_s = time.monotonic()
    deadline_s = hurried(Caller(), request).deadline_s
    assert deadline_s is not None
    assert before_s + 2 <= deadline_s <= time.monotonic() + 2


def test_timeout_never_lengthens_the_deadline() -> None:
    caller = Caller(time.monotonic() + 1)
    assert hurried(caller, request_of(parameters={"timeout": {"uint64_param": 2**64 - 1}})) is caller


@pytest.mark.parametrize("timeout_us", [0, -1])
def test_timeout_of_zero_or_less_is_none(timeout_us: int) -> None:
    caller = Caller()
    assert hurried(caller, request_of(parameters={"timeout": {"int64_param": timeout_us}})) is caller


def test_hurried_caller_keeps_its_priority() -> None:
    request = request_of(parameters={"timeout": {"int64_param": 10**6}})
    assert hurried(Caller(None, "high"), request).priority == "high"


def test_hurried_caller_is_cancelled_with_the_caller() -> None:
    caller = Caller()
    hurried_caller = hurried(caller, request_of(parameters={"timeout": {"int64_param": 10**9}}))
    caller.cancel()
    assert hurried_caller.is_cancelled
