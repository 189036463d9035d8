"""The Vision Transformer of any size, in the layout in which its weights are published.

Source:
    Dosovitskiy et al., ICLR 2021, arXiv:2010.11929: pre-norm blocks, learned positions, exact GELU, and, as in the
    authors' code, LayerNorm epsilon 1e-6.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from retinue.zoo.attention import MultiHeadAttention
from retinue.zoo.classifier import Classifier

LAYER_NORM_EPS = 1e-6


class EncoderBlock(nn.Module):
    """Attention, then a two-layer perceptron, each on normalised tokens and added to its input.

    Args:
        hidden: length of a token.
        heads: attention heads.
        mlp: width of the perceptron's middle.
        dropout: share dropped after attention and in the perceptron, in training.

    Source:
        Dosovitskiy et al., arXiv:2010.11929, equations 2 and 3.
    """

    def __init__(self, hidden: int, *, heads: int, mlp: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(hidden, LAYER_NORM_EPS)
        self.self_attention = MultiHeadAttention(hidden, heads=heads)
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = nn.LayerNorm(hidden, LAYER_NORM_EPS)
        widen, narrow = nn.Linear(hidden, mlp), nn.Linear(mlp, hidden)
        self.mlp = nn.Sequential(widen, nn.GELU(), nn.Dropout(dropout), narrow, nn.Dropout(dropout))
        for layer in (widen, narrow):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.normal_(layer.bias, std=1e-6)

    def forward(self, x: Tensor, wanted: int | None = None) -> Tensor:
        """Return the first ``wanted`` tokens, all by default, [batch, wanted, hidden] of [batch, tokens, hidden]."""
        normed = self.ln_1(x)
        if wanted is None:
            attended = self.self_attention(normed)
        else:
            attended = self.self_attention(normed[:, :wanted], normed)
            x = x[:, :wanted]
        x = x + self.dropout(attended)
        out: Tensor = x + self.mlp(self.ln_2(x))
        return out


class Encoder(nn.Module):
    """Positions and the stack of blocks: keys ``pos_embedding``, ``layers.encoder_layer_{i}.*``, ``ln.*``."""

    def __init__(self, tokens: int, hidden: int, *, depth: int, heads: int, mlp: int, dropout: float) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.empty(1, tokens, hidden).normal_(std=0.02))
        self.dropout = nn.Dropout(dropout)
        blocks = (
            (f"encoder_layer_{i}", EncoderBlock(hidden, heads=heads, mlp=mlp, dropout=dropout)) for i in range(depth)
        )
        self.layers = nn.Sequential(OrderedDict(blocks))
        self.ln = nn.LayerNorm(hidden, LAYER_NORM_EPS)

    def forward(self, x: Tensor, wanted: int) -> Tensor:
        """Return the first ``wanted`` of [batch, tokens, hidden] encoded and normalised, [batch, wanted, hidden].

        The last block works for the wanted tokens only: same answer, a depth-th part of the work less most of it.
        """
        x = self.dropout(x + self.pos_embedding)
        *blocks, last = self.layers
        for block in blocks:
            x = block(x)
        out: Tensor = self.ln(last(x, wanted))
        return out


class VisionTransformer(Classifier):
    """A picture cut into patches, a transformer over them, logits from the class token.

    Args:
        image_size: height and width of the picture, pixels, multiples of ``patch_size``.
        patch_size: side of a patch, pixels.
        hidden: length of a token, a multiple of ``heads``.
        depth: count of encoder blocks.
        heads: attention heads; default ``hidden / 64``, at least 1.
        mlp: width of each block's perceptron; default four times ``hidden``.
        class_count: length of the logits.
        prefix_tokens: learned tokens before the patches. A distilled DeiT has two, class and distillation; the head
            then sees them side by side, which holds its two averaged heads as one.
        representation_size: width of a tanh layer before the logits; None leaves it out.
        dropout: share dropped in training.

    Raises:
        ValueError: the picture is no whole number of patches, or ``heads`` does not divide ``hidden``.

    >>> model = VisionTransformer(image_size=(32, 48), patch_size=4, hidden=96, depth=2, heads=3, class_count=10).eval()
    >>> [tuple(x.shape) for x in model.forward_features(torch.zeros(2, 3, 32, 48))]
    [(2, 10), (2, 96)]
    """

    def __init__(  # noqa: PLR0913 - the dimensions of a transformer
        self,
        *,
        image_size: int | tuple[int, int] = 224,
        patch_size: int = 16,
        hidden: int,
        depth: int,
        heads: int | None = None,
        mlp: int | None = None,
        class_count: int = 1000,
        prefix_tokens: int = 1,
        representation_size: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        if height < patch_size or width < patch_size or height % patch_size or width % patch_size:
            raise ValueError(f"image size {height}x{width} is no whole number of {patch_size}-pixel patches")
        self.image_size = (height, width)
        self.grid = (height // patch_size, width // patch_size)
        self.prefix_tokens = prefix_tokens
        tokens = self.grid[0] * self.grid[1] + prefix_tokens

        self.class_token = nn.Parameter(torch.zeros(1, prefix_tokens, hidden))
        self.conv_proj = nn.Conv2d(3, hidden, patch_size, patch_size)
        self.encoder = Encoder(
            tokens, hidden, depth=depth, heads=heads or max(1, hidden // 64), mlp=mlp or 4 * hidden, dropout=dropout
        )
        width_before, layers = prefix_tokens * hidden, OrderedDict[str, nn.Module]()
        if representation_size is not None:
            layers["pre_logits"] = nn.Linear(width_before, representation_size)
            layers["act"] = nn.Tanh()
            width_before = representation_size
        layers["head"] = nn.Linear(width_before, class_count)
        self.heads = nn.Sequential(layers)
        nn.init.trunc_normal_(self.conv_proj.weight, std=(3 * patch_size**2) ** -0.5)
        nn.init.zeros_(self.conv_proj.bias)  # type: ignore[arg-type]  # built with one
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [batch, class_count] and embedding, the normalised prefix tokens [batch, embedding_size]."""
        cells, hidden = self.grid[0] * self.grid[1], self.conv_proj.out_channels
        patches = self.conv_proj(x).reshape(-1, hidden, cells).transpose(1, 2)  # row by row
        prefix = self.class_token.expand(x.shape[0], self.prefix_tokens, hidden)
        encoded = self.encoder(torch.cat([prefix, patches], 1), self.prefix_tokens)
        embedding = self.heads[:-1](encoded.reshape(-1, self.prefix_tokens * hidden))
        return self.heads[-1](embedding), embedding

    @property
    def stem(self) -> nn.Conv2d:
        """The patch projection."""
        return self.conv_proj

    @property
    def head(self) -> nn.Linear:
        """The last linear layer."""
        return self.get_submodule("heads.head")  # type: ignore[return-value]  # built above
