"""How many rows store each column of CSR blocks, by weight."""

from typing import NamedTuple

import numba
import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.rows import Array, Rows, constant


class StoredWeights(NamedTuple):
    """Weights of rows.

    Attributes
    ----------
    weight : float
        Of all.
    stored : ndarray of shape (n_features,)
        Of those that store a column, whatever they store there.
    """

    weight: float
    stored: Array


def summarise(ask: None, rows: Rows) -> StoredWeights:
    """Count the stored values of each column."""
    total, stored = 0.0, np.zeros(rows[0].X.shape[1])
    for block in rows:
        weight = np.ones(block.X.shape[0]) if block.weight is None else block.weight
        total += float(weight.sum())
        _add_stored(constant(block.X.indptr), constant(block.X.indices), constant(weight), stored)
    return StoredWeights(total, stored)


def merge(left: StoredWeights, right: StoredWeights) -> StoredWeights:
    """Add two up."""
    left.stored[...] += right.stored
    return StoredWeights(left.weight + right.weight, left.stored)


STORED_WEIGHTS = Fold(summarise, merge, additive=True)


@numba.njit(nogil=True, cache=True)
def _add_stored(starts: Array, columns: Array, weight: Array, stored: Array) -> None:
    for i in range(len(weight)):
        for e in range(starts[i], starts[i + 1]):
            stored[columns[e]] += weight[i]
