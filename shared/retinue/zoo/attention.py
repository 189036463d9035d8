"""Multi-head attention in the parameter layout in which transformers for vision are published."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention over several heads, queries, keys and values from one fused projection with bias.

    Keys are ``in_proj_weight`` (rows of query, key and value stacked in that order), ``in_proj_bias`` and
    ``out_proj.*``: those of `torch.nn.MultiheadAttention`, whose own graph is full of shape bookkeeping.

    Args:
        hidden: length of a token, a multiple of ``heads``.
        heads: how many subspaces attend on their own; each has ``d = hidden / heads`` dimensions.
        dropout: share of attention weights dropped in training, in [0, 1).

    Raises:
        ValueError: ``heads`` does not divide ``hidden``.

    Source:
        Vaswani et al., NeurIPS 2017, arXiv:1706.03762, section 3.2: softmax(q kᵀ / √d) v.

    >>> MultiHeadAttention(12, heads=3)(torch.zeros(2, 5, 12)).shape
    torch.Size([2, 5, 12])
    """

    def __init__(self, hidden: int, *, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if heads < 1 or hidden % heads:
            raise ValueError(f"hidden {hidden} is no multiple of heads {heads}")
        self.hidden = hidden
        self.heads = heads
        self.scale = (hidden // heads) ** -0.5
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * hidden, hidden))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * hidden))
        self.out_proj = nn.Linear(hidden, hidden)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        *,
        is_source: Tensor | None = None,
    ) -> Tensor:
        """Return what each query token gathers.

        Args:
            query: [batch, tokens, hidden].
            key: [batch, sources, hidden]; default: ``query``.
            value: [batch, sources, hidden]; default: ``key``.
            is_source: bool [batch, sources], false for those that nothing is gathered from; at least one of each row is
                true. Default: all.

        Returns:
            [batch, tokens, hidden].
        """
        if key is None and value is None:
            q, k, v = self._thirds(functional.linear(query, self.in_proj_weight, self.in_proj_bias), -1)
        else:
            key = query if key is None else key
            value = key if value is None else value
            weights, biases = self._thirds(self.in_proj_weight, 0), self._thirds(self.in_proj_bias, 0)
            q, k, v = map(functional.linear, (query, key, value), weights, biases)
        q, k, v = map(self._by_head, (q, k, v))
        mask = None if is_source is None else is_source[:, None, None]
        if torch.onnx.is_in_onnx_export():
            # Spelled out, because these three operators are what runtimes fuse.
            scores = q @ k.transpose(2, 3) * self.scale
            out = (scores if mask is None else torch.where(mask, scores, -torch.inf)).softmax(-1) @ v
        else:
            out = functional.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, dropout_p=self.dropout if self.training else 0.0
            )
        batch, _, tokens, _ = out.shape
        gathered: Tensor = self.out_proj(out.transpose(1, 2).reshape(batch, tokens, self.hidden))
        return gathered

    def _thirds(self, x: Tensor, dim: int) -> tuple[Tensor, ...]:
        """Return the parts of queries, keys and values; by size, since thirds would be computed in the graph."""
        return x.split(self.hidden, dim)  # type: ignore[no-untyped-call,no-any-return]  # torch leaves it untyped

    def _by_head(self, x: Tensor) -> Tensor:
        """Return [batch, heads, tokens, d] of [batch, tokens, hidden]."""
        batch, tokens, _ = x.shape
        return x.reshape(batch, tokens, self.heads, self.hidden // self.heads).transpose(1, 2)
