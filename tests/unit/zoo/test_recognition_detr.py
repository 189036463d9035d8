from typing import Any

import pytest
import torch

from retinue.zoo.detr import Detr
from retinue.zoo.detr_transformer import DetrTransformer
from retinue.zoo.errors import CheckpointInvalid, CheckpointMismatch
from retinue.zoo.frozen_norm import FrozenNorm, freeze_norms
from retinue.zoo.recognition_detr import is_detr, recognise_detr
from retinue.zoo.resnet import Bottleneck, ResNet


def _detr(**options: Any) -> Detr:
    torch.manual_seed(0)
    body = ResNet(Bottleneck, (1, 1, 1, 1), stem_channels=4, widths=(4, 4, 4, 6), returned=(4,))
    freeze_norms(body)
    transformer = DetrTransformer(16, heads=8, encoder_depth=1, decoder_depth=2, feedforward=24)
    return Detr(body, transformer, hidden=16, **{"class_count": 5, "query_count": 7, **options}).eval()


def test_sizes_are_read_off() -> None:
    original = _detr()
    assert is_detr(original.state_dict())
    found = recognise_detr(original.state_dict())
    assert found.architecture == "detr_resnet"
    assert (found.model.class_count, found.model.query_count) == (5, 7)
    x, size = torch.randn(1, 3, 64, 96), torch.tensor([[64, 90]])
    for answer, wanted in zip(found.model(x, size), original(x, size), strict=True):
        assert torch.equal(answer, wanted)


def test_frozen_normalisation_has_its_epsilon() -> None:
    model = recognise_detr(_detr().state_dict()).model
    assert {module.eps for module in model.modules() if isinstance(module, FrozenNorm)} == {1e-5}


def test_of_a_panoptic_one_the_boxes_are_taken() -> None:
    state = {f"detr.{name}": tensor for name, tensor in _detr().state_dict().items()}
    state["mask_head.lay1.weight"] = torch.zeros(1)
    assert recognise_detr(state).model.class_count == 5


@pytest.mark.parametrize(("file_name", "stride"), [("detr-r50-dc5-f0fb7ef5.pth", 16), ("detr-r50-e632da11.pth", 32)])
def test_dilation_goes_by_the_files_name(file_name: str, stride: int) -> None:
    found = recognise_detr(_detr().state_dict(), file_name=file_name)
    assert found.model.body.strides == (stride,)


def test_heads_that_do_not_divide_are_refused() -> None:
    with pytest.raises(CheckpointInvalid, match="no multiple of 4 and of 5 heads"):
        recognise_detr(_detr().state_dict(), heads=5)


def test_a_missing_layer_is_named() -> None:
    state = _detr().state_dict()
    del state["transformer.decoder.norm.weight"]
    with pytest.raises(CheckpointMismatch, match=r"missing: transformer\.decoder\.norm\.weight"):
        recognise_detr(state)
