"""What every classification architecture of the zoo offers to training, import and export."""

from abc import abstractmethod

from torch import Tensor, nn


class Classifier(nn.Module):
    """A network from normalised pictures to logits, by way of an embedding."""

    @abstractmethod
    def forward_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [batch, classes] and the embedding before the last linear layer [batch, embedding_size].

        Args:
            x: float32 [batch, 3, height, width], RGB, normalised as the weights were trained.
        """

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [batch, classes] of normalised pictures [batch, 3, height, width]."""
        return self.forward_features(x)[0]

    @property
    @abstractmethod
    def stem(self) -> nn.Conv2d:
        """The first convolution, which alone sees the picture."""

    @property
    @abstractmethod
    def head(self) -> nn.Linear:
        """The last linear layer, from embedding to logits."""

    @property
    def class_count(self) -> int:
        """How many classes the logits have."""
        return self.head.out_features

    @property
    def embedding_size(self) -> int:
        """How many features one embedding has."""
        return self.head.in_features


def initialise_convolutional(model: nn.Module) -> None:
    """Fill a convolutional network with the weights to train from: He for convolutions, small normal for linear layers.

    Source:
        He et al., ICCV 2015, arXiv:1502.01852, fan-out mode.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)
