import numpy as np
import torch

from retinue.zoo.faster_rcnn import FasterRcnn
from retinue.zoo.faster_rcnn_loss import Sampling, Targets, _second_stage, faster_rcnn_losses
from retinue.zoo.faster_rcnn_policy import FasterRcnnPolicy
from retinue.zoo.plain_trunk import PlainTrunk

POLICY = FasterRcnnPolicy(anchor_sizes=((16.0,), (32.0,), (64.0,)), strides=(4, 8, 16), size_divisor=16)
SAMPLING = Sampling(anchors=64, boxes=32, proposals=50)
NOTHING = Targets(np.zeros((0, 4), np.float32), np.zeros(0, np.int64))


def _model() -> FasterRcnn:
    torch.manual_seed(0)
    trunk = PlainTrunk((8, 12, 16, 16), depth=1)
    return FasterRcnn(trunk, class_count=3, pyramid_channels=16, hidden=32, has_pooled_level=False)


def _scene() -> tuple[torch.Tensor, list[Targets]]:
    """Return a bright square of class 1 and a dark one of class 2, and an empty picture."""
    pictures = torch.zeros(2, 3, 64, 64)
    pictures[0, :, 8:28, 6:26], pictures[0, :, 34:60, 30:56] = 2, -2
    boxes = np.array([[6, 8, 26, 28], [30, 34, 56, 60]], np.float32)
    return pictures, [Targets(boxes, np.array([1, 2])), NOTHING]


def test_losses_fall_when_a_scene_is_learnt() -> None:
    model, (pictures, targets) = _model().train(), _scene()
    optimizer, rng = torch.optim.Adam(model.parameters(), 3e-3), np.random.default_rng(0)
    totals = []
    for _ in range(30):
        losses = faster_rcnn_losses(model, pictures, targets, POLICY, rng, SAMPLING)
        total = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.5 * totals[0]


def test_pictures_without_objects_teach_background_alone() -> None:
    pictures, _ = _scene()
    losses = faster_rcnn_losses(_model(), pictures, [NOTHING, NOTHING], POLICY, np.random.default_rng(0), SAMPLING)
    assert losses["proposal_boxes"].item() == losses["boxes"].item() == 0
    assert losses["objectness"].item() > 0
    assert losses["classes"].item() > 0


def test_every_weight_learns_and_none_by_way_of_the_proposals_coordinates() -> None:
    model, (pictures, targets) = _model(), _scene()
    losses = faster_rcnn_losses(model, pictures, targets, POLICY, np.random.default_rng(0), SAMPLING)
    total = torch.stack(list(losses.values())).sum()
    gradients = torch.autograd.grad(total, list(model.parameters()), retain_graph=True)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    proposal_weights = list(model.rpn.parameters())
    second = torch.autograd.grad(losses["classes"] + losses["boxes"], proposal_weights, allow_unused=True)
    assert all(gradient is None for gradient in second)


def test_the_same_seed_gives_the_same_losses() -> None:
    (pictures, targets), model = _scene(), _model()
    one, other = (
        faster_rcnn_losses(model, pictures, targets, POLICY, np.random.default_rng(3), SAMPLING) for _ in range(2)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_no_candidates_teach_the_second_stage_nothing() -> None:
    pictures, _ = _scene()
    model, rng = _model(), np.random.default_rng(0)
    candidates = [NOTHING.boxes] * 2
    losses = _second_stage(model, model.levels(pictures), candidates, [NOTHING] * 2, POLICY, rng, SAMPLING)
    assert [loss.item() for loss in losses] == [0, 0]
