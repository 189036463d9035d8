"""Pure functions on numpy arrays: no I/O of pictures or models, no globals, no gRPC."""

from retinue.ops.curves import roc_auc
from retinue.ops.open_set import energy_score, max_logit_score, max_softmax_score
from retinue.ops.openmax import OpenMax
from retinue.ops.scores import sigmoid, softmax, top_k

__all__ = [
    "OpenMax",
    "energy_score",
    "max_logit_score",
    "max_softmax_score",
    "roc_auc",
    "sigmoid",
    "softmax",
    "top_k",
]
