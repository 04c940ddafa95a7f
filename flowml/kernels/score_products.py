"""Products of the rows' scores: what robust standard errors are made of."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from flowml.kernels.fold import Fold
from flowml.kernels.labels import joined, unknown
from flowml.kernels.linear_loss import Point, predictor, slice_rows
from flowml.kernels.one_hot import OneHot
from flowml.kernels.products import add_pair_products, add_weighted_products
from flowml.kernels.rows import Array, Matrix, Rows, Slice, is_sparse, slices
from flowml.losses.loss import Derivatives

STEP = 1e-5
"""Of central differences, whose error is its square: ten digits are left."""


class ScoreAsk(NamedTuple):
    r"""What is asked of the rows.

    Attributes
    ----------
    point : Point
        Loss, target and coefficients.
    root : ndarray of shape (n_features + 1, rank) or None
        R with :math:`R R^\top` the inverse curvature: scores are divided by a power of
        :math:`1 - w_i h_i \\|R^\\top z_i\\|^2`, one less a row's leverage.
    power : float
        The power of it.
    group : int or None
        The column of y that holds the rows' groups, whose scores are summed first.
    target : int
        Which of the other columns of y is the target, where the point doesn't say.
    observed : bool
        Whether the curvature must be the gradient's derivative, not a stand-in for it.
    """

    point: Point
    root: Array | None = None
    power: float = 0.0
    group: int | None = None
    target: int = 0
    observed: bool = False


class Groups(NamedTuple):
    """The scores of groups of rows.

    Attributes
    ----------
    labels : ndarray of shape (n_groups,)
        Sorted.
    scores : ndarray of shape (n_groups, n_outputs * (n_features + 1))
        The sum of each group's scores.
    """

    labels: Array
    scores: Array


class ScoreProducts(NamedTuple):
    r"""Sums over rows, with scores :math:`s_i = w_i g_i \otimes z_i`, :math:`z_i = [x_i - c, 1]`.

    Attributes
    ----------
    rows, weight : float
        Of a weight above zero.
    value, pearson : float
        :math:`\sum_i w_i \ell_i` and :math:`\sum_i w_i g_i^2 / h_i`
    curvature : ndarray of shape (n_outputs * (n_features + 1),) twice
        :math:`\sum_i w_i\, h_i \otimes z_i z_i^\top`
    products : ndarray of that shape
        :math:`\sum_i s_i s_i^\top`, or zero where scores are summed by group.
    groups : Groups
        Empty unless asked for.
    broken : int
        Slices that hold a NaN or infinity.
    strange : ndarray of shape (n_strange,)
        Labels in rows of a weight above zero that are none of the target's classes.
    """

    rows: float
    weight: float
    value: float
    pearson: float
    curvature: Array
    products: Array
    groups: Groups
    broken: int
    strange: Array


def summarise(ask: ScoreAsk, rows: Rows) -> ScoreProducts:
    """Sum slice by slice."""
    point = ask.point
    outputs, size = point.loss.n_outputs, len(point.center) + 1
    count, total, value, pearson, broken = 0.0, 0.0, 0.0, 0.0, 0
    strange = np.empty(0)
    curvature, products = np.zeros((2, outputs * size, outputs * size))
    groups = _groups(ask, rows, outputs * size)
    for part in slices(rows, slice_rows(rows)):
        labels, part = _read(ask, part)
        X, (y, weight) = point.columns(part.X), point.target.read(part)
        if point.target.classes is not None:
            assert part.y is not None
            strange = joined(strange, unknown(part.y[weight > 0], point.target.classes))
        eta = predictor(point, X, part)
        broken += not np.isfinite(eta.sum() + weight.sum() + y.sum() + labels.sum())
        derivatives = _derivatives(ask, y, eta[:, 0] if outputs == 1 else eta)
        count += float(np.count_nonzero(weight))
        total += float(weight.sum())
        value += float(weight @ derivatives.value)
        slope = weight[:, np.newaxis] * derivatives.gradient.reshape(len(eta), outputs)
        bend = (weight * derivatives.curvature.T).T
        if outputs == 1:
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = slope[:, 0] * derivatives.gradient / derivatives.curvature
            pearson += float(np.where(weight > 0, ratio, 0.0).sum())
            slope /= (_remaining(ask, X, bend) ** ask.power)[:, np.newaxis]
        _add(X, bend, point.center, curvature)
        if ask.group is not None:
            _add_by_group(X, slope, labels, groups, point.center)
        else:
            _add(X, slope[:, 0] ** 2 if outputs == 1 else _pairs(slope), point.center, products)
    sums = count, total, value, pearson, curvature, products, groups, broken
    return ScoreProducts(*sums, strange)


def merge(left: ScoreProducts, right: ScoreProducts) -> ScoreProducts:
    """Add two up; groups that are in both are one."""
    return ScoreProducts(
        left.rows + right.rows,
        left.weight + right.weight,
        left.value + right.value,
        left.pearson + right.pearson,
        left.curvature + right.curvature,
        left.products + right.products,
        _join(left.groups, right.groups),
        left.broken + right.broken,
        joined(left.strange, right.strange),
    )


def finite(summary: ScoreProducts) -> bool:
    """Tell whether the rows were finite."""
    return summary.broken == 0


SCORE_PRODUCTS = Fold(summarise, merge, finite=finite)


def _groups(ask: ScoreAsk, rows: Rows, size: int) -> Groups:
    """Return a place for the sums of the groups that are in the rows."""
    if ask.group is None:
        return Groups(np.empty(0), np.empty((0, size)))
    labels = np.unique(
        np.concatenate([block.y[:, ask.group] for block in rows if block.y is not None])
    )
    return Groups(labels, np.zeros((len(labels), size)))


def _read(ask: ScoreAsk, part: Slice) -> tuple[Array, Slice]:
    """Return the rows' groups, and the rows with the target that is asked for."""
    y = part.y
    assert y is not None
    labels = np.zeros(0)
    if ask.group is not None:
        labels, y = y[:, ask.group], np.delete(y, ask.group, axis=1)
    if y.ndim == 2 and ask.point.target.offset is None:
        y = y[:, ask.target]
    return labels, part._replace(y=y)


def _derivatives(ask: ScoreAsk, y: Array, eta: Array) -> Derivatives:
    """Return the loss's derivatives, with the curvature that is asked for."""
    loss = ask.point.loss
    derivatives = loss.derivatives(y, eta)
    if not (ask.observed and loss.expected_curvature):
        return derivatives
    step = STEP * np.maximum(1.0, np.abs(eta))
    rise = loss.derivatives(y, eta + step).gradient - loss.derivatives(y, eta - step).gradient
    return derivatives._replace(curvature=rise / (2 * step))


def _remaining(ask: ScoreAsk, X: Matrix, bend: Array) -> Array:
    """Return one less each row's leverage."""
    if ask.root is None:
        return np.ones(len(bend))
    constant = ask.root[-1] - ask.point.center @ ask.root[:-1]
    squares: Array = np.square(X @ ask.root[:-1] + constant).sum(axis=1)
    return np.maximum(1.0 - bend * squares, np.finfo(float).eps)


def _add(X: Matrix, weight: Array, center: Array, products: Array) -> None:
    """Add products of the columns, with weights of any sign."""
    if weight.ndim > 1:
        add_pair_products(X, weight, center, products)
    elif weight.min(initial=0.0) < 0:
        add_pair_products(X, weight[:, np.newaxis, np.newaxis], center, products)
    else:
        add_weighted_products(X, weight, center, products)


def _pairs(slope: Array) -> Array:
    pairs: Array = slope[:, :, np.newaxis] * slope[:, np.newaxis, :]
    return pairs


def _add_by_group(X: Matrix, slope: Array, labels: Array, groups: Groups, center: Array) -> None:
    """Add the scores of a slice's rows to those of their groups."""
    found, code = np.unique(labels, return_inverse=True)
    n_rows, outputs = slope.shape
    sums = np.empty((len(found), outputs, len(center) + 1))
    for output in range(outputs):
        share = slope[:, output]
        members = sp.csr_array((share, (code, np.arange(n_rows))), (len(found), n_rows))
        if isinstance(X, OneHot):
            n_numeric = X.dense.shape[1]
            sums[:, output, :n_numeric] = members @ X.dense
            sums[:, output, n_numeric:-1] = 0.0
            codes = X.codes
            row, column = np.nonzero(codes >= 0)
            np.add.at(sums[:, output], (code[row], codes[row, column]), share[row])
        else:
            product = members @ X
            sums[:, output, :-1] = product.toarray() if is_sparse(X) else product
        sums[:, output, -1] = members.sum(axis=1)
    sums[:, :, :-1] -= sums[:, :, -1:] * center
    groups.scores[np.searchsorted(groups.labels, found)] += sums.reshape(len(found), -1)


def _join(left: Groups, right: Groups) -> Groups:
    """Add the sums of equal groups."""
    if len(left.labels) == 0 or len(right.labels) == 0:
        return left if len(right.labels) == 0 else right
    labels = np.union1d(left.labels, right.labels)
    scores = np.zeros((len(labels), left.scores.shape[1]))
    for part in (left, right):
        scores[np.searchsorted(labels, part.labels)] += part.scores
    return Groups(labels, scores)
