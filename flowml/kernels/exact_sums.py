"""Sums of rows by label that don't depend on the order or the history of the additions.

Each value is cut into a high and a low part on two power-of-two grids, chosen from the largest
value of its column and the number of rows so that both parts add up without rounding (Demmel &
Nguyen 2015, "Parallel reproducible summation"). What is left out lies below 2**-72 of the largest
value, for leaves of up to 2**17 rows. A row that moves from one label to another is subtracted
again without a trace: sums kept up to date by the rows that moved have the same bits as new ones.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit, types
from numba.extending import overload

from flowml.kernels.distances import Csr, csr
from flowml.kernels.rows import Array, Matrix, is_sparse

SMALLEST_EXPONENT = -800
"""Columns of smaller values (2**-800) count as zero: the low grid must stay a normal number."""

NO_WEIGHTS = np.empty(0)
NO_WEIGHTS.flags.writeable = False


class ExactSums(NamedTuple):
    """Weighted sums of rows by label; the last column sums the weights themselves.

    Attributes
    ----------
    parts : ndarray of shape (k, 2, p + 1)
        High and low parts.
    grids : ndarray of shape (2, p + 1)
        Adding and subtracting these rounds to the grids of the parts.
    limits : ndarray of shape (p + 1,)
        The largest values that the grids can take.
    """

    parts: Array
    grids: Array
    limits: Array

    def total(self) -> Array:
        """Return the sums, rounded once: of shape (k, p + 1)."""
        return self.parts[:, 0] + self.parts[:, 1]


def empty_sums(k: int, maxima: Array, n_rows: int) -> ExactSums:
    """Return sums of no rows.

    Parameters
    ----------
    k : int
        Number of labels.
    maxima : ndarray of shape (p + 1,)
        Largest |w x| of each column, and the largest weight.
    n_rows : int
        The most rows that will be in the sums at a time.
    """
    exponents = np.maximum(np.frexp(maxima)[1], SMALLEST_EXPONENT).astype(np.int64)
    bits = max(2, int(n_rows).bit_length())
    with np.errstate(over="ignore"):  # infinite grids make the sums NaN, which the fold reports
        coarse = np.ldexp(1.5, exponents + bits - 1)
        fine = np.ldexp(1.5, exponents + 2 * bits - 54)
    return ExactSums(np.zeros((k, 2, len(maxima))), np.stack([coarse, fine]), maxima)


def column_maxima(X: Matrix, weight: Array | None, maxima: Array) -> None:
    """Raise `maxima` (p + 1) to the largest |w x| of each column and the largest weight."""
    weights = weights_or_none(weight)
    if is_sparse(X):
        _maxima_csr(csr(X), weights, maxima)
    else:
        dense_maxima(X, weights, maxima)


def move_rows(
    sums: ExactSums, X: Matrix, weight: Array | None, rows: Array, before: Array, after: Array
) -> None:
    """Take rows out of the sums of one label and add them to another's.

    Parameters
    ----------
    sums : ExactSums
    X : ndarray or CSR array of shape (n, p)
    weight : ndarray of shape (n,) or None
    rows : ndarray of shape (m,), int64
        Which rows of X.
    before, after : ndarray of shape (m,), int32
        Labels of these rows; -1 is no label.
    """
    weights = weights_or_none(weight)
    move_compiled_rows(csr(X) if is_sparse(X) else X, weights, rows, before, after, sums)


@njit(cache=True, nogil=True)
def takes(sums: ExactSums, maxima: Array) -> bool:
    """Tell whether the grids can take values as large as these."""
    return bool((maxima <= sums.limits).all())


def weights_or_none(weight: Any) -> Array:
    """Return weights as compiled loops take them: read-only, and empty for weights of one."""
    if weight is None:
        return NO_WEIGHTS
    view = np.ascontiguousarray(weight, np.float64).view()
    view.flags.writeable = False
    return view


@njit(cache=True, nogil=True)
def dense_maxima(X: Array, weight: Array, maxima: Array) -> None:
    """Do what `column_maxima` does, with weights as `weights_or_none` returns them."""
    p = X.shape[1]
    weighted = len(weight) > 0
    for i in range(X.shape[0]):
        w = weight[i] if weighted else 1.0
        row = X[i]
        for j in range(p):
            size = abs(w * row[j])
            maxima[j] = size if size > maxima[j] else maxima[j]
        maxima[p] = w if w > maxima[p] else maxima[p]


@njit(cache=True, nogil=True)
def _maxima_csr(X: Csr, weight: Array, maxima: Array) -> None:
    data, indices, indptr = X
    weighted = len(weight) > 0
    for i in range(len(indptr) - 1):
        w = weight[i] if weighted else 1.0
        for at in range(indptr[i], indptr[i + 1]):
            size = abs(w * data[at])
            if size > maxima[indices[at]]:
                maxima[indices[at]] = size
        maxima[-1] = w if w > maxima[-1] else maxima[-1]


@njit(cache=True, nogil=True)
def move_compiled_rows(
    X: Any, weight: Array, rows: Array, before: Array, after: Array, sums: ExactSums
) -> None:
    """Do what `move_rows` does, with weights as `weights_or_none` returns them and CSR as `Csr`."""
    for at in range(len(rows)):
        new, old, i = after[at], before[at], rows[at]
        if new == old:
            continue
        w = weight[i] if len(weight) > 0 else 1.0
        _add_row(X, i, w, new, sums)
        if old >= 0:
            _add_row(X, i, -w, old, sums)


def _add_row(X: Any, i: int, w: float, label: int, sums: ExactSums) -> None:
    """Add w times a row: compiled for dense rows and for `Csr`."""
    raise NotImplementedError("only for compiled code")


@overload(_add_row)
def _choose_add_row(X: Any, i: int, w: float, label: int, sums: ExactSums) -> Any:
    return _add_csr_row if isinstance(X, types.BaseNamedTuple) else _add_dense_row


def _add_dense_row(X: Any, i: int, w: float, label: int, sums: ExactSums) -> None:
    row, high, low = X[i], sums.parts[label, 0], sums.parts[label, 1]
    coarse, fine = sums.grids[0], sums.grids[1]
    for j in range(len(row)):
        top, rest = _split(w * row[j], coarse[j], fine[j])
        high[j] += top
        low[j] += rest
    top, rest = _split(w, coarse[-1], fine[-1])
    high[-1] += top
    low[-1] += rest


def _add_csr_row(X: Any, i: int, w: float, label: int, sums: ExactSums) -> None:
    high, low = sums.parts[label, 0], sums.parts[label, 1]
    coarse, fine = sums.grids[0], sums.grids[1]
    for at in range(X.indptr[i], X.indptr[i + 1]):
        j = X.indices[at]
        top, rest = _split(w * X.data[at], coarse[j], fine[j])
        high[j] += top
        low[j] += rest
    top, rest = _split(w, coarse[-1], fine[-1])
    high[-1] += top
    low[-1] += rest


@njit(cache=True, nogil=True)
def _split(value: float, coarse: float, fine: float) -> tuple[float, float]:
    top = (value + coarse) - coarse
    return top, ((value - top) + fine) - fine
