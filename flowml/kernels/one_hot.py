"""Categorical columns as the columns of ones and zeros that they stand for, never made."""

from dataclasses import dataclass, replace
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
        return OneHot(X.dense, X.codes, *once(_places, self, X.levels), self.n_columns)

    def known(self, X: Mixed) -> "OneHot":
        """Return new rows' columns.

        Raises
        ------
        ValueError
            If there are labels that the encoding doesn't know, and isn't to pass over.
        """
        if not self.ignore_unknown and (unknown := self.unknown(X)):
            column, label = unknown[0]
            what = "a missing label" if label is None else repr(label)
            raise ValueError(
                f"column {column!r} holds {what}, which the fit never saw: "
                "CategoricalEncoding(handle_unknown='ignore') predicts without it"
            )
        return self.apply(X)

    def unknown(self, X: Mixed) -> list[tuple[str, Any]]:
        """Return categorical columns and labels that rows have but the encoding doesn't know.

        A missing label is None.
        """
        found: list[tuple[str, Any]] = []
        for j, labels in enumerate(self.levels):
            codes = np.unique(X.codes[:, j])
            if MISSING in codes and not self.missing[j]:
                found.append((self.names[j], None))
            present = X.levels[j][codes[codes != MISSING]]
            strange = present[~np.isin(present, labels)]
            found += [(self.names[j], label) for label in strange.tolist()]
        return found


def _places(encoding: Encoding, levels: tuple[Array, ...]) -> tuple[Array, Array]:
    """Return the column of a missing label and behind it those of a block's labels.

    The categorical columns' tables stand one behind the other; with them come the places of their
    first labels.
    """
    places = []
    for j, labels in enumerate(encoding.levels):
        place = translate(np.arange(MISSING, len(levels[j]), dtype=np.int32), levels[j], labels)
        if encoding.missing[j]:
            place[0] = len(labels)
        place -= encoding.drop_first
        places.append(np.where(place >= 0, place + encoding.starts[j], MISSING).astype(np.int32))
    ends = np.cumsum([0, *(len(place) for place in places)])
    return np.concatenate([np.empty(0, np.int32), *places]), ends[:-1] + 1


@dataclass(frozen=True, eq=False)
class OneHot:
    """Numeric columns and, behind them, columns of ones and zeros of which a row names its ones.

    It multiplies like the dense matrix that it stands for. Rows keep the codes that they came with:
    what belongs to columns is brought into the order of the codes, which are fewer than the rows.

    Parameters
    ----------
    dense : ndarray of shape (n_rows, n_numeric)
    labels : int32 ndarray of shape (n_rows, n_categorical)
        A categorical column's label, as the number to be added to its first one's place in
        `columns`; -1 where it is missing.
    columns : int32 ndarray of shape (n_labels,)
        The column that holds a one for each label; -1 for none.
    first : int ndarray of shape (n_categorical,)
    n_columns : int
        Of both kinds.
    """

    dense: Array
    labels: Array
    columns: Array
    first: Array
    n_columns: int

    @property
    def codes(self) -> Array:
        """Each row's columns that hold a one, of shape (n_rows, n_categorical); -1 for none."""
        codes: Array = self.columns[self.labels + self.first]
        return codes

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
        return replace(self, dense=self.dense[rows], labels=self.labels[rows])

    def __matmul__(self, factors: Array) -> Array:
        """Return the product with an array of shape (n_columns, n_outputs)."""
        n_numeric = self.dense.shape[1]
        product = np.asarray(self.dense @ factors[:n_numeric], dtype=np.float64)
        nothing = np.zeros((1, factors.shape[1]))
        of_labels = np.concatenate([factors, nothing])[self.columns]
        _add_gathered(self.labels, self.first, of_labels, product)
        return product

    def toarray(self) -> Array:
        """Return the dense matrix that it stands for: for tests and small samples."""
        out = np.zeros(self.shape)
        out[:, : self.dense.shape[1]] = self.dense
        codes = self.codes
        rows, columns = np.nonzero(codes >= 0)
        out[rows, codes[rows, columns]] = 1.0
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
        beside = self.sums_by_label(weighted)[n_numeric:]
        products[n_numeric:last, :n_numeric] += beside[:, :-1]
        products[:n_numeric, n_numeric:last] += beside[:, :-1].T
        products[n_numeric:last, last] += beside[:, -1]
        products[last, n_numeric:last] += beside[:, -1]
        _add_pairs(self.codes, weight, products)

    def sums_by_label(self, values: Array) -> Array:
        """Return for each column the sum of values over the rows in which a label makes it one.

        Parameters
        ----------
        values : C-contiguous ndarray of shape (n_rows, n_outputs)

        Returns
        -------
        ndarray of shape (n_columns, n_outputs)
            Zero for numeric columns.
        """
        of_labels = np.zeros((len(self.columns), values.shape[1]))
        _add_scattered(self.labels, self.first, values, of_labels)
        sums = np.zeros((self.n_columns, values.shape[1]))
        known = self.columns >= 0
        sums[self.columns[known]] = of_labels[known]
        return sums


@dataclass(frozen=True, eq=False)
class Transposed:
    """The transpose of a `OneHot`."""

    matrix: OneHot

    def __matmul__(self, factors: Array) -> Array:
        """Return the product with an array of shape (n_rows, n_outputs)."""
        dense = self.matrix.dense
        product = self.matrix.sums_by_label(np.ascontiguousarray(factors))
        product[: dense.shape[1]] = dense.T @ factors
        return product


@njit(cache=True, nogil=True)
def _add_gathered(labels: Array, first: Array, factors: Array, out: Array) -> None:
    """Add to each row the factors of its labels; a single output's sum stays in a register."""
    if factors.shape[1] == 1:
        for i in range(labels.shape[0]):
            total = out[i, 0]
            for j in range(labels.shape[1]):
                total += factors[np.uintp(first[j] + labels[i, j]), 0]
            out[i, 0] = total
        return
    for i in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            place = np.uintp(first[j] + labels[i, j])  # never counts from the end
            for k in range(factors.shape[1]):
                out[i, k] += factors[place, k]


@njit(cache=True, nogil=True)
def _add_scattered(labels: Array, first: Array, values: Array, out: Array) -> None:
    """Add each row's values to those of its labels."""
    if values.shape[1] == 1:
        for i in range(labels.shape[0]):
            value = values[i, 0]
            for j in range(labels.shape[1]):
                out[np.uintp(first[j] + labels[i, j]), 0] += value
        return
    for i in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            place = np.uintp(first[j] + labels[i, j])  # never counts from the end
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
