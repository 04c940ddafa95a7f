"""Gradients of several fits of one loss, each over the training rows of its split, at once."""

from typing import NamedTuple

import numba
import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.linear_loss import Target
from flowml.kernels.rows import Array, Block, Matrix, Rows, is_sparse, n_features, slices
from flowml.kernels.scratch import scratch
from flowml.kernels.splits import TRAIN, Splits
from flowml.losses.gradient import gradients
from flowml.losses.loss import Loss, contiguous

SMALL_PRODUCT = 950_000
"""Multiplications up to which OpenBLAS has kernels for small products, less a margin."""
LEAST_ROWS, MOST_ROWS, SPARSE_ROWS = 128, 2048, 1 << 14


class Points(NamedTuple):
    """Where the gradients of several fits are asked for.

    Attributes
    ----------
    loss : Loss
    target : Target
        Without class weights.
    coef : ndarray of shape (n_points, n_outputs, n_features)
    intercept : ndarray of shape (n_points, n_outputs)
    center : ndarray of shape (n_features,)
        As for `linear_loss.Point`.
    splits : Splits
    class_weights : ndarray of shape (n_splits, n_classes) or None
        By which rows' weights are multiplied in a split.
    point, split : ndarray of shape (n_fits,)
        Which point and which split each fit is about; fits at the same point share its products.
    """

    loss: Loss
    target: Target
    coef: Array
    intercept: Array
    center: Array
    splits: Splits
    class_weights: Array | None
    point: Array
    split: Array


class SplitGradients(NamedTuple):
    r"""Sums over each fit's rows, with :math:`z_i = [x_i - c, 1]` and the loss's gradient g.

    Attributes
    ----------
    weight : ndarray of shape (n_fits,)
    spread : ndarray of shape (n_fits,)
        :math:`\sum_i w_i \|g_i\|^2`
    gradient : ndarray of shape (n_fits, n_outputs, n_features + 1)
        :math:`\sum_i w_i g_i z_i^\top`
    broken : int
        Slices that hold a NaN or infinity.
    """

    weight: Array
    spread: Array
    gradient: Array
    broken: int


class Columns(NamedTuple):
    """The different sums that a slice's rows take part in, and the fits that want each.

    Splits that train on every row have their weights in common.

    Attributes
    ----------
    apart : ndarray of shape (n_apart,)
        The splits that have weights of their own; those in common come behind them.
    coef : ndarray of shape (n_predictors * n_outputs, n_features)
        Of the points that any of these fits is at.
    intercept : ndarray of shape (n_predictors * n_outputs, 1)
    point, group : ndarray of shape (n_columns,)
        A place among these points, and one among the weights.
    wanted : ndarray of shape (n_wanted,)
        The fits that have rows here.
    place : ndarray of shape (n_wanted,)
        The column of each.
    """

    apart: Array
    coef: Array
    intercept: Array
    point: Array
    group: Array
    wanted: Array
    place: Array


class Sums(NamedTuple):
    """The sums over slices of the same columns.

    Attributes
    ----------
    weight : ndarray of shape (n_groups,)
    spread : ndarray of shape (n_columns,)
    slope : ndarray of shape (n_columns, n_outputs)
    gradient : ndarray of shape (n_columns, n_outputs, n_features)
    """

    weight: Array
    spread: Array
    slope: Array
    gradient: Array

    @classmethod
    def zeros(cls, columns: Columns, n_outputs: int, n_features: int) -> "Sums":
        """Start with nothing."""
        shape = (len(columns.point), n_outputs, n_features)
        weight = np.zeros(len(columns.apart) + 1)
        return cls(weight, np.zeros(shape[0]), np.zeros(shape[:2]), np.zeros(shape))


def summarise(ask: Points, rows: Rows) -> SplitGradients:
    """Sum slice by slice."""
    n_points, outputs, p = ask.coef.shape
    n_fits, size = len(ask.split), _slice_rows(rows, n_points * outputs)
    broken, known = 0, dict[bytes, tuple[Columns, Sums]]()
    for block in rows:
        training = _training(ask, block)
        seen = _seen(training, size)
        for part, here in zip(slices([block], size), seen, strict=True):
            y, own = ask.target.read(part)
            if here.tobytes() not in known:
                columns = _columns(ask, here)
                known[here.tobytes()] = columns, Sums.zeros(columns, outputs, p)
            columns, sums = known[here.tobytes()]
            low = part.start - block.start
            weights = _weights(ask, columns.apart, y, own, training[:, low : low + len(y)])
            eta = _predictors(columns, part.X)
            broken += not np.isfinite(eta[:1].sum())
            slope = gradients(ask.loss, contiguous(y), eta.reshape(-1, outputs, len(y)))
            weighted = scratch("split weighted", (len(columns.point), outputs, len(y)))
            _weigh(slope, weights, columns.point, columns.group, weighted, *sums[1:3])
            sums.weight[:] += weights.sum(axis=1)
            products = _products(weighted.reshape(-1, len(y)), part.X)
            sums.gradient[:] += products.reshape(sums.gradient.shape)
    weight, spread = np.zeros(n_fits), np.zeros(n_fits)
    gradient = np.zeros((n_fits, outputs, p + 1))
    for columns, sums in known.values():
        wanted, place = columns.wanted, columns.place
        weight[wanted] += sums.weight[columns.group[place]]
        spread[wanted] += sums.spread[place]
        gradient[wanted, :, -1] += sums.slope[place]
        gradient[wanted, :, :-1] += sums.gradient[place]
    gradient[..., :-1] -= gradient[..., -1:] * ask.center
    return SplitGradients(weight, spread, gradient, broken)


def merge(left: SplitGradients, right: SplitGradients) -> SplitGradients:
    """Add two up."""
    return SplitGradients(
        left.weight + right.weight,
        left.spread + right.spread,
        left.gradient + right.gradient,
        left.broken + right.broken,
    )


def finite(summary: SplitGradients) -> bool:
    """Tell whether the rows were finite."""
    return summary.broken == 0


SPLIT_GRADIENTS = Fold(summarise, merge, finite=finite, additive=True)


def _slice_rows(rows: Rows, n_predictors: int) -> int:
    if is_sparse(rows[0].X):
        return SPARSE_ROWS
    wanted = SMALL_PRODUCT // max(1, n_predictors * n_features(rows))
    return min(max(wanted, LEAST_ROWS), MOST_ROWS)


def _training(ask: Points, block: Block) -> Array:
    """Tell for each split which rows of a block it trains on."""
    return np.stack([ask.splits.sides(n, block) == TRAIN for n in range(ask.splits.n_splits)])


def _seen(training: Array, size: int) -> Array:
    """Tell for each slice of a block how much each split trains on: 0 nothing, 1 some, 2 all."""
    n_rows = training.shape[1]
    starts = np.arange(0, n_rows, size)
    if not len(starts):
        return np.empty((0, len(training)), dtype=np.int8)
    counts = np.add.reduceat(training, starts, axis=1, dtype=np.int64)
    sizes = np.diff(np.append(starts, n_rows))
    seen: Array = ((counts > 0).astype(np.int8) + (counts == sizes)).T
    return np.ascontiguousarray(seen)


def _columns(ask: Points, seen: Array) -> Columns:
    """Find the different sums of a slice of which splits have seen so much."""
    common = seen == 2 if ask.class_weights is None else np.zeros(len(seen), dtype=bool)
    apart = np.flatnonzero((seen > 0) & ~common)
    groups = np.full(len(seen), -1)
    groups[apart] = np.arange(len(apart))
    groups[common] = len(apart)
    group = groups[ask.split]
    wanted = np.flatnonzero(group >= 0)
    keys = ask.point[wanted] * (len(seen) + 1) + group[wanted]
    different, place = np.unique(keys, return_inverse=True)
    points, of_group = np.divmod(different, len(seen) + 1)
    needed, point = np.unique(points, return_inverse=True)
    coef = ask.coef[needed].reshape(-1, ask.coef.shape[2])
    intercept = ask.intercept[needed].reshape(-1, 1)
    return Columns(apart, coef, intercept, point, of_group, wanted, place)


def _weights(ask: Points, apart: Array, y: Array, own: Array, training: Array) -> Array:
    """Return the weights of some splits' training rows, and the rows' own behind them."""
    weights = np.empty((len(apart) + 1, len(own)))
    weights[-1] = own
    if len(apart):
        np.multiply(training[apart], own, out=weights[:-1])
    if ask.class_weights is not None:
        weights[:-1] *= ask.class_weights[apart][:, y.astype(np.intp)]
    return weights


def _predictors(columns: Columns, X: Matrix) -> Array:
    """Return η of shape (n_predictors * n_outputs, n_rows)."""
    eta = scratch("split predictors", (len(columns.coef), X.shape[0]))
    if is_sparse(X):
        eta[...] = (X @ columns.coef.T).T
    else:
        np.matmul(columns.coef, X.T, out=eta)
    eta += columns.intercept
    return eta


def _products(weighted: Array, X: Matrix) -> Array:
    products: Array = (X.T @ weighted.T).T if is_sparse(X) else weighted @ X
    return products


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _weigh(
    slope: Array,
    weights: Array,
    point: Array,
    group: Array,
    weighted: Array,
    spread: Array,
    total: Array,
) -> None:
    """Weigh the slopes of each column, and sum up slopes and their squares."""
    n_columns, n_outputs, n_rows = weighted.shape
    for c in range(n_columns):
        mine = weights[group[c]]
        for k in range(n_outputs):
            own, out = slope[point[c], k], weighted[c, k]
            slopes, squares = 0.0, 0.0
            for i in range(n_rows):
                product = mine[i] * own[i]
                out[i] = product
                slopes += product
                squares += product * own[i]
            total[c, k] += slopes
            spread[c] += squares
