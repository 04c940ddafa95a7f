"""A random sample of the rows, of a fixed size, that doesn't depend on how they are cut."""

from typing import NamedTuple

import numba
import numpy as np
import scipy.sparse as sp

from flowml.kernels.fold import Fold
from flowml.kernels.random_keys import uniform_at
from flowml.kernels.rows import Array, Matrix, Rows, is_sparse


class SampleAsk(NamedTuple):
    """How many rows to draw, and the seed."""

    size: int
    seed: int


class Sample(NamedTuple):
    """The drawn rows, and how many there are in all.

    Attributes
    ----------
    rows : float
        Rows with a weight above zero.
    weight : float
    keys : ndarray of shape (n_drawn,)
        Ascending; uniform between 0 and 1, by seed and position.
    X : ndarray or CSR array of shape (n_drawn, n_features)
    y : ndarray of shape (n_drawn,) or (n_drawn, n_targets), or None
    weights : ndarray of shape (n_drawn,)
    limit : int
        Most rows to keep.
    """

    rows: float
    weight: float
    keys: Array
    X: Matrix
    y: Array | None
    weights: Array
    limit: int


def summarise(ask: SampleAsk, rows: Rows) -> Sample:
    """Keep the rows with the smallest keys of each block."""
    summary: Sample | None = None
    for block in rows:
        n_rows = block.X.shape[0]
        weight = np.ones(n_rows) if block.weight is None else block.weight
        keys = np.empty(n_rows)
        _draw_keys(weight, block.start, ask.seed, keys)
        chosen = np.argpartition(keys, ask.size - 1)[: ask.size] if n_rows > ask.size else keys
        order = np.sort(np.asarray(chosen)) if n_rows > ask.size else np.arange(n_rows)
        order = order[np.argsort(keys[order], kind="stable")]
        order = order[keys[order] < np.inf]
        part = Sample(
            float(np.count_nonzero(weight)),
            float(weight.sum()),
            keys[order],
            block.X[order],
            None if block.y is None else block.y[order],
            weight[order],
            ask.size,
        )
        summary = part if summary is None else merge(summary, part)
    assert summary is not None
    return summary


def merge(left: Sample, right: Sample) -> Sample:
    """Keep the smallest keys of both."""
    if right.rows == 0 or left.rows == 0:
        return left if right.rows == 0 else right
    keys = np.concatenate([left.keys, right.keys])
    order = np.argsort(keys, kind="stable")[: left.limit]
    y = None
    if left.y is not None and right.y is not None:
        y = np.concatenate([left.y, right.y])[order]
    weights = np.concatenate([left.weights, right.weights])[order]
    return Sample(
        left.rows + right.rows,
        left.weight + right.weight,
        keys[order],
        _stacked(left.X, right.X)[order],
        y,
        weights,
        left.limit,
    )


def finite(summary: Sample) -> bool:
    """Leave what isn't finite to the pass that goes over every row."""
    return bool(np.isfinite(summary.weight))


SAMPLE = Fold(summarise, merge, finite=finite)


def _stacked(first: Matrix, second: Matrix) -> Matrix:
    if is_sparse(first):
        return sp.vstack([first, second], format="csr")
    return np.concatenate([first, second])


@numba.njit(nogil=True, cache=True)
def _draw_keys(weight: Array, start: int, seed: int, keys: Array) -> None:
    for i in range(len(keys)):
        keys[i] = uniform_at(seed, start + i) if weight[i] > 0.0 else np.inf
