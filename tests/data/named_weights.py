"""Weights that anyone can rebuild from key names and shapes alone (see golden.md)."""

import zlib

import numpy as np

POSITIONS = ("class_token", "pos_embedding", "cls_token", "pos_embed", "dist_token")
SHARP_HEADS = ("cls_score.weight", "cls_logits.weight", "class_embed.weight")


def named_array(key: str, shape: tuple[int, ...], gain: float, *, integer: bool = False) -> np.ndarray:
    """Return the float32 parameter (or int64 zeros for a counter) that belongs to ``key``."""
    if integer:  # num_batches_tracked
        return np.zeros(shape, np.int64)
    rng = np.random.Generator(np.random.Philox(zlib.crc32(key.encode())))
    x: np.ndarray = rng.standard_normal(shape).astype(np.float32)
    last = key.rsplit(".", 1)[-1]
    if last == "running_var":
        x = 1.0 + 0.25 * np.tanh(x)
    elif last == "running_mean":
        x = 0.1 * x
    elif len(shape) >= 2 and last not in POSITIONS:
        x = x * (gain / np.sqrt(int(np.prod(shape[1:]))))
    elif last == "weight":
        x = 1.0 + 0.1 * x
    else:
        x = 0.02 * x
    if any(s in key for s in SHARP_HEADS):
        x = x * 8.0
    return np.asarray(x, np.float32).reshape(shape)
