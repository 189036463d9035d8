from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from retinue.zoo.errors import ExportDiffers
from retinue.zoo.export_unet import export_unet
from retinue.zoo.normalisation import Normalisation
from retinue.zoo.unet import UNet
from tests.unit.zoo.test_unet import tiny_unet

SIZES = ((1, 1), (1, 64), (3, 2), (16, 16), (17, 31), (50, 33))


def _session(model: UNet, folder: Path, **options: object) -> onnxruntime.InferenceSession:
    path = folder / "model.onnx"
    assert export_unet(model, path, **options).deviation < 1e-5  # type: ignore[arg-type]  # options differ in type
    onnx.checker.check_model(onnx.load(path), full_check=True)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def _picture(height: int, width: int, batch: int = 2) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (batch, height, width, 3), np.uint8)


def test_contract_of_a_semantic_graph(tmp_path: Path) -> None:
    session = _session(tiny_unet(), tmp_path)
    assert [(x.name, x.type, x.shape) for x in session.get_inputs()] == [
        ("image", "tensor(uint8)", ["batch", "height", "width", 3])
    ]
    assert [(x.name, x.type, x.shape) for x in session.get_outputs()] == [
        ("logits", "tensor(float)", ["batch", 3, "height", "width"])
    ]


def test_contract_of_an_instance_graph(tmp_path: Path) -> None:
    model = tiny_unet(5)
    session = _session(model, tmp_path, has_boundary=True)
    assert [(x.name, x.shape) for x in session.get_outputs()] == [
        ("logits", ["batch", 4, "height", "width"]),
        ("boundary", ["batch", 1, "height", "width"]),
    ]
    image = _picture(18, 21)
    logits, boundary = session.run(None, {"image": image})
    with torch.inference_mode():
        wanted = model(torch.from_numpy(image).permute(0, 3, 1, 2) / 255).numpy()
    assert np.allclose(np.concatenate([logits, boundary], 1), wanted, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [{}, {"is_bilinear": True}, {"widths": (3, 5, 6, 7, 4)}, {"attention": "coordinate", "dilated_count": 2}],
    ids=str,
)
def test_pictures_of_any_size_are_answered_as_by_the_network(options: dict[str, object], tmp_path: Path) -> None:
    model = tiny_unet(**options)  # type: ignore[arg-type]  # options differ in type
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    session = _session(model, tmp_path, mean=mean, std=std)
    for height, width in SIZES:
        image = _picture(height, width)
        (logits,) = session.run(None, {"image": image})
        with torch.inference_mode():
            wanted = model(Normalisation(mean, std).normalised(torch.from_numpy(image))).numpy()
        assert logits.shape == wanted.shape == (2, 3, height, width)
        assert np.abs(logits - wanted).max() < 1e-5 * max(1, np.ptp(wanted))


def test_pictures_of_a_batch_do_not_see_each_other(tmp_path: Path) -> None:
    session = _session(tiny_unet(attention="squeeze"), tmp_path)
    image = _picture(23, 18, batch=3)
    (together,) = session.run(None, {"image": image})
    for one, logits in zip(image, together, strict=True):
        (alone,) = session.run(None, {"image": one[None]})
        assert np.allclose(alone[0], logits, atol=1e-6)


def test_one_channel_is_the_luminance_as_pillow_rounds_it(tmp_path: Path) -> None:
    model = tiny_unet(in_channels=1)
    session = _session(model, tmp_path, mean=(0.5,) * 3, std=(0.25,) * 3)
    image = _picture(40, 50, batch=1)
    grey = np.asarray(Image.fromarray(image[0]).convert("L"))
    with torch.inference_mode():
        wanted = model((torch.from_numpy(grey.copy())[None, None] / 255 - 0.5) / 0.25).numpy()
    assert np.abs(session.run(None, {"image": image})[0] - wanted).max() < 1e-5


def test_normalisation_and_folding_leave_the_network_and_no_trace(tmp_path: Path) -> None:
    model = tiny_unet().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    export_unet(model, tmp_path / "model.onnx")
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    operators = {node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node}
    assert "BatchNormalization" not in operators
    assert "Div" not in operators


def test_large_weights_go_beside_the_graph(tmp_path: Path) -> None:
    exported = export_unet(tiny_unet(), tmp_path / "model.onnx", external_data_bytes=1000)
    assert [path.name for path in exported.files] == ["model.onnx", "model.onnx.data"]
    assert exported.class_count == 3


def test_answers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = tiny_unet()
    torch.nn.init.constant_(model.outc.conv.weight, 3e38)
    with pytest.raises(ExportDiffers, match="differ by inf"):
        export_unet(model, tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("model", "options", "problem"),
    [
        ({"in_channels": 2}, {}, "neither RGB nor luminance"),
        ({"in_channels": 1}, {"mean": (0.1, 0.2, 0.3)}, "one mean"),
        ({"class_count": 1}, {"has_boundary": True}, "no class beside"),
        ({}, {"std": (1, 0, 1)}, "std above 0"),
    ],
)
def test_what_cannot_be_exported_is_said(
    model: dict[str, object], options: dict[str, object], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=problem):
        export_unet(tiny_unet(**model), tmp_path / "model.onnx", **options)  # type: ignore[arg-type]  # they differ
