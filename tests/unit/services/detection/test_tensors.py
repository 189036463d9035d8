"""Detection behind the Open Inference Protocol, asked over a real channel."""

from typing import Any

import numpy as np
import pytest

from retinue.oip import open_inference_pb2 as oip
from retinue.oip.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.unit.services.detection.tiny_detectors import plain
from tests.unit.serving.hosted import Run

TYPES = {"FP32": "<f4", "INT64": "<i8", "INT32": "<i4"}


@pytest.fixture(scope="module")
def stub(served: Run) -> GRPCInferenceServiceStub:
    return served.inference


def square_at(*corners: tuple[int, int]) -> Any:
    """Return a black picture with a bright square at each corner x, y."""
    pixels = plain(0)
    for x, y in corners:
        pixels[y : y + 6, x : x + 6] = 255
    return pixels


def infer(stub: Any, *pictures: Any, model: str = "squares", outputs: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the outputs for pictures of one size, by name, as arrays or lists of bytes."""
    pixels = np.stack(pictures)
    request = oip.ModelInferRequest(model_name=model)
    request.inputs.add(name="image", datatype="UINT8", shape=pixels.shape)
    request.raw_input_contents.append(pixels.tobytes())
    for name in outputs:
        request.outputs.add(name=name)
    response = stub.ModelInfer(request)
    return {
        tensor.name: strings(raw)
        if tensor.datatype == "BYTES"
        else np.frombuffer(raw, TYPES[tensor.datatype]).reshape(list(tensor.shape))
        for tensor, raw in zip(response.outputs, response.raw_output_contents, strict=True)
    } | {"labels_shape": [list(one.shape) for one in response.outputs if one.name == "labels"]}


def strings(raw: bytes) -> list[bytes]:
    """Return what a tensor of BYTES holds: a length of four bytes before each."""
    found = []
    while raw:
        length = int.from_bytes(raw[:4], "little")
        found.append(raw[4 : 4 + length])
        raw = raw[4 + length :]
    return found


def test_a_model_says_what_it_gives(stub: Any) -> None:
    metadata = stub.ModelMetadata(oip.ModelMetadataRequest(name="table"))
    assert [(one.name, one.datatype, list(one.shape)) for one in metadata.outputs] == [
        ("boxes", "FP32", [-1, -1, 4]),
        ("scores", "FP32", [-1, -1]),
        ("label_ids", "INT64", [-1, -1]),
        ("labels", "BYTES", [-1, -1]),
        ("count", "INT32", [-1, 1]),
    ]
    assert list(metadata.versions) == ["9", "10"]


def test_boxes_come_with_scores_and_labels(stub: Any) -> None:
    outputs = infer(stub, plain(), model="table")
    assert outputs["boxes"].tolist() == [[[20, 12, 44, 20], [20, 13, 44, 21], [20, 44, 44, 52]]]
    assert outputs["scores"][0].tolist() == pytest.approx([0.9, 0.8, 0.6])
    assert outputs["label_ids"].tolist() == [[0, 1, 1]]
    assert outputs["labels"] == [b"ring", b"disc", b"disc"]
    assert outputs["count"].tolist() == [[3]]


def test_rows_with_fewer_boxes_are_filled_up(stub: Any) -> None:
    pictures = [square_at(), square_at((3, 4), (30, 40)), square_at((50, 50))]
    outputs = infer(stub, *pictures)
    assert outputs["count"].tolist() == [[0], [2], [1]]
    assert outputs["boxes"].shape == (3, 2, 4)
    assert sorted(outputs["boxes"][1, :, 0].tolist()) == [3, 30]
    assert outputs["boxes"][2].tolist() == [[50, 50, 56, 56], [0, 0, 0, 0]]
    assert outputs["scores"].tolist() == [[0, 0], [1, 1], [1, 0]]
    assert outputs["label_ids"].tolist() == [[-1, -1], [0, 0], [0, -1]]
    assert outputs["labels"] == [b"", b"", b"square", b"square", b"square", b""]
    assert outputs["labels_shape"] == [[3, 2]]


def test_nothing_found_is_an_ordinary_answer(stub: Any) -> None:
    outputs = infer(stub, square_at(), square_at())
    assert outputs["count"].tolist() == [[0], [0]]
    assert (outputs["boxes"].shape, outputs["scores"].shape) == ((2, 0, 4), (2, 0))
    assert outputs["labels"] == []
    assert outputs["labels_shape"] == [[2, 0]]


@pytest.mark.parametrize("name", ["boxes", "scores", "label_ids", "labels", "count"])
def test_each_output_may_be_asked_for_alone(stub: Any, name: str) -> None:
    alone = infer(stub, plain(), model="table", outputs=(name,))
    together = infer(stub, plain(), model="table")
    assert alone.keys() - {"labels_shape"} == {name}
    assert np.array_equal(alone[name], together[name])


def test_the_manifest_says_which_boxes_are_told(stub: Any) -> None:
    """Here those of at least 0.05, with suppression by class."""
    outputs = infer(stub, np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), model="two-stage")
    assert 0 < outputs["count"][0, 0] <= 100
    assert (outputs["scores"] >= np.float32(0.05)).all()
    assert set(outputs["labels"]) <= {b"ring", b"disc"}


def test_boxes_have_no_names_where_a_client_wants_scores_ranked(stub: Any) -> None:
    """No output has one number for each class, so an index is one of a box."""
    request = oip.ModelInferRequest(model_name="table")
    request.inputs.add(name="image", datatype="UINT8", shape=[1, 64, 64, 3])
    request.raw_input_contents.append(plain().tobytes())
    request.outputs.add(name="scores").parameters["classification"].int64_param = 1
    assert strings(stub.ModelInfer(request).raw_output_contents[0]) == [b"0.900000:0"]
