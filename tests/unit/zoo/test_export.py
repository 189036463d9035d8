from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from retinue.zoo.architectures import build
from retinue.zoo.classifier import Classifier
from retinue.zoo.errors import ExportDiffers
from retinue.zoo.export import export_classifier

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)


def _mobilenet() -> Classifier:
    torch.manual_seed(0)
    return build("mobilenet_v3_small", width=0.25, last_channels=32, class_count=5, skipped_strides=2).eval()


def _transformer() -> Classifier:
    torch.manual_seed(0)
    model = build("vit_tiny_16", image_size=32, patch_size=8, hidden=24, depth=2, heads=3, class_count=5).eval()
    torch.nn.init.normal_(model.head.weight)
    return model


def _session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def _pictures(batch: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (batch, 32, 32, 3), np.uint8)


def _expected(model: Classifier, pictures: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    x = pictures.astype(np.float64) / 255
    x = ((x - MEAN) / STD).transpose(0, 3, 1, 2).astype(np.float32)
    with torch.inference_mode():
        logits, embedding = model.forward_features(torch.from_numpy(x))
    return logits.numpy(), embedding.numpy()


@pytest.mark.parametrize("make", [_mobilenet, _transformer])
def test_graph_normalises_and_answers_as_the_network(tmp_path: Path, make: type[Classifier]) -> None:
    model = make()
    exported = export_classifier(model, tmp_path / "m.onnx", height=32, width=32, mean=MEAN, std=STD)
    session = _session(tmp_path / "m.onnx")
    for batch in (1, 2, 5):
        answers = session.run(["logits", "embedding"], {"image": _pictures(batch)})
        for answer, wanted in zip(answers, _expected(model, _pictures(batch)), strict=True):
            assert answer.dtype == np.float32
            assert answer.shape == wanted.shape
            assert np.abs(answer - wanted).max() < 1e-4 * np.ptp(wanted)  # float32 sums in another order
    assert exported.deviation < 1e-4
    assert (exported.class_count, exported.embedding_size) == (5, model.embedding_size)


@pytest.mark.parametrize("make", [_mobilenet, _transformer])
def test_contract_of_the_graph(tmp_path: Path, make: type[Classifier]) -> None:
    export_classifier(make(), tmp_path / "m.onnx", height=32, width=32)
    session = _session(tmp_path / "m.onnx")
    (image,) = session.get_inputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(uint8)", ["batch", 32, 32, 3])
    logits, embedding = session.get_outputs()
    assert (logits.name, logits.type, logits.shape) == ("logits", "tensor(float)", ["batch", 5])
    assert (embedding.name, embedding.shape[0]) == ("embedding", "batch")
    model = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [entry.version for entry in model.opset_import if not entry.domain] == [17]


def test_mobilenets_graph_has_no_normalisation_left_but_one_subtraction(tmp_path: Path) -> None:
    export_classifier(_mobilenet(), tmp_path / "m.onnx", height=32, width=32)
    kinds = [node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node]
    assert kinds[:4] == ["Transpose", "Cast", "Sub", "Conv"]
    assert not {"BatchNormalization", "Identity", "Div", "Reshape", "Shape"} & set(kinds)
    assert {"HardSwish", "HardSigmoid"} <= set(kinds)


def test_transformers_graph_has_fixed_shapes_and_whole_operators(tmp_path: Path) -> None:
    export_classifier(_transformer(), tmp_path / "m.onnx", height=32, width=32)
    kinds = [node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node]
    assert kinds[:3] == ["Transpose", "Cast", "Conv"]  # no padding: the shift is part of the bias
    assert kinds.count("LayerNormalization") == 5
    assert kinds.count("Softmax") == 2
    assert kinds.count("Shape") <= 2  # the batch, which the class token is repeated for


def test_embedding_can_be_left_out(tmp_path: Path) -> None:
    exported = export_classifier(_mobilenet(), tmp_path / "m.onnx", height=32, width=32, has_embedding=False)
    assert [output.name for output in _session(tmp_path / "m.onnx").get_outputs()] == ["logits"]
    assert exported.embedding_size is None


@pytest.mark.parametrize("make", [_mobilenet, _transformer])
def test_network_is_left_as_it_was(tmp_path: Path, make: type[Classifier]) -> None:
    model = make().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    export_classifier(model, tmp_path / "m.onnx", height=32, width=32)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        export_classifier(_transformer(), tmp_path / name, height=32, width=32)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_large_weights_go_to_a_file_beside_the_graph(tmp_path: Path) -> None:
    exported = export_classifier(_mobilenet(), tmp_path / "model.onnx", height=32, width=32, external_data_bytes=1000)
    assert exported.files == (tmp_path / "model.onnx", tmp_path / "model.onnx.data")
    assert set(tmp_path.iterdir()) == set(exported.files)
    again = export_classifier(_mobilenet(), tmp_path / "model.onnx", height=32, width=32, external_data_bytes=1000)
    assert again == exported


def test_oblong_pictures_keep_height_and_width_apart(tmp_path: Path) -> None:
    export_classifier(_mobilenet(), tmp_path / "m.onnx", height=32, width=64)
    assert _session(tmp_path / "m.onnx").get_inputs()[0].shape == ["batch", 32, 64, 3]


def test_a_graph_that_differs_is_refused(tmp_path: Path) -> None:
    """No graph meets a tolerance of nothing; this network does not amplify rounding, so that is no excuse."""
    with pytest.raises(ExportDiffers, match="graph and network differ by"):
        export_classifier(_Forgetful(), tmp_path / "m.onnx", height=32, width=32)


class _Forgetful(Classifier):
    """Answers otherwise once it has been traced."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 4, 3)
        self.linear = torch.nn.Linear(4, 2)

    def forward_features(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        embedding = self.convolution(x).mean((2, 3))
        return self.linear(embedding) + (0 if torch.onnx.is_in_onnx_export() else embedding[:, :2]), embedding

    @property
    def stem(self) -> torch.nn.Conv2d:
        return self.convolution

    @property
    def head(self) -> torch.nn.Linear:
        return self.linear


def test_answers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = _mobilenet()
    torch.nn.init.constant_(model.head.weight, 3e38)
    with pytest.raises(ExportDiffers):
        export_classifier(model, tmp_path / "m.onnx", height=32, width=32)


def test_a_network_that_amplifies_rounding_is_let_pass(tmp_path: Path) -> None:
    """Measured against its own float64 answer, not against a tolerance that it cannot meet."""
    export_classifier(_mobilenet(), tmp_path / "m.onnx", height=32, width=32, tolerance=1e-9)


@pytest.mark.parametrize(("mean", "std"), [((0.5,), (0.5,)), (MEAN, (0.2, 0.0, 0.2)), (MEAN, (0.2, 0.2))])
def test_normalisation_of_another_kind_is_refused(
    tmp_path: Path, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match="mean and std must have three values"):
        export_classifier(_mobilenet(), tmp_path / "m.onnx", height=32, width=32, mean=mean, std=std)
