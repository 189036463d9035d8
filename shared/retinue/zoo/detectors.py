"""The detectors that the zoo knows by name, at their published sizes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from retinue.zoo.body import Body
from retinue.zoo.detr import Detr
from retinue.zoo.detr_transformer import DetrTransformer
from retinue.zoo.faster_rcnn import FasterRcnn
from retinue.zoo.faster_rcnn_policy import MOBILENET, MOBILENET_320, FasterRcnnPolicy
from retinue.zoo.frozen_norm import freeze_norms
from retinue.zoo.mobilenet_body import MobileNetBody
from retinue.zoo.mobilenet_v3 import LARGE
from retinue.zoo.resnet import REPEATS, BasicBlock, Bottleneck, ResNet


@dataclass(frozen=True, slots=True)
class TwoStageArchitecture:
    """One two-stage detector at its published size."""

    build: Callable[..., FasterRcnn]
    """Takes the keyword arguments of `FasterRcnn` to differ from the published one, such as ``class_count``."""
    policy: FasterRcnnPolicy


def _two_stage(body: Callable[[], Body], *, frozen_eps: float | None, **published: Any) -> Callable[..., FasterRcnn]:
    def build(**options: Any) -> FasterRcnn:
        network = body()
        if frozen_eps is not None:
            freeze_norms(network, frozen_eps)
        return FasterRcnn(network, **{**published, **options})

    return build


def _resnet(depth: int, **options: Any) -> Callable[[], ResNet]:
    return partial(ResNet, Bottleneck if depth >= 50 else BasicBlock, REPEATS[depth], **options)


_MOBILENET = _two_stage(partial(MobileNetBody, LARGE), frozen_eps=1e-5, anchor_count=15)

TWO_STAGE: Mapping[str, TwoStageArchitecture] = MappingProxyType(
    {
        "fasterrcnn_resnet18_fpn": TwoStageArchitecture(_two_stage(_resnet(18), frozen_eps=0.0), FasterRcnnPolicy()),
        "fasterrcnn_resnet50_fpn": TwoStageArchitecture(_two_stage(_resnet(50), frozen_eps=0.0), FasterRcnnPolicy()),
        "fasterrcnn_resnet50_fpn_v2": TwoStageArchitecture(
            _two_stage(
                _resnet(50),
                frozen_eps=None,
                proposal_depth=2,
                head_convolutions=(256, 256, 256, 256),
                has_pyramid_norm=True,
            ),
            FasterRcnnPolicy(),
        ),
        "fasterrcnn_mobilenet_v3_large_fpn": TwoStageArchitecture(_MOBILENET, MOBILENET),
        "fasterrcnn_mobilenet_v3_large_320_fpn": TwoStageArchitecture(_MOBILENET, MOBILENET_320),
    }
)
"""Every two-stage detector by name."""


def build_detr(depth: int = 50, *, is_dilated: bool = False, class_count: int = 92, query_count: int = 100) -> Detr:
    """Return a DETR over a ResNet at its published size.

    Args:
        depth: of the ResNet.
        is_dilated: whether its last stage keeps the size of the one before.
        class_count: classes with no object, which is the last.
        query_count: how many boxes come out.
    """
    body = _resnet(depth, returned=(4,), is_dilated=is_dilated)()
    freeze_norms(body)
    return Detr(body, DetrTransformer(), class_count=class_count, query_count=query_count)
