import pytest
import torch

from retinue.zoo.errors import CheckpointInvalid
from retinue.zoo.renames_vit import migrated, vit_from_timm, vit_to_timm
from retinue.zoo.vision_transformer import VisionTransformer


def _small(**options: int) -> VisionTransformer:
    torch.manual_seed(0)
    model = VisionTransformer(
        image_size=8,
        patch_size=4,
        hidden=12,
        depth=2,
        heads=3,
        class_count=5,
        **options,
    ).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return model


def test_there_and_back_is_the_same() -> None:
    state = dict(_small().state_dict())
    back = vit_from_timm(vit_to_timm(state))
    assert list(back) == list(state)
    assert all(back[name] is state[name] for name in state)


def test_timms_names_are_the_published_ones() -> None:
    names = set(vit_to_timm(_small().state_dict()))
    inner = "norm1.weight norm1.bias attn.qkv.weight attn.qkv.bias attn.proj.weight attn.proj.bias norm2.weight"
    inner += " norm2.bias mlp.fc1.weight mlp.fc1.bias mlp.fc2.weight mlp.fc2.bias"
    outer = (
        "cls_token pos_embed patch_embed.proj.weight patch_embed.proj.bias norm.weight norm.bias head.weight head.bias"
    )
    assert names == {*outer.split(), *(f"blocks.{i}.{name}" for i in range(2) for name in inner.split())}


def test_old_torchvision_names_are_brought_up_to_date() -> None:
    state = dict(_small().state_dict())
    old = {
        name.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): tensor
        for name, tensor in state.items()
    }
    assert old.keys() != state.keys()
    assert list(migrated(old)) == list(state)
    assert list(migrated(state)) == list(state)


def test_distilled_heads_are_averaged() -> None:
    """One head that sees both tokens answers as the mean of two that see one each."""
    model = _small(prefix_tokens=2)
    timm = vit_to_timm(model.state_dict())
    token, weight, bias = torch.randn(1, 1, 12), torch.randn(5, 12), torch.randn(5)
    timm |= {"dist_token": token, "head_dist.weight": weight, "head_dist.bias": bias}
    timm |= {"cls_token": timm["cls_token"][:, :1], "head.weight": torch.randn(5, 12), "head.bias": torch.randn(5)}
    model.load_state_dict(vit_from_timm(timm))
    logits, embedding = model.forward_features(torch.randn(2, 3, 8, 8))
    class_token, distillation_token = embedding.chunk(2, 1)
    one = class_token @ timm["head.weight"].T + timm["head.bias"]
    two = distillation_token @ weight.T + bias
    assert torch.allclose(logits, (one + two) / 2, atol=1e-5)  # float32 sums in another order
    assert torch.equal(model.class_token[:, 1:], token)


def test_a_distilled_transformer_that_lacks_a_part_is_refused() -> None:
    timm = vit_to_timm(_small().state_dict())
    with pytest.raises(CheckpointInvalid, match=r"missing: head_dist.weight, head_dist.bias"):
        vit_from_timm({**timm, "dist_token": torch.zeros(1, 1, 12)})


def test_layer_scale_becomes_part_of_the_projections() -> None:
    timm = vit_to_timm(_small().state_dict())
    gamma = torch.rand(12)
    scaled = vit_from_timm({**timm, "blocks.1.ls1.gamma": gamma, "blocks.0.ls2.gamma": gamma})
    out = "encoder.layers.encoder_layer_1.self_attention.out_proj"
    x = torch.randn(3, 12)
    before = gamma * (x @ timm["blocks.1.attn.proj.weight"].T + timm["blocks.1.attn.proj.bias"])
    assert torch.allclose(x @ scaled[f"{out}.weight"].T + scaled[f"{out}.bias"], before, atol=1e-5)
    assert torch.equal(scaled["encoder.layers.encoder_layer_0.mlp.3.bias"], gamma * timm["blocks.0.mlp.fc2.bias"])
    assert not any("gamma" in name for name in scaled)


def test_positions_without_one_for_the_class_token_get_zeros() -> None:
    timm = vit_to_timm(_small().state_dict())
    patches = timm["pos_embed"][:, 1:]
    positions = vit_from_timm({**timm, "pos_embed": patches})["encoder.pos_embedding"]
    assert torch.equal(positions[:, 1:], patches)
    assert not positions[:, 0].any()


def test_parts_of_other_shapes_are_refused() -> None:
    timm = vit_to_timm(_small().state_dict())
    with pytest.raises(CheckpointInvalid, match="do not fit each other"):
        vit_from_timm({**timm, "blocks.0.ls1.gamma": torch.ones(5)})


def test_unknown_names_stay() -> None:
    assert "blocks.0.attn.q_norm.weight".replace("blocks.0", "encoder.layers.encoder_layer_0") in vit_from_timm(
        {"blocks.0.attn.q_norm.weight": torch.ones(1)}
    )
    assert "fc_norm.weight" in vit_from_timm({"fc_norm.weight": torch.ones(1)})
