"""The triangular factor of tall rows: what the Gram matrix's square root is, without squaring."""

from typing import Any, NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.gram import centred, n_targets
from flowml.kernels.rows import Array, Rows, n_features, slices

SLICE_ROWS = 1024


class Triangle(NamedTuple):
    r"""Upper triangular R with :math:`R^\top R = Z^\top W Z` for :math:`Z = [1, X - c, y - c]`.

    Attributes
    ----------
    rows : float
        Number of rows with a weight above zero.
    R : ndarray of shape (n_columns, n_columns), n_columns = 1 + n_features + n_targets
        Rows may differ in sign between equal data; zero rows fill it up where data are short.
    """

    rows: float
    R: Array


def summarise(ask: Array, rows: Rows) -> Triangle:
    """Factor slice by slice, with the factor so far above the slice (sequential TSQR).

    The ask is the center c, of shape (n_features + n_targets,). Demmel, Grigori, Hoemmen & Langou
    2012, "Communication-optimal parallel and sequential QR and LU factorizations".
    """
    n_columns = n_features(rows) + n_targets(rows) + 1
    count = 0.0
    R = np.zeros((n_columns, n_columns))
    for part in slices(rows, SLICE_ROWS):
        Z = centred(part, ask)
        R = stack(R, np.roll(Z, 1, axis=1))
        count += len(Z) if part.weight is None else np.count_nonzero(part.weight)
    return Triangle(count, R)


def merge(left: Triangle, right: Triangle) -> Triangle:
    """Factor the two factors, one above the other."""
    if right.rows == 0:
        return left
    if left.rows == 0:
        return right
    return Triangle(left.rows + right.rows, stack(left.R, right.R))


TRIANGLE = Fold(summarise, merge)


def stack(R: Array, Z: Array) -> Array:
    """Return the factor of rows below a factor."""
    factor: Any = np.linalg.qr(np.vstack([R, Z]), mode="r")
    return factor
