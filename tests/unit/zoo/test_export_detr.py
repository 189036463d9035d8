from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from retinue.zoo.errors import ExportDiffers
from retinue.zoo.export_detr import export_detr
from tests.unit.zoo.test_detr import tiny_detr


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> onnxruntime.InferenceSession:
    path = tmp_path_factory.mktemp("detr") / "model.onnx"
    exported = export_detr(tiny_detr(), path)
    assert exported.deviation < 1e-4
    assert (exported.class_count, exported.query_count) == (4, 6)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def test_contract_of_the_graph(session: onnxruntime.InferenceSession) -> None:
    assert [(x.name, x.type, x.shape) for x in session.get_inputs()] == [
        ("image", "tensor(uint8)", ["batch", "height", "width", 3]),
        ("size", "tensor(int64)", ["batch", 2]),
    ]
    assert [(x.name, x.shape) for x in session.get_outputs()] == [
        ("logits", ["batch", 6, 4]),
        ("boxes", ["batch", 6, 4]),
    ]


def test_pictures_of_any_size_are_taken_and_what_lies_around_them_is_not(
    session: onnxruntime.InferenceSession,
) -> None:
    rng = np.random.default_rng(0)
    for height, width in ((1, 1), (33, 95), (128, 64)):
        image = rng.integers(0, 256, (2, height, width, 3), np.uint8)
        size = np.array([[height, width], [max(1, height - 9), max(1, width // 2)]])
        before = session.run(None, {"image": image, "size": size})
        image[1, size[1, 0] :], image[1, :, size[1, 1] :] = 7, 255
        for one, other in zip(before, session.run(None, {"image": image, "size": size}), strict=True):
            assert np.isfinite(one).all()
            assert np.array_equal(one, other)


def test_answers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = tiny_detr()
    torch.nn.init.constant_(model.class_embed.weight, 3e38)
    with pytest.raises(ExportDiffers, match="differ by inf"):
        export_detr(model, tmp_path / "model.onnx")
