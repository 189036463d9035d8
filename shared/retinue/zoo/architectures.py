"""The architectures that the zoo knows by name: how each is built, and the pictures its published weights expect."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from retinue.zoo.blocks import divisible
from retinue.zoo.classifier import Classifier
from retinue.zoo.mobilenet_v1 import MobileNetV1
from retinue.zoo.mobilenet_v2 import MobileNetV2
from retinue.zoo.mobilenet_v3 import LARGE, SMALL, Bottleneck, MobileNetV3
from retinue.zoo.vision_transformer import VisionTransformer

Triple = tuple[float, float, float]
IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
HALF: Triple = (0.5, 0.5, 0.5)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How pictures are made ready: shorter side scaled with antialiasing, centre cut out, normalised."""

    input_size: int
    """Side of the input, pixels."""
    short_side: int
    """Length of the shorter side after scaling, pixels, at least ``input_size``."""
    kernel: Literal["bilinear", "bicubic"]
    mean: Triple = IMAGENET_MEAN
    """Of the normalisation, RGB, for pixels in [0, 1]."""
    std: Triple = IMAGENET_STD
    """Of the normalisation, RGB, for pixels in [0, 1]."""

    def policy(self, height: int, width: int) -> dict[str, Any]:
        """Return the input policy of a manifest for an input of another size: the same share is cut away.

        >>> PREPROCESSING["torchvision"].policy(112, 112)["short_side"]
        128
        """
        short_side = round(max(height, width) * self.short_side / self.input_size)
        return {"height": height, "width": width, "fit": "crop", "short_side": short_side, "kernel": self.kernel}


PREPROCESSING: Mapping[str, Preprocessing] = MappingProxyType(
    {
        "torchvision": Preprocessing(224, 256, "bilinear"),
        "torchvision_v2": Preprocessing(224, 232, "bilinear"),
        "torchvision_vit_l_16": Preprocessing(224, 242, "bilinear"),
        "swag_e2e": Preprocessing(384, 384, "bicubic"),
        "swag_linear": Preprocessing(224, 224, "bicubic"),
        "deit": Preprocessing(224, 256, "bicubic"),
        "deit_384": Preprocessing(384, 384, "bicubic"),
        "timm_mobilenet": Preprocessing(224, 256, "bicubic"),
        "timm_mobilenet_v1": Preprocessing(224, 256, "bicubic", HALF, HALF),
        "timm_vit": Preprocessing(224, 248, "bicubic", HALF, HALF),
        "timm_vit_384": Preprocessing(384, 384, "bicubic", HALF, HALF),
    }
)
"""Ways in which published weights were trained, by name; the crop of 224 out of 248 is 90 %, of 256 is 87.5 %."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """One architecture at its published size."""

    build: Callable[..., Classifier]
    """Takes the keyword arguments of its class to differ from the published size, such as ``class_count``."""
    preprocessing: Preprocessing
    """What its best-known weights expect."""


def _v3(rows: tuple[Bottleneck, ...], published_last: int, *, width: float = 1.0, **options: Any) -> MobileNetV3:
    """Return a MobileNetV3 whose last layer too is multiplied unless its width is given."""
    return MobileNetV3(rows, **{"last_channels": divisible(published_last * width), "width": width, **options})


def _vit(hidden: int, depth: int, heads: int, patch_size: int) -> Callable[..., VisionTransformer]:
    return partial(VisionTransformer, hidden=hidden, depth=depth, heads=heads, patch_size=patch_size)


_TORCHVISION, _TIMM_VIT, _DEIT = PREPROCESSING["torchvision"], PREPROCESSING["timm_vit"], PREPROCESSING["deit"]

ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        "mobilenet_v1": Architecture(MobileNetV1, _TORCHVISION),
        "mobilenet_v2": Architecture(MobileNetV2, _TORCHVISION),
        "mobilenet_v3_small": Architecture(partial(_v3, SMALL, 1024), _TORCHVISION),
        "mobilenet_v3_large": Architecture(partial(_v3, LARGE, 1280), _TORCHVISION),
        "vit_tiny_16": Architecture(_vit(192, 12, 3, 16), _TIMM_VIT),
        "vit_small_16": Architecture(_vit(384, 12, 6, 16), _TIMM_VIT),
        "vit_b_16": Architecture(_vit(768, 12, 12, 16), _TORCHVISION),
        "vit_b_32": Architecture(_vit(768, 12, 12, 32), _TORCHVISION),
        "vit_l_16": Architecture(_vit(1024, 24, 16, 16), PREPROCESSING["torchvision_vit_l_16"]),
        "vit_l_32": Architecture(_vit(1024, 24, 16, 32), _TORCHVISION),
        "vit_h_14": Architecture(_vit(1280, 32, 16, 14), PREPROCESSING["swag_linear"]),
        "deit_tiny_16": Architecture(_vit(192, 12, 3, 16), _DEIT),
        "deit_small_16": Architecture(_vit(384, 12, 6, 16), _DEIT),
        "deit_b_16": Architecture(_vit(768, 12, 12, 16), _DEIT),
    }
)
"""Every architecture by name."""


def build(name: str, **options: Any) -> Classifier:
    """Return an architecture with fresh weights, at its published size unless ``options`` say otherwise.

    Args:
        name: a key of `ARCHITECTURES`.
        options: keyword arguments of the architecture's class, such as ``class_count``, ``width`` or ``image_size``.

    Raises:
        ValueError: there is no such architecture; the message lists those that are.

    >>> build("mobilenet_v3_small", width=0.5, class_count=10).embedding_size
    512
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"no architecture {name!r}; there are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name].build(**options)
