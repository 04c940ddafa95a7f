"""A random sample of the rows, of a fixed size, that doesn't depend on how they are cut."""

from typing import NamedTuple

import numba
import numpy as np
import scipy.sparse as sp

from flowml.kernels.fold import Fold
from flowml.kernels.mixed import Mixed, concatenate
from flowml.kernels.random_keys import uniform_at
from flowml.kernels.rows import Array, Matrix, Rows, is_sparse


class SampleAsk(NamedTuple):
    """Which rows to draw.

    Attributes
    ----------
    limit : int
        Most rows.
    share : float
        Of all rows, above 0: each is drawn by itself with this probability.
    seed : int
    """

    limit: int
    share: float
    seed: int


class Sample(NamedTuple):
    """The drawn rows, and how many there are in all.

    Attributes
    ----------
    rows : float
        Rows with a weight above zero.
    weight : float
    keys : ndarray of shape (n_drawn,)
        Uniform between 0 and 1, by seed and position; the rows are in the order of the data.
    X : ndarray or CSR array of shape (n_drawn, n_features)
    y : ndarray of shape (n_drawn,) or (n_drawn, n_targets), or None
    weights : ndarray of shape (n_drawn,)
    limit : int
        Most rows to keep, those with the smallest keys.
    """

    rows: float
    weight: float
    keys: Array
    X: Matrix
    y: Array | None
    weights: Array
    limit: int


def summarise(ask: SampleAsk, rows: Rows) -> Sample:
    """Draw rows from each block."""
    summary: Sample | None = None
    for block in rows:
        weight = np.ones(block.X.shape[0]) if block.weight is None else block.weight
        keys = np.empty(len(weight))
        _draw_keys(weight, block.start, ask.seed, keys)
        chosen = _smallest(keys, ask.limit, ask.share)
        part = Sample(
            float(np.count_nonzero(weight)),
            float(weight.sum()),
            keys[chosen],
            block.X[chosen],
            None if block.y is None else block.y[chosen],
            weight[chosen],
            ask.limit,
        )
        summary = part if summary is None else merge(summary, part)
    assert summary is not None
    return summary


def merge(left: Sample, right: Sample) -> Sample:
    """Put the right rows behind the left ones, as many as are wanted."""
    if right.rows == 0 or left.rows == 0:
        return left if right.rows == 0 else right
    y = None
    if left.y is not None and right.y is not None:
        y = np.concatenate([left.y, right.y])
    both = left._replace(
        rows=left.rows + right.rows,
        weight=left.weight + right.weight,
        keys=np.concatenate([left.keys, right.keys]),
        X=_stacked(left.X, right.X),
        y=y,
        weights=np.concatenate([left.weights, right.weights]),
    )
    return both if len(both.keys) <= both.limit else _cut(both)


def finite(summary: Sample) -> bool:
    """Leave what isn't finite to the pass that goes over every row."""
    return bool(np.isfinite(summary.weight))


SAMPLE = Fold(summarise, merge, finite=finite)


def _cut(sample: Sample) -> Sample:
    """Keep the rows with the smallest keys."""
    chosen = _smallest(sample.keys, sample.limit, np.inf)
    return sample._replace(
        keys=sample.keys[chosen],
        X=sample.X[chosen],
        y=None if sample.y is None else sample.y[chosen],
        weights=sample.weights[chosen],
    )


def _smallest(keys: Array, limit: int, below: float) -> Array:
    """Return the places of the smallest keys, ascending."""
    places = np.flatnonzero(keys < below)
    if len(places) > limit:
        places = np.sort(places[np.argpartition(keys[places], limit - 1)[:limit]])
    return places


def _stacked(first: Matrix, second: Matrix) -> Matrix:
    if isinstance(first, Mixed):
        return concatenate([first, second])
    if is_sparse(first):
        return sp.vstack([first, second], format="csr")
    return np.concatenate([first, second])


@numba.njit(nogil=True, cache=True)
def _draw_keys(weight: Array, start: int, seed: int, keys: Array) -> None:
    for i in range(len(keys)):
        keys[i] = uniform_at(seed, start + i) if weight[i] > 0.0 else np.inf
