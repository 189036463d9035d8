import pytest
import torch

from retinue.zoo.architectures import build
from retinue.zoo.renames_mobilenet import mobilenet_from_timm

# Stages of timm's definitions: how many blocks each has.
V3_SMALL, V3_LARGE = (1, 2, 3, 2, 3), (1, 2, 3, 4, 2, 3)
V2, V1 = (1, 2, 3, 4, 3, 3, 1), (1, 2, 2, 6, 2)


def to_timm(state: dict[str, torch.Tensor], stages: tuple[int, ...], family: str) -> dict[str, torch.Tensor]:
    """Return a MobileNet under timm's names, by walking the modules of each block: the long way round, for the test."""
    places = [f"blocks.{stage}.{block}" for stage, count in enumerate(stages) for block in range(count)]
    if family == "v3":
        places.append(f"blocks.{len(stages)}.0")
    out = {}
    for name, tensor in state.items():
        root, index, *rest = name.split(".")
        parameter = rest[-1] if rest else ""
        if root == "classifier":
            timm = f"conv_head.{parameter}" if family == "v3" and index == "0" else f"classifier.{parameter}"
            out[timm] = tensor[:, :, None, None] if timm == "conv_head.weight" else tensor
        elif index == "0":
            out[f"{'conv_stem' if rest[0] == '0' else 'bn1'}.{parameter}"] = tensor
        elif int(index) > len(places):
            out[f"{'conv_head' if rest[0] == '0' else 'bn2'}.{parameter}"] = tensor
        elif family == "v3" and int(index) == len(places):
            out[f"{places[-1]}.{'conv' if rest[0] == '0' else 'bn1'}.{parameter}"] = tensor
        else:
            out[f"{places[int(index) - 1]}.{_part(state, index, rest, family)}.{parameter}"] = tensor
    return out


def _part(state: dict[str, torch.Tensor], index: str, rest: list[str], family: str) -> str:
    """Return timm's name of a block's module: the n-th convolution and its norm, or the squeeze."""
    if "fc1" in rest:
        return "se.conv_reduce"
    if "fc2" in rest:
        return "se.conv_expand"
    convolutions = [
        name.removesuffix(".weight")
        for name, tensor in state.items()
        if name.startswith(f"features.{index}.") and tensor.ndim == 4 and ".fc" not in name
    ]
    order = ["conv_pw", "conv_dw", "conv_pwl"] if len(convolutions) == 3 else ["conv_dw", "conv_pw"]
    module = ".".join(["features", index, *rest[:-1]])
    if module in convolutions:
        return order[convolutions.index(module)]
    last = max(i for i, name in enumerate(convolutions) if _key(name) < _key(module))
    return f"bn{last + 1}"


def _key(module: str) -> list[int]:
    return [int(part) for part in module.split(".") if part.isdigit()]


@pytest.mark.parametrize(
    ("name", "stages", "family"),
    [
        ("mobilenet_v1", V1, "v1"),
        ("mobilenet_v2", V2, "v2"),
        ("mobilenet_v3_small", V3_SMALL, "v3"),
        ("mobilenet_v3_large", V3_LARGE, "v3"),
    ],
)
def test_there_and_back_is_the_same(name: str, stages: tuple[int, ...], family: str) -> None:
    state = dict(build(name, class_count=4).state_dict())
    timm = to_timm(state, stages, family)
    assert len(timm) == len(state)
    back = mobilenet_from_timm(timm)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[key], state[key]) for key in state)


def test_published_names_go_where_they_should() -> None:
    """Spelled out for one block of each kind, as timm publishes mobilenetv3_large_100."""
    names = {
        "conv_stem.weight": "features.0.0.weight",
        "blocks.0.0.conv_dw.weight": "features.1.block.0.0.weight",
        "blocks.0.0.bn1.running_var": "features.1.block.0.1.running_var",
        "blocks.0.0.conv_pw.weight": "features.1.block.1.0.weight",
        "blocks.2.0.conv_pw.weight": "features.2.block.0.0.weight",
        "blocks.2.0.conv_dw.weight": "features.2.block.1.0.weight",
        "blocks.2.0.bn2.bias": "features.2.block.1.1.bias",
        "blocks.2.0.se.conv_reduce.bias": "features.2.block.2.fc1.bias",
        "blocks.2.0.conv_pwl.weight": "features.2.block.3.0.weight",
        "blocks.2.0.bn3.weight": "features.2.block.3.1.weight",
        "blocks.6.0.conv.weight": "features.3.0.weight",
        "blocks.6.0.bn1.weight": "features.3.1.weight",
        "conv_head.bias": "classifier.0.bias",
        "classifier.bias": "classifier.3.bias",
    }
    state = {name: torch.ones(1) for name in names} | {"blocks.2.0.se.conv_reduce.weight": torch.ones(1)}
    renamed = mobilenet_from_timm(state)
    assert set(names.values()) <= set(renamed)


def test_blocks_are_counted_in_numerical_order() -> None:
    state = {f"blocks.0.{i}.conv_dw.weight": torch.full((1,), i) for i in (10, 2, 0)}
    assert [int(mobilenet_from_timm(state)[f"features.{i}.0.0.weight"]) for i in (1, 2, 3)] == [0, 2, 10]


def test_unknown_names_stay_to_be_refused() -> None:
    renamed = mobilenet_from_timm({"blocks.0.0.attn.weight": torch.ones(1), "what": torch.ones(1)})
    assert set(renamed) == {"blocks.1.attn.weight", "what"}
