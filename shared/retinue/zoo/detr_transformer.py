"""The encoder and decoder of a detection transformer, in the layout in which their weights are published.

Source:
    Carion et al., ECCV 2020, arXiv:2005.12872, section 3.2 and appendix A.3: positions are added to queries and keys of
    every attention, normalisation comes after each addition.
"""

from torch import Tensor, nn
from torch.nn import functional

from retinue.zoo.attention import MultiHeadAttention


class EncoderLayer(nn.Module):
    """Cells attend to cells: keys ``self_attn.*``, ``linear{1,2}.*``, ``norm{1,2}.*``.

    Args:
        hidden: length of a token.
        heads: attention heads.
        feedforward: width of the perceptron's middle.
        dropout: share dropped after attention and in the perceptron, in training.
    """

    def __init__(self, hidden: int, *, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = MultiHeadAttention(hidden, heads=heads, dropout=dropout)
        self.linear1 = nn.Linear(hidden, feedforward)
        self.linear2 = nn.Linear(feedforward, hidden)
        self.norm1 = nn.LayerNorm(hidden)
        self.norm2 = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, positions: Tensor, is_inside: Tensor) -> Tensor:
        """Return [batch, cells, hidden] of the same; ``is_inside`` is bool [batch, cells]."""
        placed = x + positions
        x = self.norm1(x + self.dropout(self.self_attn(placed, placed, x, is_source=is_inside)))
        widened = self.dropout(functional.relu(self.linear1(x)))
        out: Tensor = self.norm2(x + self.dropout(self.linear2(widened)))
        return out


class DecoderLayer(nn.Module):
    """Queries attend to queries, then to cells: keys of the encoder's, ``multihead_attn.*`` and ``norm3.*``.

    Args:
        hidden: length of a token.
        heads: attention heads.
        feedforward: width of the perceptron's middle.
        dropout: share dropped after attention and in the perceptron, in training.
    """

    def __init__(self, hidden: int, *, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = MultiHeadAttention(hidden, heads=heads, dropout=dropout)
        self.multihead_attn = MultiHeadAttention(hidden, heads=heads, dropout=dropout)
        self.linear1 = nn.Linear(hidden, feedforward)
        self.linear2 = nn.Linear(feedforward, hidden)
        self.norm1 = nn.LayerNorm(hidden)
        self.norm2 = nn.LayerNorm(hidden)
        self.norm3 = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, queries: Tensor, memory: Tensor, placed_memory: Tensor, is_inside: Tensor) -> Tensor:
        """Return [batch, queries, hidden] of the same.

        Args:
            x: what the queries have gathered so far.
            queries: [queries, hidden], what each asks for.
            memory: [batch, cells, hidden], the encoded picture.
            placed_memory: the same with positions added.
            is_inside: bool [batch, cells].
        """
        asking = x + queries
        x = self.norm1(x + self.dropout(self.self_attn(asking, asking, x)))
        gathered = self.multihead_attn(x + queries, placed_memory, memory, is_source=is_inside)
        x = self.norm2(x + self.dropout(gathered))
        widened = self.dropout(functional.relu(self.linear1(x)))
        out: Tensor = self.norm3(x + self.dropout(self.linear2(widened)))
        return out


class DetrTransformer(nn.Module):
    """Keys ``encoder.layers.{i}.*``, ``decoder.layers.{i}.*`` and ``decoder.norm.*``.

    Args:
        hidden: length of a token.
        heads: attention heads.
        encoder_depth: count of encoder layers.
        decoder_depth: count of decoder layers.
        feedforward: width of the perceptrons' middle.
        dropout: share dropped in training.
    """

    def __init__(
        self,
        hidden: int = 256,
        *,
        heads: int = 8,
        encoder_depth: int = 6,
        decoder_depth: int = 6,
        feedforward: int = 2048,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        options = {"heads": heads, "feedforward": feedforward, "dropout": dropout}
        encoder = nn.ModuleList(EncoderLayer(hidden, **options) for _ in range(encoder_depth))  # type: ignore[arg-type]
        decoder = nn.ModuleList(DecoderLayer(hidden, **options) for _ in range(decoder_depth))  # type: ignore[arg-type]
        self.encoder = nn.ModuleDict({"layers": encoder})
        self.decoder = nn.ModuleDict({"layers": decoder, "norm": nn.LayerNorm(hidden)})
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, cells: Tensor, positions: Tensor, is_inside: Tensor, queries: Tensor) -> Tensor:
        """Return what each query has found, [batch, queries, hidden].

        Args:
            cells: [batch, cells, hidden].
            positions: [batch, cells, hidden].
            is_inside: bool [batch, cells].
            queries: [queries, hidden].
        """
        for layer in self.encoder["layers"].children():
            cells = layer(cells, positions, is_inside)
        placed = cells + positions
        x = queries.new_zeros(1, 1, 1).expand(cells.shape[0], *queries.shape)
        for layer in self.decoder["layers"].children():
            x = layer(x, queries, cells, placed, is_inside)
        out: Tensor = self.decoder["norm"](x)
        return out
