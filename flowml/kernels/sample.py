"""A random sample of the rows, of a fixed size, that doesn't depend on how they are cut."""

from typing import NamedTuple

import numba
import numpy as np
import scipy.sparse as sp

from flowml.kernels.fold import Fold
from flowml.kernels.mixed import Mixed, concatenate
from flowml.kernels.random_keys import uniform_at
from flowml.kernels.rows import Array, Matrix, Rows, is_sparse

SLACK = 2
"""How many times the wanted rows are held before those with the largest keys are dropped."""


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


class Drawn(NamedTuple):
    """Some drawn rows.

    Attributes
    ----------
    keys : ndarray of shape (n_drawn,)
        Uniform between 0 and 1, by seed and position; the rows are in the order of the data.
    X : ndarray or CSR array of shape (n_drawn, n_features)
    y : ndarray of shape (n_drawn,) or (n_drawn, n_targets), or None
    weights : ndarray of shape (n_drawn,)
    """

    keys: Array
    X: Matrix
    y: Array | None
    weights: Array


class Sample(NamedTuple):
    """The drawn rows, and how many there are in all.

    Attributes
    ----------
    rows : float
        Rows with a weight above zero.
    weight : float
    parts : tuple of Drawn
        Of consecutive rows; they are put together once, by `gathered`, and not by every merge.
    limit : int
        Most rows to keep, those with the smallest keys.
    """

    rows: float
    weight: float
    parts: tuple[Drawn, ...]
    limit: int


def summarise(ask: SampleAsk, rows: Rows) -> Sample:
    """Draw rows from each block."""
    summary: Sample | None = None
    for block in rows:
        weight = np.ones(block.X.shape[0]) if block.weight is None else block.weight
        keys = np.empty(len(weight))
        _draw_keys(weight, block.start, ask.seed, keys)
        chosen = _smallest(keys, ask.limit, ask.share)
        y = None if block.y is None else block.y[chosen]
        part = Sample(
            float(np.count_nonzero(weight)),
            float(weight.sum()),
            (Drawn(keys[chosen], block.X[chosen], y, weight[chosen]),),
            ask.limit,
        )
        summary = part if summary is None else merge(summary, part)
    assert summary is not None
    return summary


def merge(left: Sample, right: Sample) -> Sample:
    """Put the right rows behind the left ones, as many as are wanted."""
    if right.rows == 0 or left.rows == 0:
        return left if right.rows == 0 else right
    both = Sample(
        left.rows + right.rows, left.weight + right.weight, left.parts + right.parts, left.limit
    )
    if sum(len(part.keys) for part in both.parts) <= SLACK * both.limit:
        return both
    return both._replace(parts=(gathered(both),))


def gathered(sample: Sample) -> Drawn:
    """Return the rows with the smallest keys, as many as are wanted."""
    parts, targets = sample.parts, [part.y for part in sample.parts if part.y is not None]
    drawn = Drawn(
        np.concatenate([part.keys for part in parts]),
        _stacked([part.X for part in parts]),
        np.concatenate(targets) if targets else None,
        np.concatenate([part.weights for part in parts]),
    )
    if len(drawn.keys) <= sample.limit:
        return drawn
    chosen = _smallest(drawn.keys, sample.limit, np.inf)
    y = None if drawn.y is None else drawn.y[chosen]
    return Drawn(drawn.keys[chosen], drawn.X[chosen], y, drawn.weights[chosen])


def finite(summary: Sample) -> bool:
    """Leave what isn't finite to the pass that goes over every row."""
    return bool(np.isfinite(summary.weight))


SAMPLE = Fold(summarise, merge, finite=finite)


def _smallest(keys: Array, limit: int, below: float) -> Array:
    """Return the places of the smallest keys, ascending."""
    places = np.flatnonzero(keys < below)
    if len(places) > limit:
        places = np.sort(places[np.argpartition(keys[places], limit - 1)[:limit]])
    return places


def _stacked(parts: list[Matrix]) -> Matrix:
    if isinstance(parts[0], Mixed):
        return concatenate(parts)
    if is_sparse(parts[0]):
        return sp.vstack(parts, format="csr")
    return np.concatenate(parts)


@numba.njit(nogil=True, cache=True)
def _draw_keys(weight: Array, start: int, seed: int, keys: Array) -> None:
    for i in range(len(keys)):
        keys[i] = uniform_at(seed, start + i) if weight[i] > 0.0 else np.inf
