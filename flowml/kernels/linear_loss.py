"""The loss of a linear predictor over rows, its gradient, and its curvature: what GLMs pass for."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.csr_products import add_gathered, times
from flowml.kernels.fold import Fold
from flowml.kernels.labels import encode
from flowml.kernels.loss_rows import add_lines, count
from flowml.kernels.mixed import Mixed
from flowml.kernels.one_hot import Encoding
from flowml.kernels.products import (
    add_pair_products,
    add_pairs,
    add_weighted_products,
    is_narrow,
    pairs_of,
)
from flowml.kernels.rows import (
    Array,
    Block,
    Matrix,
    Rows,
    Slice,
    constant,
    n_features,
    slices,
)
from flowml.kernels.scratch import scratch
from flowml.kernels.symmetric import padded, whole_of
from flowml.losses.compiled import form_of
from flowml.losses.likelihood import likelihood_of
from flowml.losses.loss import Derivatives, Loss, contiguous

SLICE_BYTES = 1 << 20
SPARSE_SLICE_ROWS = 1 << 16


class Offset(NamedTuple):
    """Which of y's two columns isn't the target, but added to the predictor as it is.

    Attributes
    ----------
    column : int
        0 or 1; the other is the target.
    logarithm : bool
        Whether it is the column's logarithm that is added: the column is an exposure.
    """

    column: int = 1
    logarithm: bool = False


class Target(NamedTuple):
    """How the blocks' y becomes what a loss takes.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,) or None
        Sorted labels: y is replaced by their numbers.
    class_weights : ndarray of shape (n_classes,) or None
        By which the rows' weights are multiplied.
    offset : Offset or None
        Where y has a second column.
    """

    classes: Array | None = None
    class_weights: Array | None = None
    offset: Offset | None = None

    def read(self, rows: Slice | Block) -> tuple[Array, Array]:
        """Return y and the weights of rows."""
        y, weight = rows.y, rows.weight
        assert y is not None
        if self.offset is not None:
            y = y[:, 1 - self.offset.column]
        if self.classes is not None:
            y = encode(y, self.classes)
        weight = np.ones(len(y)) if weight is None else weight
        if self.class_weights is not None:
            weight = weight * self.class_weights[y.astype(np.intp)]
        return y, weight

    def added(self, rows: Slice | Block) -> Array | float:
        """Return what is added to the predictor, of shape (n_rows, 1), or 0."""
        if self.offset is None:
            return 0.0
        assert rows.y is not None
        beside = rows.y[:, np.newaxis] if rows.y.ndim == 1 else rows.y
        column = beside[:, [self.offset.column]]
        return np.log(column) if self.offset.logarithm else column


class Point(NamedTuple):
    """Where a loss is asked for.

    Attributes
    ----------
    loss : Loss
    target : Target
    coef : ndarray of shape (n_outputs, n_features)
    intercept : ndarray of shape (n_outputs,)
    center : ndarray of shape (n_features,)
        Derivatives are by the coefficients of X less this, and by the intercept beside them.
    encoding : Encoding or None
        What the labels of categorical columns mean, where X is `Mixed`; n_features is then the
        number of its columns.
    bends : bool
        Whether a fold with curvature is to sum it up: it costs several times the rest.
    """

    loss: Loss
    target: Target
    coef: Array
    intercept: Array
    center: Array
    encoding: Encoding | None = None
    bends: bool = True

    def columns(self, X: Matrix | Mixed) -> Matrix:
        """Return the columns that the coefficients belong to."""
        return X if self.encoding is None else self.encoding.apply(X)


class LossSums(NamedTuple):
    r"""Sums over rows, with :math:`z_i = [x_i - c, 1]` and the loss's derivatives g and h.

    Attributes
    ----------
    weight : float
    value : float
        :math:`\sum_i w_i \ell_i`
    spread : float
        :math:`\sum_i w_i \|g_i\|^2`: how large a gradient is by chance.
    gradient : ndarray of shape (n_outputs, n_features + 1)
        :math:`\sum_i w_i g_i z_i^\top`
    curvature : ndarray of shape (n_outputs * (n_features + 1),) twice, or None
        :math:`\sum_i w_i\, h_i \otimes z_i z_i^\top`
    largest : float
        :math:`\max_i |g_i|` over rows of a weight above zero.
    broken : int
        Slices that hold a NaN or infinity.
    pearson : float
        :math:`\sum_i w_i g_i^2 / h_i`, which with expected curvature is Pearson's statistic; 0
        where the loss's dispersion is known.
    """

    weight: float
    value: float
    spread: float
    gradient: Array
    curvature: Array | None
    largest: float
    broken: int
    pearson: float = 0.0


def summarise_gradient(ask: Point, rows: Rows) -> LossSums:
    """Sum value and gradient."""
    return _summarise(ask, rows, None)


def summarise_curvature(ask: Point, rows: Rows) -> LossSums:
    """Sum value, gradient and, where the point wants it, curvature."""
    if not ask.bends:
        return _summarise(ask, rows, None)
    size = ask.loss.n_outputs * (len(ask.center) + 1)
    return _summarise(ask, rows, np.zeros((size, size)))


def merge(left: LossSums, right: LossSums) -> LossSums:
    """Add two up."""
    left.gradient[...] += right.gradient
    curvature = left.curvature
    if curvature is not None and right.curvature is not None:
        curvature += right.curvature
    return LossSums(
        left.weight + right.weight,
        left.value + right.value,
        left.spread + right.spread,
        left.gradient,
        curvature,
        max(left.largest, right.largest),
        left.broken + right.broken,
        left.pearson + right.pearson,
    )


def finite(summary: LossSums) -> bool:
    """Tell whether the rows were finite; a value may still overflow far from the minimum."""
    return summary.broken == 0


MAXIMA = ("largest",)
LOSS_GRADIENT = Fold(summarise_gradient, merge, finite=finite, additive=True, maxima=MAXIMA)
LOSS_CURVATURE = Fold(summarise_curvature, merge, finite=finite, additive=True, maxima=MAXIMA)


def _summarise(ask: Point, rows: Rows, curvature: Array | None) -> LossSums:
    outputs, pearson = ask.loss.n_outputs, 0.0
    form = form_of(ask.loss)
    gradient, tally = np.zeros((outputs, len(ask.center) + 1)), np.zeros(len(Tally._fields))
    if form is not None and ask.encoding is None and all(is_narrow(block.X) for block in rows):
        _add_compiled(ask, rows, form, (tally, gradient, curvature))
    else:
        pearson = _add_slices(ask, rows, tally, gradient, curvature)
    total, value, spread, largest, broken = Tally(*tally.tolist())
    return LossSums(total, value, spread, gradient, curvature, largest, int(broken), pearson)


def _add_compiled(
    ask: Point, rows: Rows, form: int, sums: tuple[Array, Array, Array | None]
) -> None:
    """Add narrow dense rows to tally, gradient and curvature, in a compiled call for each block."""
    tally, gradient, curvature = sums
    outputs, n_columns = ask.coef.shape
    size, closed = padded(n_columns + 1), ask.loss.shift_invariant
    pairs = [] if curvature is None else pairs_of(outputs, closed)
    theta = np.zeros((outputs, size))
    theta[:, :n_columns] = ask.coef
    theta[:, n_columns] = ask.intercept + ask.coef @ ask.center
    slopes, halves = np.zeros((outputs, size)), scratch("halves", (len(pairs), size, size))
    halves[:] = 0.0
    wanted = np.array(pairs, dtype=np.intp).reshape(-1, 2)
    place, added = (contiguous(ask.center), theta), np.empty(0)
    for block in rows:
        y, weight = map(contiguous, ask.target.read(block))
        if ask.target.offset is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                added = np.ravel(ask.target.added(block))
        lines = constant(block.X), y, weight, contiguous(added)
        add_lines(form, place, wanted, lines, (tally, slopes, halves))
    gradient += slopes[:, : n_columns + 1]
    if curvature is None:
        return
    products = np.zeros((len(pairs), n_columns + 1, n_columns + 1))
    for half, product in zip(halves, products, strict=True):
        whole_of(half, product)
    add_pairs(pairs, products, closed, curvature.reshape(2 * (outputs, n_columns + 1)))


def _add_slices(
    ask: Point, rows: Rows, tally: Array, gradient: Array, curvature: Array | None
) -> float:
    """Add rows of any kind slice by slice, and return Pearson's statistic."""
    pearson = 0.0
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        for part in slices(rows, slice_rows(rows)):
            X, (y, weight) = ask.columns(part.X), ask.target.read(part)
            told = tell(ask.loss, (y, weight), predictor(ask, X, part), tally)
            pearson += told.pearson
            add_gathered(X, told.weighted, gradient[:, :-1])
            gradient[:, -1] += told.weighted.sum(axis=1)
            if curvature is not None:
                _add_curvature(ask, X, weight, told.derivatives, curvature)
    gradient[:, :-1] -= gradient[:, -1:] * ask.center
    return pearson


class Told(NamedTuple):
    """What a loss tells of rows whose predictors are known.

    Attributes
    ----------
    derivatives : Derivatives
    weighted : ndarray of shape (n_outputs, n_rows)
        The loss's derivatives by the predictors, times the rows' weights.
    pearson : float
    """

    derivatives: Derivatives
    weighted: Array
    pearson: float


def tell(loss: Loss, targets: tuple[Array, Array], eta: Array, tally: Array) -> Told:
    """Add rows to a tally, and return the loss's derivatives.

    Parameters
    ----------
    loss : Loss
    targets : tuple of ndarray of shape (n_rows,)
        y and weights.
    eta : ndarray of shape (n_rows, n_outputs)
    tally : ndarray of shape (5,)
        Added to.
    """
    y, weight = targets
    derivatives, likelihood = weighed(loss, y, eta, weight), likelihood_of(loss)
    weighted, pearson = np.empty((loss.n_outputs, len(y))), 0.0
    slope = contiguous(derivatives.gradient.T).reshape(weighted.shape)
    y, weight, predicted = contiguous(y), contiguous(weight), contiguous(eta.T)
    count(y, weight, predicted, derivatives.value, slope, tally, weighted)
    if likelihood is not None and likelihood.dispersion is None:
        ratio = np.square(derivatives.gradient) / derivatives.curvature
        pearson = float(weight @ np.where(weight > 0, ratio, 0.0))
    return Told(derivatives, weighted, pearson)


class Tally(NamedTuple):
    """The numbers of `LossSums` that are summed up row by row."""

    weight: float
    value: float
    spread: float
    largest: float
    broken: float


def weighed(loss: Loss, y: Array, eta: Array, weight: Array) -> Derivatives:
    """Return a loss's derivatives, zero for rows of weight zero.

    Their targets may be none that the loss can take, and infinity times zero isn't zero.
    """
    derivatives = loss.derivatives(y, eta[:, 0] if loss.n_outputs == 1 else eta)
    idle = weight == 0
    if idle.any():
        for values in derivatives:
            values[idle] = 0.0
    return derivatives


def slice_rows(rows: Rows) -> int:
    """Return how many rows of a dense leaf stay in the processor's cache; of others, more.

    Each slice of these costs a vector of all columns.
    """
    if not isinstance(rows[0].X, np.ndarray):
        return SPARSE_SLICE_ROWS
    return max(256, SLICE_BYTES // (rows[0].X.dtype.itemsize * max(1, n_features(rows))))


def predictor(ask: Point, X: Matrix, rows: Slice | Block) -> Array:
    """Return η of rows whose columns are X, of shape (n_rows, n_outputs)."""
    eta: Array = times(X, ask.coef) + ask.intercept
    return eta + ask.target.added(rows)


def _add_curvature(
    ask: Point, X: Matrix, weight: Array, derivatives: Derivatives, curvature: Array
) -> None:
    """Add the weighted products of the columns, a block for each pair of outputs."""
    bend = derivatives.curvature
    if bend.ndim == 1:
        add_weighted_products(X, weight * bend, ask.center, curvature)
    else:
        weights = (bend.transpose(1, 2, 0) * weight).transpose(2, 0, 1)
        add_pair_products(X, weights, ask.center, curvature, ask.loss.shift_invariant)
