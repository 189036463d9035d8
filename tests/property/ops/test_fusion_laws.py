"""Weighted boxes fusion against the authors' own package."""

import warnings
from typing import Literal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from retinue.ops import weighted_boxes_fusion

Confidence = Literal["avg", "max", "box_and_model_avg", "absent_model_aware_avg"]

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the package's own imports warn
    peer = pytest.importorskip("ensemble_boxes").weighted_boxes_fusion


@settings(deadline=None, max_examples=150)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 12), min_size=1, max_size=4),
    st.sampled_from(["avg", "max", "box_and_model_avg", "absent_model_aware_avg"]),
    st.booleans(),
)
def test_boxes_and_scores_are_the_authors(
    seed: int,
    counts: list[int],
    confidence: Confidence,
    allows_overflow: bool,  # noqa: FBT001, hypothesis gives it
) -> None:
    assume(sum(counts) > 0)
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0.2, 0.8, (4, 2))
    boxes, scores, labels = [], [], []
    for count in counts:
        centre = centres[rng.integers(0, 4, count)] + rng.normal(0, 0.02, (count, 2))
        half = rng.uniform(0.05, 0.2, (count, 2))
        boxes.append(np.clip(np.hstack([centre - half, centre + half]), 0, 1))
        scores.append(rng.random(count))
        labels.append(rng.integers(0, 2, count))
    weights = rng.uniform(0.5, 2, len(counts)).tolist()
    ours = weighted_boxes_fusion(
        boxes, scores, labels, weights=weights, confidence=confidence, allows_overflow=allows_overflow, size=(1, 1)
    )
    theirs = peer(boxes, scores, labels, weights=weights, conf_type=confidence, allows_overflow=allows_overflow)
    assert len(ours[0]) == len(theirs[0])
    assert np.allclose(ours[1], theirs[1], atol=1e-5)  # the peer sums in float32
    assert np.allclose(ours[0], theirs[0], atol=1e-5)
    assert np.array_equal(ours[2], theirs[2])
