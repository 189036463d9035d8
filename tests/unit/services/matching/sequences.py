"""Made-up films whose identities are known: what a detector would see of things that pass and hide each other."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retinue.ops import pairwise_iou

Doubles = NDArray[np.float64]

WIDTH, HEIGHT = 960.0, 540.0


@dataclass(frozen=True, slots=True)
class Film:
    """How a film is made.

    Args:
        name: what it shows.
        thing_count: how many things there are at once.
        frame_count: how long it is.
        speed: typical, pixels per frame.
        jitter: of a detected box's edges, in shares of its size, a standard deviation.
        missed_share: of the things that can be seen, in a frame.
        clutter_count: detections of nothing in a frame, on average.
        pillars: left and right edges of what hides everything behind it, over the whole height.
        is_crossing: whether things go straight through the middle, towards each other, in two rows.
    """

    name: str
    thing_count: int = 12
    frame_count: int = 200
    speed: float = 4.0
    jitter: float = 0.03
    missed_share: float = 0.0
    clutter_count: float = 0.0
    pillars: tuple[tuple[float, float], ...] = ()
    is_crossing: bool = False


@dataclass(frozen=True, slots=True)
class FilmFrame:
    """Where the things are, [n, 4] with their numbers [n], and what is detected: [m, 4] with scores [m]."""

    truth: Doubles
    numbers: NDArray[np.int64]
    boxes: Doubles
    scores: Doubles


FILMS = (
    Film("crossing", is_crossing=True),
    Film("occlusion", pillars=((300.0, 380.0), (620.0, 680.0))),
    Film("missed", missed_share=0.2),
    Film("clutter", clutter_count=6.0),
    Film(
        "everything", thing_count=20, missed_share=0.1, clutter_count=4.0, pillars=((450.0, 520.0),), is_crossing=True
    ),
)


def frames(film: Film, seed: int) -> Iterator[FilmFrame]:
    """Yield the frames of a film.

    Things are boxes of a person's shape that go their way with a little unrest and are replaced where they leave. The
    lower a box ends, the nearer it is; of what nearer things or pillars hide the score falls from 0.95 with the share
    that can be seen, and below a quarter there is no detection.
    """
    rng = np.random.default_rng(seed)
    things = np.array([_thing(rng, film, index, is_first=True) for index in range(film.thing_count)])
    numbers = np.arange(1, film.thing_count + 1)
    next_number = film.thing_count + 1
    for _ in range(film.frame_count):
        things[:, 4:] += rng.normal(0, 0.05, (film.thing_count, 2))
        things[:, :2] += things[:, 4:]
        for index in np.flatnonzero((things[:, 0] < -40) | (things[:, 0] > WIDTH + 40)).tolist():
            things[index] = _thing(rng, film, index, is_first=False)
            numbers[index], next_number = next_number, next_number + 1
        truth = np.concatenate([things[:, :2] - things[:, 2:4] / 2, things[:, :2] + things[:, 2:4] / 2], axis=1)
        visible = _visible(truth, film)
        is_found = (visible >= 0.25) & (rng.random(film.thing_count) >= film.missed_share)
        sizes = np.tile(things[:, 2:4], 2)
        boxes = truth + rng.normal(0, film.jitter, truth.shape) * sizes
        scores = np.clip(0.95 * visible**0.7 + rng.normal(0, 0.04, film.thing_count), 0.02, 0.99)
        clutter = _clutter(rng, rng.poisson(film.clutter_count))
        yield FilmFrame(
            truth=truth,
            numbers=numbers.copy(),
            boxes=np.concatenate([boxes[is_found], clutter]),
            scores=np.concatenate([scores[is_found], rng.uniform(0.05, 0.65, len(clutter))]),
        )


def _thing(rng: np.random.Generator, film: Film, index: int, *, is_first: bool) -> list[float]:
    """Return centre, size and velocity of one thing."""
    width = rng.uniform(28, 44)
    direction = 1.0 if index % 2 else -1.0
    speed = direction * film.speed * rng.uniform(0.7, 1.3)
    edge = -30.0 if direction > 0 else WIDTH + 30
    left = rng.uniform(0, WIDTH) if is_first else edge
    rows = (0.4, 0.5, 0.6) if film.is_crossing else (0.2, 0.35, 0.5, 0.65, 0.8)
    top = HEIGHT * rows[int(rng.integers(len(rows)))] + rng.normal(0, 8)
    return [left, top, width, 2.4 * width, speed, rng.normal(0, 0.2)]


def _visible(truth: Doubles, film: Film) -> Doubles:
    """Return which share of each box is hidden by nothing; what hides it counts one by one, the worst of them."""
    areas = (truth[:, 2] - truth[:, 0]) * (truth[:, 3] - truth[:, 1])
    shared = np.clip(
        np.minimum(truth[:, None, 2:], truth[None, :, 2:]) - np.maximum(truth[:, None, :2], truth[None, :, :2]), 0, None
    ).prod(axis=2)
    is_nearer = truth[None, :, 3] > truth[:, None, 3]
    hidden = np.where(is_nearer, shared, 0).max(axis=1) / areas
    widths = truth[:, 2] - truth[:, 0]
    for left, right in film.pillars:
        behind = np.clip(np.minimum(truth[:, 2], right) - np.maximum(truth[:, 0], left), 0, None) / widths
        hidden = np.maximum(hidden, behind)
    visible: Doubles = 1 - hidden
    return visible


def _clutter(rng: np.random.Generator, count: int) -> Doubles:
    centres = rng.uniform((0, 0), (WIDTH, HEIGHT), (count, 2))
    widths = rng.uniform(20, 50, (count, 1))
    halves = np.concatenate([widths, 2.4 * widths], axis=1) / 2
    return np.concatenate([centres - halves, centres + halves], axis=1)


def overlap(truth: Doubles, boxes: Doubles) -> Doubles:
    """Return distances for MOT metrics: 1 less IoU, and NaN where that is below a half."""
    iou = pairwise_iou(truth, boxes)
    return np.where(iou >= 0.5, 1 - iou, np.nan)
