"""Categorical columns as the columns of ones and zeros that they stand for, never made."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit

from flowml.kernels.mixed import MISSING, Mixed, translate
from flowml.kernels.rows import Array
from flowml.kernels.scratch import once


@dataclass(frozen=True, eq=False)
class Encoding:
    """Which column of ones and zeros each label has, behind the numeric columns.

    Parameters
    ----------
    n_numeric : int
    levels : tuple of ndarray
        For each categorical column its labels, sorted.
    drop_first : bool
        Whether the first label of each column is the reference, with no column of its own.
    missing : tuple of bool
        For each categorical column whether a missing label has a column, behind the others.
    names : tuple of str
        Of the categorical columns, for messages.
    ignore_unknown : bool
        Whether a label that isn't known is passed over in new rows; it has no column.
    """

    n_numeric: int
    levels: tuple[Array, ...]
    drop_first: bool
    missing: tuple[bool, ...]
    names: tuple[str, ...] = ()
    ignore_unknown: bool = False

    @cached_property
    def starts(self) -> Array:
        """The first column of each categorical one, and at the end their number in all."""
        widths = [
            len(labels) + absent - (self.drop_first and len(labels) + absent > 0)
            for labels, absent in zip(self.levels, self.missing, strict=True)
        ]
        return np.cumsum([self.n_numeric, *widths])

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return int(self.starts[-1])

    def apply(self, X: Mixed) -> "OneHot":
        """Return the rows' columns; a label that the encoding doesn't know has none."""
        codes = np.empty(X.codes.shape, dtype=np.int32)
        _look_up(X.codes, *once(_places, self, X.levels), codes)
        return OneHot(X.dense, codes, self.n_columns)

    def unknown(self, X: Mixed) -> list[tuple[str, Any]]:
        """Return categorical columns and labels that rows have but the encoding doesn't know."""
        found: list[tuple[str, Any]] = []
        for j, labels in enumerate(self.levels):
            present = X.levels[j][np.unique(X.codes[:, j][X.codes[:, j] != MISSING])]
            strange = present[~np.isin(present, labels)]
            found += [(self.names[j], label) for label in strange.tolist()]
        return found


def _places(encoding: Encoding, levels: tuple[Array, ...]) -> tuple[Array, Array]:
    """Return the column of each of a block's labels, and behind them that of a missing one.

    The categorical columns' tables stand one behind the other; with them come their ends.
    """
    places = []
    for j, labels in enumerate(encoding.levels):
        code = np.append(np.arange(len(levels[j]), dtype=np.int32), np.int32(MISSING))
        place = translate(code, levels[j], labels)
        if encoding.missing[j]:
            place[-1] = len(labels)
        place -= encoding.drop_first
        places.append(np.where(place >= 0, place + encoding.starts[j], MISSING).astype(np.int32))
    ends = np.cumsum([len(place) for place in places])
    return np.concatenate([np.empty(0, np.int32), *places]), ends.astype(np.intp)


@njit(cache=True, nogil=True)
def _look_up(codes: Array, places: Array, ends: Array, out: Array) -> None:
    """Replace codes by columns; a missing label's is the last of its table."""
    for i in range(codes.shape[0]):
        for j in range(codes.shape[1]):
            code = codes[i, j]
            first = ends[j - 1] if j > 0 else 0
            out[i, j] = places[first + code if code >= 0 else ends[j] - 1]


@dataclass(frozen=True, eq=False)
class OneHot:
    """Numeric columns and, behind them, columns of ones and zeros of which a row names its ones.

    It multiplies like the dense matrix that it stands for.

    Parameters
    ----------
    dense : ndarray of shape (n_rows, n_numeric)
    codes : int32 ndarray of shape (n_rows, n_categorical)
        Columns that hold a one; -1 for none.
    n_columns : int
        Of both kinds.
    """

    dense: Array
    codes: Array
    n_columns: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.dense), self.n_columns

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numbers' dtype."""
        return self.dense.dtype

    @property
    def T(self) -> "Transposed":  # noqa: N802 - as arrays call it
        """The transpose, for a product from the left."""
        return Transposed(self)

    def __len__(self) -> int:
        return len(self.dense)

    def __getitem__(self, rows: Any) -> "OneHot":
        return OneHot(self.dense[rows], self.codes[rows], self.n_columns)

    def __matmul__(self, factors: Array) -> Array:
        """Return the product with an array of shape (n_columns, n_outputs)."""
        n_numeric = self.dense.shape[1]
        product = np.asarray(self.dense @ factors[:n_numeric], dtype=np.float64)
        _add_gathered(self.codes, np.ascontiguousarray(factors), product)
        return product

    def toarray(self) -> Array:
        """Return the dense matrix that it stands for: for tests and small samples."""
        out = np.zeros(self.shape)
        out[:, : self.dense.shape[1]] = self.dense
        rows, columns = np.nonzero(self.codes >= 0)
        out[rows, self.codes[rows, columns]] = 1.0
        return out

    def add_products(self, weight: Array, center: Array, products: Array) -> None:
        r"""Add :math:`Z^\top W Z`, with Z the columns less the center, and one of ones at the end.

        Parameters
        ----------
        weight : ndarray of shape (n_rows,)
        center : ndarray of shape (n_columns,)
            Zero for categorical columns.
        products : ndarray of shape (n_columns + 1, n_columns + 1)
            Added to.
        """
        n_numeric = self.dense.shape[1]
        Z = np.empty((len(self), n_numeric + 1))
        np.subtract(self.dense, center[:n_numeric], out=Z[:, :-1])
        Z[:, -1] = 1.0
        weighted = Z * weight[:, np.newaxis]
        square = Z.T @ weighted
        last = self.n_columns
        products[:n_numeric, :n_numeric] += square[:-1, :-1]
        products[:n_numeric, last] += square[:-1, -1]
        products[last, :n_numeric] += square[-1, :-1]
        products[last, last] += square[-1, -1]
        beside = np.zeros((last - n_numeric, n_numeric + 1))
        _add_scattered(self.codes, weighted, n_numeric, beside)
        products[n_numeric:last, :n_numeric] += beside[:, :-1]
        products[:n_numeric, n_numeric:last] += beside[:, :-1].T
        products[n_numeric:last, last] += beside[:, -1]
        products[last, n_numeric:last] += beside[:, -1]
        _add_pairs(self.codes, weight, products)


@dataclass(frozen=True, eq=False)
class Transposed:
    """The transpose of a `OneHot`."""

    matrix: OneHot

    def __matmul__(self, factors: Array) -> Array:
        """Return the product with an array of shape (n_rows, n_outputs)."""
        n_numeric, n_columns = self.matrix.dense.shape[1], self.matrix.n_columns
        product = np.zeros((n_columns, factors.shape[1]))
        product[:n_numeric] = self.matrix.dense.T @ factors
        _add_scattered(
            self.matrix.codes, np.ascontiguousarray(factors), n_numeric, product[n_numeric:]
        )
        return product


@njit(cache=True, nogil=True)
def _add_gathered(codes: Array, factors: Array, out: Array) -> None:
    """Add to each row the factors of its ones; a single output's sum stays in a register."""
    if factors.shape[1] == 1:
        for i in range(codes.shape[0]):
            total = out[i, 0]
            for j in range(codes.shape[1]):
                place = codes[i, j]
                if place >= 0:
                    total += factors[place, 0]
            out[i, 0] = total
        return
    for i in range(codes.shape[0]):
        for j in range(codes.shape[1]):
            place = codes[i, j]
            if place >= 0:
                for k in range(factors.shape[1]):
                    out[i, k] += factors[place, k]


@njit(cache=True, nogil=True)
def _add_scattered(codes: Array, values: Array, first: int, out: Array) -> None:
    """Add each row's values to the columns of its ones, counted from the first."""
    if values.shape[1] == 1:
        for i in range(codes.shape[0]):
            value = values[i, 0]
            for j in range(codes.shape[1]):
                place = codes[i, j] - first
                if place >= 0:
                    out[place, 0] += value
        return
    for i in range(codes.shape[0]):
        for j in range(codes.shape[1]):
            place = codes[i, j] - first
            if place >= 0:
                for k in range(values.shape[1]):
                    out[place, k] += values[i, k]


@njit(cache=True, nogil=True)
def _add_pairs(codes: Array, weight: Array, products: Array) -> None:
    """Count the pairs of ones, by weight."""
    for i in range(codes.shape[0]):
        for j in range(codes.shape[1]):
            row = codes[i, j]
            if row < 0:
                continue
            products[row, row] += weight[i]
            for k in range(j):
                column = codes[i, k]
                if column >= 0:
                    products[row, column] += weight[i]
                    products[column, row] += weight[i]
