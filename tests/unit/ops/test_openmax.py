"""OpenMax is fitted, scores, and comes back from its file as it was."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cosine, euclidean
from scipy.stats import weibull_min

from retinue.ops import OpenMax, softmax
from retinue.ops.openmax import _eucos, _fit_weibull


def _samples(
    count: int = 200, classes: int = 4, features: int = 6
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Clusters around the axes, the logits being the first features."""
    rng = np.random.default_rng(7)
    labels = np.arange(count) % classes
    activations = rng.normal(0, 0.5, (count, features))
    activations[np.arange(count), labels] += 5
    return activations, activations[:, :classes].copy(), labels


@pytest.fixture(scope="module")
def fitted() -> OpenMax:
    return OpenMax.fit(*_samples(), alpha=3)


def test_distance_is_euclid_over_200_plus_cosine() -> None:
    one, other = np.array([1.0, 2.0, 3.0]), np.array([-1.0, 0.5, 4.0])
    expected = euclidean(one, other) / 200 + cosine(one, other)
    assert _eucos(one[None], other) == pytest.approx(expected, rel=1e-14)  # another order of the sums


def test_a_zero_vector_lies_at_cosine_distance_one() -> None:
    assert _eucos(np.zeros((1, 2)), np.array([0.0, 200.0])).tolist() == [2]


@pytest.mark.parametrize("spread", [0.003, 0.3, 30])
def test_weibull_fit_agrees_with_scipy(spread: float) -> None:
    tail = 1 + np.random.default_rng(1).exponential(spread, 20)
    tail -= tail.min() - 1
    shape, _, scale = weibull_min.fit(tail, floc=0)
    ours_scale, ours_shape = _fit_weibull(tail)
    assert ours_scale == pytest.approx(scale, rel=1e-3)  # scipy stops its simplex at about 1e-4

    def loss(shape: float, scale: float) -> float:
        return float(-weibull_min.logpdf(tail, shape, 0, scale).sum())

    assert loss(ours_shape, ours_scale) <= loss(shape, scale) + 1e-9  # at least as likely, but for rounding


def test_a_tail_of_equal_distances_is_a_step() -> None:
    assert _fit_weibull(np.ones(5)) == pytest.approx((1, 1e6), rel=1e-9)  # the end of the range, by bisection


def test_the_mean_is_taken_over_samples_that_the_model_gets_right() -> None:
    activations = np.array([[1.0, 0.0], [3.0, 0.0], [100.0, 0.0], [0.0, 1.0]])
    logits = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])  # the third is taken for class 1
    assert OpenMax.fit(activations, logits, [0, 0, 0, 1]).means.tolist() == [[2, 0], [0, 1]]


def test_the_tail_holds_the_largest_distances_and_starts_at_one() -> None:
    activations, logits, labels = _samples()
    fitted = OpenMax.fit(activations, logits, labels, tail_size=5)
    members = activations[(labels == 2) & (logits.argmax(axis=1) == labels)]
    tail = np.sort(_eucos(members, members.mean(axis=0)))[-5:]
    assert fitted.shifts[2] == tail[0]
    assert (fitted.scales[2], fitted.shapes[2]) == _fit_weibull(tail - tail[0] + 1)


def test_alpha_above_the_number_of_classes_counts_as_all() -> None:
    assert OpenMax.fit(*_samples(), alpha=99).alpha == 4


def test_probabilities_follow_the_formula() -> None:
    """Written out for one picture, class by class."""
    fitted = OpenMax.fit(*_samples(), alpha=2)
    activation, logits = np.array([3.0, 2.5, 0.2, 0.1, 1.0, 1.0]), np.array([3.0, 2.5, -1.0, 0.1])
    revised, unknown = logits.copy(), 0.0
    for rank, label in enumerate([0, 1]):
        distance = euclidean(activation, fitted.means[label]) / 200 + cosine(activation, fitted.means[label])
        share = weibull_min.cdf(distance - fitted.shifts[label] + 1, fitted.shapes[label], 0, fitted.scales[label])
        weight = 1 - share * (2 - rank) / 2
        revised[label] = logits[label] * weight
        unknown += logits[label] * (1 - weight)
    expected = softmax(np.append(revised, unknown))
    np.testing.assert_allclose(fitted.probabilities(activation[None], logits[None])[0], expected, rtol=1e-12)


def test_probabilities_have_one_class_more_and_sum_to_one(fitted: OpenMax) -> None:
    activations, logits, _ = _samples()
    probabilities = fitted.probabilities(activations, logits)
    assert probabilities.shape == (200, 5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-15)  # a few roundings


def test_score_is_the_last_probability_and_higher_for_strangers(fitted: OpenMax) -> None:
    activations, logits, _ = _samples()
    known = fitted.score(activations, logits)
    assert known.tolist() == fitted.probabilities(activations, logits)[:, -1].tolist()
    stranger = np.full((1, 6), 6.0)
    assert fitted.score(stranger, stranger[:, :4])[0] > known.max()


def test_no_pictures_give_no_scores(fitted: OpenMax) -> None:
    assert fitted.score(np.zeros((0, 6)), np.zeros((0, 4))).shape == (0,)
    assert fitted.probabilities(np.zeros((0, 6)), np.zeros((0, 4))).shape == (0, 5)


def test_float32_is_computed_as_float64(fitted: OpenMax) -> None:
    activations, logits, _ = _samples(8)
    narrow = activations.astype(np.float32), logits.astype(np.float32)
    wide = narrow[0].astype(np.float64), narrow[1].astype(np.float64)
    assert fitted.score(*narrow).tolist() == fitted.score(*wide).tolist()


def test_what_is_not_finite_is_refused_by_name(fitted: OpenMax) -> None:
    activations, logits, labels = _samples(8)
    broken = logits.copy()
    broken[0, 0] = np.nan
    with pytest.raises(ValueError, match="logits: must be finite"):
        fitted.score(activations, broken)
    activations[0, 0] = np.inf
    with pytest.raises(ValueError, match="activations: must be finite"):
        OpenMax.fit(activations, logits, labels)


@pytest.mark.parametrize(
    ("activations", "logits", "labels", "match"),
    [
        (np.ones((2, 3)), np.ones((3, 2)), [0, 1, 1], "activations: must be"),
        (np.ones(3), np.ones((3, 2)), [0, 1, 1], "activations: must be"),
        (np.ones((3, 0)), np.ones((3, 2)), [0, 1, 1], "activations: must be"),
        (np.ones((3, 3)), np.ones(3), [0, 1, 1], "logits: must be"),
        (np.ones((3, 3)), np.ones((3, 0)), [0, 1, 1], "logits: must have at least one class"),
        (np.ones((3, 3)), np.ones((3, 2)), [0, 1], "labels: must be"),
        (np.ones((3, 3)), np.ones((3, 2)), [0.0, 1.0, 1.0], "labels: must be"),
        (np.ones((3, 3)), np.ones((3, 2)), [0, 1, 2], "labels: must be in"),
        (np.ones((3, 3)), np.ones((3, 2)), [0, 1, -1], "labels: must be in"),
        (np.ones((3, 3)), np.ones((3, 2)), [0, 0, 1], "labels: class 1 has no sample"),
        (np.ones((0, 3)), np.ones((0, 2)), np.zeros(0, dtype=int), "labels: class 0 has no sample"),
    ],
)
def test_samples_that_do_not_fit_are_refused_by_name(
    activations: NDArray[Any], logits: NDArray[Any], labels: Any, match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        OpenMax.fit(activations, logits, labels)


@pytest.mark.parametrize("sizes", [{"tail_size": 0}, {"alpha": 0}, {"tail_size": 1.5}])
def test_sizes_below_one_are_refused_by_name(sizes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(sizes))}: "):
        OpenMax.fit(*_samples(), **sizes)


def test_pictures_of_another_model_are_refused(fitted: OpenMax) -> None:
    with pytest.raises(ValueError, match="calibrated for 6 features and 4 classes, got 5 and 4"):
        fitted.score(np.ones((1, 5)), np.ones((1, 4)))
    with pytest.raises(ValueError, match="calibrated for 6 features and 4 classes, got 6 and 3"):
        fitted.score(np.ones((1, 6)), np.ones((1, 3)))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"means": np.ones(4)}, "means: must be"),
        ({"means": np.ones((0, 6))}, "means: must be"),
        ({"means": np.full((4, 6), np.nan)}, "means: must be finite"),
        ({"shifts": np.ones(3)}, "shifts: must be"),
        ({"scales": np.zeros(4)}, "scales: must be above 0"),
        ({"shapes": -np.ones(4)}, "shapes: must be above 0"),
        ({"shapes": np.array(["a"] * 4)}, "shapes: must be real numbers"),
        ({"alpha": 0}, "alpha: must be at least 1"),
        ({"alpha": 5}, "alpha: must be at most 4"),
        ({"alpha": 1.5}, "alpha: must be a whole number"),
    ],
)
def test_a_calibration_that_cannot_be_is_refused_by_name(fitted: OpenMax, change: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        replace(fitted, **change)


def test_the_arrays_cannot_be_changed(fitted: OpenMax) -> None:
    with pytest.raises(ValueError, match="read-only"):
        fitted.means[0, 0] = 1


def test_the_caller_keeps_its_own_arrays(fitted: OpenMax) -> None:
    scales = np.ones(4)
    replace(fitted, scales=scales)
    scales[0] = 2  # would raise if it had been frozen


def test_load_gives_back_what_was_saved(fitted: OpenMax, tmp_path: Path) -> None:
    path = tmp_path / "openmax.npz"
    fitted.save(path)
    for source in (path, io.BytesIO(path.read_bytes())):
        loaded = OpenMax.load(source)
        assert loaded.alpha == fitted.alpha
        for name in ("means", "shifts", "scales", "shapes"):
            assert (getattr(loaded, name) == getattr(fitted, name)).all()


def test_the_same_calibration_makes_the_same_bytes(fitted: OpenMax, tmp_path: Path) -> None:
    fitted.save(tmp_path / "one.npz")
    fitted.save(tmp_path / "other.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "other.npz").read_bytes()


def _archive(**arrays: ArrayLike) -> io.BytesIO:
    file = io.BytesIO()
    np.savez(file, allow_pickle=True, **arrays)
    return io.BytesIO(file.getvalue())


def _parts(fitted: OpenMax) -> dict[str, Any]:
    names = ("means", "shifts", "scales", "shapes", "alpha")
    return {name: getattr(fitted, name) for name in names}


def test_a_missing_or_unknown_array_is_refused(fitted: OpenMax) -> None:
    parts = _parts(fitted)
    with pytest.raises(ValueError, match="not an OpenMax calibration: holds"):
        OpenMax.load(_archive(**parts, more=np.ones(1)))
    del parts["shapes"]
    with pytest.raises(ValueError, match="not an OpenMax calibration: holds"):
        OpenMax.load(_archive(**parts))


@pytest.mark.parametrize("alpha", [np.ones(2, dtype=int), np.float64(2), np.array("2")])
def test_an_alpha_that_is_no_whole_number_is_refused(fitted: OpenMax, alpha: Any) -> None:
    with pytest.raises(ValueError, match="alpha: must be one whole number"):
        OpenMax.load(_archive(**{**_parts(fitted), "alpha": alpha}))


def test_pickled_arrays_are_never_unpickled(fitted: OpenMax) -> None:
    with pytest.raises(ValueError, match="not an OpenMax calibration"):
        OpenMax.load(_archive(**{**_parts(fitted), "means": np.array([print], dtype=object)}))


def test_a_member_that_is_no_array_is_refused(fitted: OpenMax) -> None:
    file = _archive(**{name: part for name, part in _parts(fitted).items() if name != "alpha"})
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("alpha.npy", b"2" * 64)
    file.seek(0)
    with pytest.raises(ValueError, match="alpha: must be one whole number"):
        OpenMax.load(file)


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x03\x04 nothing", b"not an archive", b"\x80\x04N."])
def test_what_is_no_archive_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="not an OpenMax calibration"):
        OpenMax.load(io.BytesIO(content))


def test_one_bare_array_is_refused() -> None:
    file = io.BytesIO()
    np.save(file, np.ones(3))
    file.seek(0)
    with pytest.raises(ValueError, match="one array instead of an archive"):
        OpenMax.load(file)


def test_a_missing_file_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        OpenMax.load(tmp_path / "none.npz")


def test_damaged_files_raise_nothing_but_value_errors(fitted: OpenMax, tmp_path: Path) -> None:
    """Every byte of the directory and many of the data, changed one at a time."""
    fitted.save(tmp_path / "openmax.npz")
    content = (tmp_path / "openmax.npz").read_bytes()
    rng = np.random.default_rng(3)
    for place in [*range(300), *range(len(content) - 300, len(content)), *rng.integers(0, len(content), 200)]:
        damaged = bytearray(content)
        damaged[place] ^= int(rng.integers(1, 256))
        try:
            OpenMax.load(io.BytesIO(bytes(damaged)))
        except ValueError:
            continue
    for length in range(0, len(content), 37):
        with pytest.raises(ValueError, match="not an OpenMax calibration"):
            OpenMax.load(io.BytesIO(content[:length]))
