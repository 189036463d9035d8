import pytest
import torch
from torch import nn

from retinue.zoo.attention import MultiHeadAttention


def _pair(hidden: int, heads: int) -> tuple[MultiHeadAttention, nn.MultiheadAttention]:
    """Return ours and PyTorch's with the same random weights, biases included."""
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(hidden, heads, batch_first=True).eval()
    nn.init.normal_(theirs.in_proj_bias)
    ours = MultiHeadAttention(hidden, heads=heads).eval()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize(("hidden", "heads"), [(12, 1), (12, 3), (64, 8)])
def test_self_attention_agrees_with_pytorchs(hidden: int, heads: int) -> None:
    ours, theirs = _pair(hidden, heads)
    x = torch.randn(2, 5, hidden)
    assert torch.allclose(ours(x), theirs(x, x, x, need_weights=False)[0], atol=1e-6)  # float32 sums in another order


def test_attention_to_other_tokens_agrees_with_pytorchs() -> None:
    ours, theirs = _pair(12, 3)
    query, key, value = torch.randn(2, 4, 12), torch.randn(2, 7, 12), torch.randn(2, 7, 12)
    assert torch.allclose(ours(query, key, value), theirs(query, key, value)[0], atol=1e-6)
    assert torch.allclose(ours(query, key), theirs(query, key, key)[0], atol=1e-6)


def test_the_form_that_is_exported_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, _ = _pair(12, 3)
    x = torch.randn(2, 5, 12)
    expected = ours(x)
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    assert torch.allclose(ours(x), expected, atol=1e-6)


@pytest.mark.parametrize("heads", [0, -1, 5])
def test_heads_must_divide_the_hidden_size(heads: int) -> None:
    with pytest.raises(ValueError, match="no multiple of heads"):
        MultiHeadAttention(12, heads=heads)


def test_sources_that_are_none_are_not_gathered_from() -> None:
    torch.manual_seed(0)
    attention = MultiHeadAttention(8, heads=2).eval()
    query, sources = torch.randn(1, 3, 8), torch.randn(1, 4, 8)
    is_source = torch.tensor([[True, False, True, False]])
    alone = attention(query, sources[:, is_source[0]])
    assert torch.allclose(attention(query, sources, is_source=is_source), alone, atol=1e-6)  # sums of another length
