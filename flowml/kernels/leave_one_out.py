"""Squared errors of ridge regressions on each row when that row alone is left out of the fit."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.rows import Array, Block, Rows, Slice, is_sparse, slices

SLICE_ROWS = 2048


class LeaveOneOut(NamedTuple):
    r"""Fits on all rows, for several penalties.

    Attributes
    ----------
    center : ndarray of shape (n_features + n_targets,)
        The columns' means, zero without an intercept.
    coef : ndarray of shape (n_alphas, n_targets, n_features)
    vectors : ndarray of shape (n_features, n_features)
        Eigenvectors of the columns' scatter about the center.
    inverse : ndarray of shape (n_features, n_alphas)
        :math:`1 / (d_j + \alpha)` of its eigenvalues.
    constant : float
        What the intercept adds to the leverage of a row: one over the rows' weight.
    """

    center: Array
    coef: Array
    vectors: Array
    inverse: Array
    constant: float


class LeftOutErrors(NamedTuple):
    """Sums over rows.

    Attributes
    ----------
    rows : float
        With a weight above zero.
    error : ndarray of shape (n_alphas, n_targets)
        Weighted squares.
    """

    rows: float
    error: Array


def summarise(ask: LeaveOneOut, rows: Rows) -> LeftOutErrors:
    r"""Sum :math:`w_i (r_i / (1 - h_i))^2`, with the residual r and the leverage h of a row.

    G. H. Golub, M. Heath & G. Wahba 1979, "Generalized cross-validation as a method for choosing
    a good ridge parameter".
    """
    count, error = 0.0, np.zeros(ask.coef.shape[:2])
    for part in slices(rows, SLICE_ROWS):
        weight = weights_of(part)
        error += np.tensordot(weight, np.square(left_out(ask, part)), axes=1)
        count += float(np.count_nonzero(weight))
    return LeftOutErrors(count, error)


def left_out(ask: LeaveOneOut, rows: Slice | Block) -> Array:
    """Return the error on each row of the fits without it, (n_rows, n_alphas, n_targets)."""
    assert rows.y is not None
    n_alphas, n_targets, p = ask.coef.shape
    n_rows, weight = rows.X.shape[0], weights_of(rows)
    Z = (rows.X.toarray() if is_sparse(rows.X) else rows.X) - ask.center[:p]
    y = rows.y.reshape(n_rows, n_targets) - ask.center[p:]
    fitted = (Z @ ask.coef.reshape(-1, p).T).reshape(n_rows, n_alphas, n_targets)
    leverage = weight[:, np.newaxis] * (np.square(Z @ ask.vectors) @ ask.inverse + ask.constant)
    errors: Array = (y[:, np.newaxis, :] - fitted) / (1.0 - leverage)[:, :, np.newaxis]
    return errors


def weights_of(rows: Slice | Block) -> Array:
    """Return the rows' weights."""
    return np.ones(rows.X.shape[0]) if rows.weight is None else rows.weight


def merge(left: LeftOutErrors, right: LeftOutErrors) -> LeftOutErrors:
    """Add two up."""
    return LeftOutErrors(left.rows + right.rows, left.error + right.error)


LEAVE_ONE_OUT = Fold(summarise, merge, additive=True)
