import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from retinue.zoo.region_align import pyramid_align, pyramid_level, region_align


def _boxes(count: int, extent: float) -> torch.Tensor:
    rng = np.random.default_rng(0)
    corner = rng.uniform(-0.2 * extent, extent, (count, 2))
    return torch.from_numpy(np.hstack([corner, corner + rng.uniform(0, extent, (count, 2))]).astype(np.float32))


@pytest.mark.parametrize(("rows", "columns"), [(6, 9), (1, 4), (5, 1)])
def test_features_are_those_of_the_standard_operator(rows: int, columns: int) -> None:
    """Boxes inside, over the edge, outside and smaller than a cell."""
    feature = torch.randn(3, 4, rows, columns, generator=torch.Generator().manual_seed(0))
    boxes, picture = _boxes(60, 8.0 * max(rows, columns)), torch.arange(60) % 3
    node = helper.make_node(
        "RoiAlign",
        ["x", "b", "p"],
        ["y"],
        coordinate_transformation_mode="output_half_pixel",
        output_height=7,
        output_width=7,
        sampling_ratio=2,
        spatial_scale=0.125,
    )
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 4, rows, columns]),
        helper.make_tensor_value_info("b", TensorProto.FLOAT, [60, 4]),
        helper.make_tensor_value_info("p", TensorProto.INT64, [60]),
    ]
    graph = helper.make_graph([node], "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, {"x": feature.numpy(), "b": boxes.numpy(), "p": picture.numpy()})
    answer = region_align(feature, boxes, picture, scale=0.125)
    assert np.abs(answer.numpy() - wanted).max() < 1e-5  # float32 coordinates of some tens of cells


def test_gradients_reach_the_features() -> None:
    feature = torch.randn(1, 1, 4, 4, requires_grad=True)
    out = region_align(feature, torch.tensor([[0.0, 0, 16, 16]]), torch.tensor([0]), scale=0.25, size=2)
    (gradient,) = torch.autograd.grad(out.sum(), feature)
    assert gradient.sum().item() == pytest.approx(4)


def test_no_boxes_give_no_features() -> None:
    levels = [torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 4, 4)]
    out = pyramid_align(levels, (4, 8), torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    assert out.shape == (0, 3, 7, 7)


def test_boxes_keep_their_order_over_the_levels() -> None:
    levels = [torch.full((1, 1, 128 >> i, 128 >> i), float(i)) for i in range(4)]
    boxes = torch.tensor([[0, 0, 224, 224], [0, 0, 10, 10], [0, 0, 500, 500], [0, 0, 112, 112.0]])
    out = pyramid_align(levels, (4, 8, 16, 32), boxes, torch.zeros(4, dtype=torch.int64))
    assert out[:, 0, 3, 3].tolist() == [2, 0, 3, 1]


def test_levels_are_those_of_the_papers_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    boxes = torch.rand(500, 4, generator=generator) * 50
    boxes[:, 2:] += boxes[:, :2] + torch.rand(500, 2, generator=generator) * 1000
    boxes[0, 2:] = boxes[0, :2]  # no area
    area = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).double()
    wanted = (4 + (area.sqrt() / 224).log2() + 1e-6).floor().clamp(2, 5) - 2
    assert pyramid_level(boxes, (4, 8, 16, 32)).tolist() == wanted.long().tolist()


@pytest.mark.parametrize("index", [1, 2, 3])
def test_a_box_exactly_at_a_limit_belongs_to_the_coarser_level(index: int) -> None:
    side = 224 * 2.0 ** (index - 2)
    assert pyramid_level(torch.tensor([[8, 16, 8 + side, 16 + side]]), (4, 8, 16, 32)).item() == index
