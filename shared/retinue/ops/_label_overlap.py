"""Which instances of two label maps share pixels, and how many: one walk over both maps, whatever the ids."""

import secrets
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import native
from retinue.ops._kernel import kernel

Ids = NDArray[np.int64]

# A map made to collide in the table would slow it down without end; nobody outside knows this number.
_SALT = secrets.randbits(63)
_FIRST_SLOTS = 256
_ANY_NUMBER = 2**62


class LabelOverlap(NamedTuple):
    """Two sets of instances and the pairs of them that share pixels.

    Args:
        true_ids: (t,) ascending.
        true_areas: (t,) pixels.
        predicted_ids: (p,) ascending.
        predicted_areas: (p,) pixels.
        true_places: (n,) place in `true_ids` of each pair, ascending.
        predicted_places: (n,) place in `predicted_ids`, ascending within one true instance.
        shared: (n,) pixels that both cover, at least 1.
    """

    true_ids: Ids
    true_areas: Ids
    predicted_ids: Ids
    predicted_areas: Ids
    true_places: Ids
    predicted_places: Ids
    shared: Ids

    def ious(self) -> NDArray[np.float64]:
        """Return the IoU of each pair."""
        return self.shared / self.unions()

    def unions(self) -> Ids:
        """Return how many pixels each pair covers."""
        return self.true_areas[self.true_places] + self.predicted_areas[self.predicted_places] - self.shared


def label_overlap(true_map: ArrayLike, predicted_map: ArrayLike, most_pairs: int = _ANY_NUMBER) -> LabelOverlap:
    """Return the instances of two label maps and what they share; 0 is background.

    Raises:
        ValueError: a map is no integers of at least 0, the shapes differ, or more pairs of labels than `most_pairs`
            share pixels.
    """
    true, predicted = _label_map(true_map, "true_map"), _label_map(predicted_map, "predicted_map")
    if true.shape != predicted.shape:
        raise ValueError(f"predicted_map: must be {true.shape} like true_map, got {predicted.shape}")
    if true.dtype != predicted.dtype:
        true, predicted = true.astype(np.int64, copy=False), predicted.astype(np.int64, copy=False)
    pairs = _joint_histogram(true.reshape(-1), predicted.reshape(-1), _SALT, most_pairs)
    if len(pairs) > most_pairs:
        raise ValueError(f"predicted_map: must share pixels in at most {most_pairs} pairs of labels, got more")
    trues, predictions, counts = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].T
    if trues.size and trues[0] < 0:  # they ascend
        raise ValueError(f"true_map: ids must be at least 0, got {trues[0]}")
    if predictions.size and predictions.min() < 0:
        raise ValueError(f"predicted_map: ids must be at least 0, got {predictions.min()}")
    true_ids, true_places, true_areas = _instances(trues, counts)
    predicted_ids, predicted_places, predicted_areas = _instances(predictions, counts)
    is_pair = (trues > 0) & (predictions > 0)
    return LabelOverlap(
        true_ids,
        true_areas,
        predicted_ids,
        predicted_areas,
        true_places[is_pair],
        predicted_places[is_pair],
        counts[is_pair],
    )


def _instances(ids: Ids, counts: Ids) -> tuple[Ids, Ids, Ids]:
    """Return the ids above 0, the place of each pair's id among them, and their areas."""
    different, places = np.unique(ids, return_inverse=True)
    areas = np.zeros(len(different), np.int64)
    np.add.at(areas, places, counts)
    background = int(different.size > 0 and different[0] == 0)
    return different[background:], places - background, areas[background:]


def _label_map(labels: ArrayLike, name: str) -> NDArray[Any]:
    array = np.asarray(labels)
    if array.dtype.kind not in "biu" or array.ndim == 0:
        raise ValueError(f"{name}: must be an array of integers, got {array.shape} {array.dtype}")
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{name}: ids must fit int64, got {array.max()}")
    return native(array.astype(np.int32 if np.can_cast(array.dtype, np.int32) else np.int64, copy=False))


@kernel("(i4[::1], i4[::1], i8, i8)", "(i8[::1], i8[::1], i8, i8)")
def _joint_histogram(true: NDArray[Any], predicted: NDArray[Any], salt: int, most: int) -> Ids:
    """Return (n, 3): two labels, and the number of places that have them; in the order in which they are first met.

    Stops where there are more than `most`.
    """
    slots = np.full(_FIRST_SLOTS, -1, np.int64)  # open addressing: each slot holds a row of the pairs, or -1
    pairs = np.empty((_FIRST_SLOTS // 2, 3), np.int64)
    count = 0
    i = 0
    while i < true.size and count <= most:
        t, p = np.int64(true[i]), np.int64(predicted[i])
        begin = i
        while i < true.size and true[i] == t and predicted[i] == p:
            i += 1
        slot = _slot(t, p, salt, slots.size)
        while slots[slot] >= 0 and (pairs[slots[slot], 0] != t or pairs[slots[slot], 1] != p):
            slot = (slot + 1) & (slots.size - 1)
        if slots[slot] >= 0:
            pairs[slots[slot], 2] += i - begin
            continue
        slots[slot] = count
        pairs[count, 0], pairs[count, 1], pairs[count, 2] = t, p, i - begin
        count += 1
        if 2 * count >= slots.size:  # at most half are taken, so that the way to a free slot stays short
            more = np.empty((2 * len(pairs), 3), np.int64)
            more[:count] = pairs[:count]
            pairs = more
            slots = np.full(2 * slots.size, -1, np.int64)
            for row in range(count):
                slot = _slot(pairs[row, 0], pairs[row, 1], salt, slots.size)
                while slots[slot] >= 0:
                    slot = (slot + 1) & (slots.size - 1)
                slots[slot] = row
    return pairs[:count].copy()


@kernel()
def _slot(t: Any, p: Any, salt: int, slot_count: int) -> Any:
    """Return where to look for a pair first, which the salt decides."""
    mixed = (np.uint64(t) ^ np.uint64(salt)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(32)) ^ np.uint64(p)) * np.uint64(0xD6E8FEB86659FD93)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * (np.uint64(salt) | np.uint64(1))
    return np.int64((mixed ^ (mixed >> np.uint64(32))) & np.uint64(slot_count - 1))
