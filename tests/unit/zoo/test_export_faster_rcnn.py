from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from retinue.zoo.errors import ExportDiffers
from retinue.zoo.export_faster_rcnn import export_faster_rcnn
from retinue.zoo.faster_rcnn import FasterRcnn
from retinue.zoo.faster_rcnn_policy import FasterRcnnPolicy
from retinue.zoo.plain_trunk import PlainTrunk
from retinue.zoo.two_stage import TwoStage

POLICY = FasterRcnnPolicy(
    short_side=64,
    long_side=128,
    size_divisor=16,
    anchor_sizes=((16.0,), (32.0,), (64.0,)),
    strides=(4, 8, 16),
    proposals_per_level=50,
    proposals=40,
)


def _model() -> FasterRcnn:
    torch.manual_seed(0)
    model = FasterRcnn(
        PlainTrunk((4, 8, 8, 8), depth=1), class_count=3, pyramid_channels=8, hidden=16, has_pooled_level=False
    )
    torch.nn.init.normal_(model.get_parameter("rpn.head.cls_logits.weight"))
    torch.nn.init.normal_(model.get_parameter("roi_heads.box_predictor.cls_score.weight"))
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_tiny(tmp_path_factory.mktemp("detector"))


def export_tiny(folder: Path) -> Path:
    exported = export_faster_rcnn(_model(), folder, POLICY)
    assert exported.deviation < 1e-4
    assert exported.levels == ("level_0", "level_1", "level_2")
    assert [path.name for path in exported.files] == ["rpn.onnx", "head.onnx"]
    return folder


def _session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def test_contract_of_the_graphs(folder: Path) -> None:
    rpn, head = _session(folder / "rpn.onnx"), _session(folder / "head.onnx")
    assert [(x.name, x.type, x.shape) for x in rpn.get_inputs()] == [
        ("image", "tensor(float)", ["batch", "height", "width", 3]),
        ("size", "tensor(int64)", ["batch", 2]),
    ]
    levels = ["level_0", "level_1", "level_2"]
    assert [x.name for x in rpn.get_outputs()] == [*levels, "objectness", "anchor", "anchor_deltas"]
    assert [x.name for x in head.get_inputs()] == [*levels, "boxes", "picture"]
    assert [(x.name, x.shape) for x in head.get_outputs()] == [
        ("scores", ["boxes", 3]),
        ("box_deltas", ["boxes", 3, 4]),
    ]
    for name in ("rpn.onnx", "head.onnx"):
        onnx.checker.check_model(onnx.load(folder / name), full_check=True)


def test_a_level_with_fewer_anchors_than_wanted_gives_all(folder: Path) -> None:
    image, size = np.zeros((2, 32, 32, 3), np.float32), np.array([[32, 32]] * 2)
    *_, objectness, anchor, deltas = _session(folder / "rpn.onnx").run(None, {"image": image, "size": size})
    counts = 3 * np.array([8 * 8, 4 * 4, 2 * 2])
    assert objectness.shape == anchor.shape == (2, np.minimum(counts, 50).sum())
    assert deltas.shape == (*anchor.shape, 4)
    for best, indices in zip(*(np.split(x[0], [50, 98]) for x in (objectness, anchor)), strict=True):
        assert (np.diff(best) <= 0).all()
        assert len(np.unique(indices)) == len(indices)
    assert sorted(anchor[0, 50:98]) == list(range(48))


def test_no_boxes_give_no_answers(folder: Path) -> None:
    levels = {f"level_{i}": np.zeros((1, 8, 16 >> i, 16 >> i), np.float32) for i in range(3)}
    boxes, picture = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    scores, deltas = _session(folder / "head.onnx").run(None, {**levels, "boxes": boxes, "picture": picture})
    assert (scores.shape, deltas.shape) == ((0, 3), (0, 3, 4))


def test_what_lies_around_a_picture_is_not_looked_at(folder: Path) -> None:
    rng, session = np.random.default_rng(0), _session(folder / "rpn.onnx")
    image = rng.uniform(0, 255, (1, 64, 96, 3)).astype(np.float32)
    size = np.array([[50, 70]])
    before = session.run(None, {"image": image, "size": size})
    image[:, 50:], image[:, :, 70:] = 255, np.nan
    for one, other in zip(before, session.run(None, {"image": image, "size": size}), strict=True):
        assert np.array_equal(one, other)


def test_an_answer_does_not_depend_on_who_shares_the_batch(folder: Path) -> None:
    """Pictures of one padded size and their own true sizes."""
    rng, detector = np.random.default_rng(0), TwoStage(folder, POLICY)
    pictures = [rng.integers(0, 256, (h, w, 3), np.uint8) for h, w in ((64, 90), (60, 82), (128, 190))]
    assert len({POLICY.padded_size(*POLICY.scaled_size(*p.shape[:2])) for p in pictures}) == 1
    together = detector.detect(pictures)
    assert sum(len(answer.boxes) for answer in together) > 3
    for picture, answer in zip(pictures, together, strict=True):
        (alone,) = detector.detect([picture])
        assert np.array_equal(alone.labels, answer.labels)
        assert np.allclose(alone.boxes, answer.boxes, atol=1e-3)  # other kernels for other batch sizes
        assert np.allclose(alone.scores, answer.scores, atol=1e-5)


def test_bytes_can_be_taken_as_they_are(tmp_path: Path, folder: Path) -> None:
    export_faster_rcnn(_model(), tmp_path, replace(POLICY, pixels="uint8"))
    image, size = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8), np.array([[64, 64]])
    session = _session(tmp_path / "rpn.onnx")
    assert session.get_inputs()[0].type == "tensor(uint8)"
    answers = session.run(None, {"image": image, "size": size})
    wanted = _session(folder / "rpn.onnx").run(None, {"image": image.astype(np.float32), "size": size})
    assert all(np.array_equal(*pair) for pair in zip(answers, wanted, strict=True))


def test_the_network_is_left_as_it_was(tmp_path: Path) -> None:
    model = _model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    export_faster_rcnn(model, tmp_path, POLICY)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_policy_of_other_levels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"3 anchors at strides \[4, 8\], the model 3 at \[4, 8, 16\]"):
        export_faster_rcnn(_model(), tmp_path, replace(POLICY, strides=(4, 8)))


def test_answers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = _model()
    torch.nn.init.constant_(model.get_parameter("rpn.head.bbox_pred.bias"), torch.nan)
    with pytest.raises(ExportDiffers, match="differ by inf"):
        export_faster_rcnn(model, tmp_path, POLICY)
