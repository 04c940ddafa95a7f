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

    Attributes
    ----------
    point, group : ndarray of shape (n_columns,)
        A place among the points, and one among the weights.
    wanted : ndarray of shape (n_wanted,)
        The fits that have rows here.
    place : ndarray of shape (n_wanted,)
        The column of each.
    """

    point: Array
    group: Array
    wanted: Array
    place: Array


def summarise(ask: Points, rows: Rows) -> SplitGradients:
    """Sum slice by slice."""
    n_points, outputs, p = ask.coef.shape
    n_fits, size = len(ask.split), _slice_rows(rows, n_points * outputs)
    weight, spread = np.zeros(n_fits), np.zeros(n_fits)
    gradient, broken = np.zeros((n_fits, outputs, p + 1)), 0
    for block in rows:
        sides = _training(ask, block)
        for part in slices([block], size):
            y, own = ask.target.read(part)
            low = part.start - block.start
            groups, weights = _weights(ask, y, own, sides[:, low : low + len(y)])
            columns = _columns(ask, groups)
            eta = _predictors(ask, part.X)
            broken += not np.isfinite(eta[0].sum())
            slope = gradients(ask.loss, contiguous(y), eta)
            shape = (len(columns.point), outputs, len(y))
            weighted, squares = scratch("split weighted", shape), np.zeros(len(columns.point))
            _weigh(slope, weights, columns.point, columns.group, weighted, squares)
            sums = _products(weighted.reshape(-1, len(y)), part.X).reshape(*shape[:2], p)
            wanted, place = columns.wanted, columns.place
            weight[wanted] += weights.sum(axis=1)[columns.group][place]
            spread[wanted] += squares[place]
            gradient[wanted, :, :-1] += sums[place]
            gradient[wanted, :, -1] += weighted.sum(axis=2)[place]
    gradient[..., :-1] -= gradient[..., -1:] * ask.center
    return SplitGradients(weight, spread, gradient, broken)


def merge(left: SplitGradients, right: SplitGradients) -> SplitGradients:
    """Add two up."""
    return SplitGradients(*(one + other for one, other in zip(left, right, strict=True)))


def finite(summary: SplitGradients) -> bool:
    """Tell whether the rows were finite."""
    return summary.broken == 0


SPLIT_GRADIENTS = Fold(summarise, merge, finite=finite)


def _slice_rows(rows: Rows, n_predictors: int) -> int:
    if is_sparse(rows[0].X):
        return SPARSE_ROWS
    wanted = SMALL_PRODUCT // max(1, n_predictors * n_features(rows))
    return min(max(wanted, LEAST_ROWS), MOST_ROWS)


def _training(ask: Points, block: Block) -> Array:
    """Tell for each split which rows of a block it trains on."""
    return np.stack([ask.splits.sides(n, block) == TRAIN for n in range(ask.splits.n_splits)])


def _weights(ask: Points, y: Array, own: Array, training: Array) -> tuple[Array, Array]:
    """Return each split's place among the different weights of a slice's rows, and these.

    Splits that train on every row have their weights in common; one that trains on none has -1.
    """
    n_splits = len(training)
    every, some = training.all(axis=1), training.any(axis=1)
    if ask.class_weights is not None:
        every[:] = False
    groups = np.full(n_splits, -1)
    apart = np.flatnonzero(some & ~every)
    groups[every] = len(apart)
    groups[apart] = np.arange(len(apart))
    weights = np.where(training[apart], own, 0.0)
    if ask.class_weights is not None:
        weights *= ask.class_weights[apart][:, y.astype(np.intp)]
    return groups, np.concatenate([weights, own[np.newaxis]]) if every.any() else weights


def _columns(ask: Points, groups: Array) -> Columns:
    """Find the different sums."""
    group = groups[ask.split]
    wanted = np.flatnonzero(group >= 0)
    keys = ask.point[wanted] * (len(groups) + 1) + group[wanted]
    different, place = np.unique(keys, return_inverse=True)
    return Columns(*np.divmod(different, len(groups) + 1), wanted, place)


def _predictors(ask: Points, X: Matrix) -> Array:
    """Return η of shape (n_points, n_outputs, n_rows)."""
    n_points, outputs, p = ask.coef.shape
    shape = (n_points, outputs, X.shape[0])
    eta = scratch("split predictors", shape)
    flat = eta.reshape(-1, X.shape[0])
    coef = ask.coef.reshape(-1, p)
    if is_sparse(X):
        flat[...] = (X @ coef.T).T
    else:
        np.matmul(coef, X.T, out=flat)
    flat += ask.intercept.reshape(-1, 1)
    return eta


def _products(weighted: Array, X: Matrix) -> Array:
    products: Array = (X.T @ weighted.T).T if is_sparse(X) else weighted @ X
    return products


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _weigh(
    slope: Array, weights: Array, point: Array, group: Array, weighted: Array, squares: Array
) -> None:
    """Weigh the slopes of each column, and sum up their squares."""
    n_columns, n_outputs, n_rows = weighted.shape
    for c in range(n_columns):
        mine, total = weights[group[c]], 0.0
        for k in range(n_outputs):
            own, out = slope[point[c], k], weighted[c, k]
            for i in range(n_rows):
                product = mine[i] * own[i]
                out[i] = product
                total += product * own[i]
        squares[c] += total
