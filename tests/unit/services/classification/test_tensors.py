"""Classification behind the Open Inference Protocol, asked over a real channel."""

from typing import Any

import numpy as np
import pytest

from retinue.oip import open_inference_pb2 as oip
from retinue.oip.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.unit.serving.hosted import Run

ORANGE, BLACK = (255, 102, 0), (0, 0, 0)


@pytest.fixture(scope="module")
def stub(served: Run) -> GRPCInferenceServiceStub:
    return served.inference


def infer(stub: Any, *colours: tuple[int, int, int], model: str = "tiny", outputs: tuple[str, ...] = ()) -> Any:
    """Return the outputs for pictures of one colour each, by name."""
    pixels = np.array(colours, np.uint8)[:, None, None].repeat(3, axis=1).repeat(4, axis=2)
    request = oip.ModelInferRequest(model_name=model)
    request.inputs.add(name="image", datatype="UINT8", shape=pixels.shape)
    request.raw_input_contents.append(pixels.tobytes())
    for name in outputs:
        request.outputs.add(name=name)
    response = stub.ModelInfer(request)
    return {
        tensor.name: (tensor.datatype, tuple(tensor.shape), raw)
        for tensor, raw in zip(response.outputs, response.raw_output_contents, strict=True)
    }


def floats(output: tuple[str, tuple[int, ...], bytes]) -> Any:
    datatype, shape, raw = output
    assert datatype == "FP32"
    return np.frombuffer(raw, "<f4").reshape(shape)


def test_a_model_says_what_it_gives(stub: Any) -> None:
    metadata = stub.ModelMetadata(oip.ModelMetadataRequest(name="tiny"))
    assert [(one.name, one.datatype, list(one.shape)) for one in metadata.outputs] == [
        ("logits", "FP32", [-1, 3]),
        ("scores", "FP32", [-1, 3]),
        ("label", "BYTES", [-1, 1]),
        ("unknown_score", "FP32", [-1, 1]),
        ("is_unknown", "BOOL", [-1, 1]),
    ]
    assert list(metadata.versions) == ["9", "10"]


def test_a_model_without_calibration_gives_nothing_of_the_unknown(stub: Any) -> None:
    metadata = stub.ModelMetadata(oip.ModelMetadataRequest(name="plain"))
    assert [one.name for one in metadata.outputs] == ["logits", "scores", "label"]


def test_every_output_has_a_row_for_each_picture(stub: Any) -> None:
    outputs = infer(stub, ORANGE, BLACK)
    assert {name: shape for name, (_, shape, _) in outputs.items()} == {
        "logits": (2, 3),
        "scores": (2, 3),
        "label": (2, 1),
        "unknown_score": (2, 1),
        "is_unknown": (2, 1),
    }
    assert floats(outputs["logits"]).tolist() == pytest.approx(np.array([[5, 2, 0], [0, 0, 0]]), rel=1e-6)
    assert outputs["label"][2] == b"\x03\x00\x00\x00red" * 2
    assert outputs["is_unknown"][2] == b"\x00\x01"


def test_scores_are_by_class_id_and_as_the_manifest_says(stub: Any) -> None:
    assert floats(infer(stub, ORANGE)["scores"]).sum() == pytest.approx(1, abs=1e-6)
    # Sigmoids of 5, 2 and 0 to four digits.
    assert floats(infer(stub, ORANGE, model="plain")["scores"])[0] == pytest.approx([0.9933, 0.8808, 0.5], abs=1e-4)


@pytest.mark.parametrize("name", ["logits", "scores", "label", "unknown_score", "is_unknown"])
def test_each_output_may_be_asked_for_alone(stub: Any, name: str) -> None:
    alone, together = infer(stub, ORANGE, outputs=(name,)), infer(stub, ORANGE)
    assert alone == {name: together[name]}


def test_classes_are_named_where_a_client_wants_them_ranked(stub: Any) -> None:
    request = oip.ModelInferRequest(model_name="tiny")
    request.inputs.add(name="image", datatype="UINT8", shape=[1, 1, 3])
    request.raw_input_contents.append(bytes(ORANGE))
    request.outputs.add(name="scores").parameters["classification"].int64_param = 1
    (raw,) = stub.ModelInfer(request).raw_output_contents
    assert raw.endswith(b":0:red")
