"""Squared errors of ridge regressions on each row when that row alone is left out of the fit."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.rows import Array, Rows, is_sparse, slices

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
    n_alphas, n_targets, p = ask.coef.shape
    count, error = 0.0, np.zeros((n_alphas, n_targets))
    for part in slices(rows, SLICE_ROWS):
        assert part.y is not None
        n_rows = part.X.shape[0]
        weight = np.ones(n_rows) if part.weight is None else part.weight
        Z = (part.X.toarray() if is_sparse(part.X) else part.X) - ask.center[:p]
        y = part.y.reshape(n_rows, n_targets) - ask.center[p:]
        fitted = (Z @ ask.coef.reshape(-1, p).T).reshape(n_rows, n_alphas, n_targets)
        leverage = weight[:, np.newaxis] * (np.square(Z @ ask.vectors) @ ask.inverse + ask.constant)
        left = (y[:, np.newaxis, :] - fitted) / (1.0 - leverage)[:, :, np.newaxis]
        error += np.tensordot(weight, np.square(left), axes=1)
        count += float(np.count_nonzero(weight))
    return LeftOutErrors(count, error)


def merge(left: LeftOutErrors, right: LeftOutErrors) -> LeftOutErrors:
    """Add two up."""
    return LeftOutErrors(left.rows + right.rows, left.error + right.error)


LEAVE_ONE_OUT = Fold(summarise, merge, additive=True)
