"""What a classifier answers, with a real graph whose logits are known by heart: red, green and blue, 0 to 5."""

import io
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from onnx import TensorProto

from retinue.ops import OpenMax, energy_score, max_softmax_score, sigmoid, softmax
from retinue.runtime.classification_manifest import LogitsOutput, OpenSet
from retinue.runtime.errors import PackageInvalid
from retinue.runtime.onnx_backend import OnnxBackend
from retinue.runtime.package import open_package
from retinue.runtime.picture import PictureLimits, raw_picture
from services.classification.pipeline import (
    Classification,
    ClassificationItem,
    ClassificationOptions,
    ClassificationOutputs,
    ClassificationPipeline,
    scores_of,
)
from tests.unit.serving.tiny_package import SIDE_PX, graph, write_package

EMBEDDED = LogitsOutput(embedding="embedding", embedding_size=3)
ORANGE, GREY, BLACK = (255, 102, 0), (153, 153, 153), (0, 0, 0)  # logits 5 2 0, 3 3 3, 0 0 0
Make = Callable[..., ClassificationPipeline]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a maker of pipelines from what is special about a package."""

    def one(**package: Any) -> ClassificationPipeline:
        write_package(tmp_path, **package)
        opened = open_package(tmp_path / "tiny" / "1")
        return ClassificationPipeline(opened, lambda name: OnnxBackend(opened.path(name)))

    return one


def item_of(rgb: tuple[int, int, int], **options: Any) -> ClassificationItem:
    """Return a picture of one colour, 4 by 3 pixels."""
    picture = raw_picture(bytes(rgb) * 12, 3, 4, "rgb", PictureLimits())
    return ClassificationItem(picture, ClassificationOptions(**options))


def answers(pipeline: ClassificationPipeline, *items: ClassificationItem) -> list[Classification]:
    """Return the answers to a batch, made as a worker makes them."""
    rows = pipeline.allocate(pipeline.bucket(items[0]), 8)
    for index, item in enumerate(items):
        pipeline.prepare(pipeline.decode(item), rows, index)
    return pipeline.finish(items, pipeline.run(rows, len(items)))


def logits_of(rgb: tuple[int, int, int]) -> NDArray[np.float32]:
    return np.array(rgb, np.float32) / np.float32(51)


# --- answers


def test_a_buffer_has_the_models_input_size(make: Make) -> None:
    pipeline = make()
    (bucket,) = pipeline.warm_up_buckets()
    rows = pipeline.allocate(bucket, 5)
    assert rows.shape == (5, SIDE_PX, SIDE_PX, 3)
    assert rows.dtype == np.uint8


def test_labels_are_best_first(make: Make) -> None:
    (answer,) = answers(make(), item_of(ORANGE))
    assert answer.label_ids.tolist() == [0, 1, 2]
    # Two float32 steps of exp and sum.
    assert_allclose(answer.scores, softmax(logits_of(ORANGE)), rtol=1e-6)
    assert answer.manifest.name == "tiny"


def test_equal_scores_stand_in_the_order_of_their_ids(make: Make) -> None:
    (answer,) = answers(make(), item_of(GREY))
    assert answer.label_ids.tolist() == [0, 1, 2]
    assert len(set(answer.scores.tolist())) == 1


@pytest.mark.parametrize(("top_k", "expected"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (2**31 - 1, [0, 1, 2])])
def test_at_most_so_many_labels_are_given(make: Make, top_k: int, expected: list[int]) -> None:
    (answer,) = answers(make(), item_of(ORANGE, top_k=top_k))
    assert answer.label_ids.tolist() == expected
    assert len(answer.scores) == len(expected)


def test_each_item_of_a_batch_gets_as_many_as_it_asked_for(make: Make) -> None:
    batch = [item_of(ORANGE, top_k=k) for k in (3, 1, 2)]
    assert [len(answer.label_ids) for answer in answers(make(), *batch)] == [3, 1, 2]


def test_a_score_at_the_threshold_is_kept(make: Make) -> None:
    pipeline = make()
    (full,) = answers(pipeline, item_of(ORANGE))
    (answer,) = answers(pipeline, item_of(ORANGE, score_threshold=float(full.scores[1])))
    assert answer.label_ids.tolist() == [0, 1]


@pytest.mark.parametrize(("threshold", "count"), [(0.0, 3), (1e-30, 3), (0.5, 1), (0.999, 0), (1.0, 0)])
def test_a_score_below_the_threshold_is_left_out(make: Make, threshold: float, count: int) -> None:
    (answer,) = answers(make(), item_of(ORANGE, score_threshold=threshold))
    assert len(answer.label_ids) == len(answer.scores) == count


def test_the_manifest_says_how_logits_become_scores(make: Make) -> None:
    (answer,) = answers(make(output=LogitsOutput(activation="sigmoid")), item_of(ORANGE))
    assert_allclose(answer.scores, sigmoid(logits_of(ORANGE)), rtol=1e-6)


@pytest.mark.parametrize("own", ["softmax", "sigmoid"])
def test_each_caller_may_say_otherwise(make: Make, own: Any) -> None:
    """Also where the callers of one batch want different things."""
    batch = [item_of(ORANGE, activation=activation) for activation in ("sigmoid", "softmax", None)]
    expected = [sigmoid(logits_of(ORANGE)), softmax(logits_of(ORANGE)), scores_of(logits_of(ORANGE), own)]
    got = answers(make(output=LogitsOutput(activation=own)), *batch)
    assert_allclose([answer.scores for answer in got], expected, rtol=1e-6)


def test_logits_are_given_where_they_are_wanted(make: Make) -> None:
    with_them, without = answers(make(), item_of(ORANGE, is_logits_wanted=True, top_k=1), item_of(ORANGE))
    assert with_them.logits is not None
    assert_allclose(with_them.logits, logits_of(ORANGE), rtol=1e-6)
    assert without.logits is None


def test_features_are_given_where_they_are_wanted(make: Make) -> None:
    pipeline = make(output=EMBEDDED)
    with_them, without = answers(pipeline, item_of(ORANGE, is_embedding_wanted=True), item_of(ORANGE))
    assert with_them.embedding is not None
    assert_allclose(with_them.embedding, 2 * logits_of(ORANGE), rtol=1e-6)
    assert without.embedding is None


def test_a_model_without_features_runs_without_them(make: Make) -> None:
    pipeline = make()
    outputs = pipeline.run(pipeline.allocate(None, 8), 4)
    assert outputs.embeddings.shape == (4, 0)


def test_a_batch_answers_as_each_picture_alone(make: Make) -> None:
    """Whatever the options of its neighbours."""
    pipeline = make(output=EMBEDDED, open_set=OpenSet(method="energy", threshold=-4.0))
    batch = [
        item_of(rgb, top_k=k, score_threshold=threshold, activation=activation)
        for rgb, (k, threshold, activation) in zip(
            (ORANGE, GREY, BLACK, (1, 2, 3)),
            product((1, 3), (0.0, 0.34), ("softmax", "sigmoid")),
            strict=False,
        )
    ]
    for together, item in zip(answers(pipeline, *batch), batch, strict=True):
        (alone,) = answers(pipeline, item)
        assert_array_equal(together.label_ids, alone.label_ids)
        assert_array_equal(together.scores, alone.scores)
        assert together.unknown_score == alone.unknown_score


# --- pictures of no known class


def test_without_calibration_nothing_is_strange(make: Make) -> None:
    (answer,) = answers(make(), item_of(GREY))
    assert answer.unknown_score is None
    assert answer.is_unknown is None


def test_max_softmax_calls_strange_what_no_class_is_sure_of(make: Make) -> None:
    pipeline = make(open_set=OpenSet(method="max_softmax", threshold=0.5))
    sure, unsure = answers(pipeline, item_of(ORANGE), item_of(GREY))
    assert sure.unknown_score == pytest.approx(float(max_softmax_score(logits_of(ORANGE))), rel=1e-6)
    assert unsure.unknown_score == pytest.approx(2 / 3, rel=1e-6)
    assert (sure.is_unknown, unsure.is_unknown) == (False, True)


def test_energy_calls_strange_what_has_small_logits(make: Make) -> None:
    pipeline = make(open_set=OpenSet(method="energy", threshold=-4.5, temperature=2.0))
    known, unknown = answers(pipeline, item_of(ORANGE), item_of(BLACK))
    assert known.unknown_score == pytest.approx(float(energy_score(logits_of(ORANGE), 2.0)), rel=1e-6)
    assert unknown.unknown_score == pytest.approx(-2 * np.log(3), rel=1e-6)
    assert (known.is_unknown, unknown.is_unknown) == (False, True)


def calibration() -> tuple[OpenMax, bytes]:
    """Return an OpenMax calibration of pure colours, and its file."""
    colours = np.eye(3, dtype=np.float32).repeat(4, axis=0) * np.linspace(4, 5, 12, dtype=np.float32)[:, None]
    openmax = OpenMax.fit(colours * 2, colours, np.arange(3).repeat(4), tail_size=3, alpha=2)
    file = io.BytesIO()
    np.savez(
        file,
        means=openmax.means,
        shifts=openmax.shifts,
        scales=openmax.scales,
        shapes=openmax.shapes,
        alpha=openmax.alpha,
    )
    return openmax, file.getvalue()


def test_openmax_calls_strange_what_lies_far_from_its_class(make: Make) -> None:
    openmax, file = calibration()
    pipeline = make(
        output=EMBEDDED,
        files={"openmax.npz": file},
        open_set=OpenSet(method="openmax", threshold=0.5, file="openmax.npz"),
    )
    known, unknown = answers(pipeline, item_of((211, 0, 0)), item_of(GREY))
    for answer, rgb in ((known, (211, 0, 0)), (unknown, GREY)):
        features = 2 * logits_of(rgb)[None]
        expected = float(openmax.score(features, logits_of(rgb)[None])[0])
        assert answer.unknown_score == pytest.approx(expected, rel=1e-5)  # float32 against a graph's float32
    assert (known.is_unknown, unknown.is_unknown) == (False, True)


def test_a_score_at_the_threshold_is_known(make: Make) -> None:
    threshold = float(max_softmax_score(logits_of(GREY)))
    (answer,) = answers(make(open_set=OpenSet(method="max_softmax", threshold=threshold)), item_of(GREY))
    assert answer.unknown_score == threshold
    assert answer.is_unknown is False


@pytest.mark.parametrize("file", [b"", b"\x93NUMPY", b"no archive at all"])
def test_a_broken_calibration_is_a_broken_package(make: Make, file: bytes) -> None:
    with pytest.raises(PackageInvalid, match=r"openmax\.npz"):
        make(
            output=EMBEDDED,
            files={"openmax.npz": file},
            open_set=OpenSet(method="openmax", threshold=1, file="openmax.npz"),
        )


@pytest.mark.parametrize(
    "package",
    [
        {"output": LogitsOutput()},  # no features at all
        {"output": LogitsOutput(embedding="embedding", embedding_size=4), "model": graph(embedding_size=4)},
        {"output": EMBEDDED, "labels": ("a", "b", "c", "d"), "model": graph(class_count=4)},
    ],
    ids=["no features", "other features", "other classes"],
)
def test_a_calibration_of_another_model_is_a_broken_package(make: Make, package: Any) -> None:
    calibrated = OpenSet(method="openmax", threshold=1, file="openmax.npz")
    with pytest.raises(PackageInvalid, match=r"was fitted to \(classes, features\) \(3, 3\)"):
        make(files={"openmax.npz": calibration()[1]}, open_set=calibrated, **package)


# --- a graph that is not what its manifest says


@pytest.mark.parametrize(
    ("package", "problem"),
    [
        ({"model": graph(input_name="picture")}, "the graph has no input image"),
        ({"model": graph(input_type=TensorProto.FLOAT)}, r"input image is tensor\(float\)"),
        ({"model": graph(batch=1)}, r"input image is tensor\(uint8\)\[1, 2, 2, 3\]"),
        ({"input": {"height": 3, "width": 2, "fit": "stretch"}}, r"needs tensor\(uint8\)\[batch, 3, 2, 3\]"),
        ({"labels": ("a", "b")}, r"output logits is .*\[batch, 2\]"),
        ({"labels": ("a", "b", "c", "d")}, r"output logits is .*\[batch, 4\]"),
        ({"model": graph(logits_type=TensorProto.DOUBLE)}, r"output logits is tensor\(double\)"),
        ({"output": LogitsOutput(logits="scores")}, "the graph has no output scores"),
        ({"output": LogitsOutput(embedding="features", embedding_size=3)}, "the graph has no output features"),
        ({"output": LogitsOutput(embedding="embedding", embedding_size=4)}, r"output embedding is .*\[batch, 4\]"),
    ],
)
def test_a_graph_that_is_not_what_its_manifest_says_is_refused(make: Make, package: Any, problem: str) -> None:
    with pytest.raises(PackageInvalid, match=rf"^tiny@1: .*{problem}"):
        make(**package)


def test_a_graph_that_leaves_its_sizes_open_is_taken(make: Make) -> None:
    pipeline = make(model=graph(class_count="classes"))  # type: ignore[arg-type]  # a name instead of a number
    (answer,) = answers(pipeline, item_of(ORANGE))
    assert answer.label_ids.tolist() == [0, 1, 2]


def test_logits_that_are_no_numbers_are_a_fault(make: Make) -> None:
    """Better no answer than one that means nothing; the worker tries each item alone, so that its neighbours live."""
    nothing = ClassificationOutputs(np.full((1, 3), np.nan, np.float32), np.empty((1, 0), np.float32))
    with pytest.raises(ValueError, match=r"finite|NaN|infinite"):
        make().finish([item_of(ORANGE)], nothing)
