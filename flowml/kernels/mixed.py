"""Numeric columns beside categorical ones: a block's X where some columns hold labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flowml.kernels.rows import Array

MISSING = -1
"""The code of a label that is missing."""


@dataclass(frozen=True, eq=False)
class Mixed:
    """Rows of numbers and labels, the labels as codes into the block's own dictionaries.

    It is cut and measured like an array; a kernel that takes it says what its labels mean with an
    `Encoding`.

    Parameters
    ----------
    dense : ndarray of shape (n_rows, n_numeric)
    codes : int32 ndarray of shape (n_rows, n_categorical)
        Places in `levels`; `MISSING` where there is no label.
    levels : tuple of ndarray
        For each categorical column the labels that its codes stand for, in any order.
    """

    dense: Array
    codes: Array
    levels: tuple[Array, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, and columns of both kinds."""
        return len(self.dense), self.dense.shape[1] + self.codes.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numbers' dtype."""
        return self.dense.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of numbers, codes and labels."""
        return sum(part.nbytes for part in (self.dense, self.codes, *self.levels))

    def __getitem__(self, rows: Any) -> "Mixed":
        return Mixed(self.dense[rows], self.codes[rows], self.levels)

    def __len__(self) -> int:
        return len(self.dense)


def concatenate(parts: Sequence[Mixed]) -> Mixed:
    """Put rows below each other, giving the labels of all parts common codes.

    Examples
    --------
    >>> first = Mixed(np.zeros((1, 0)), np.array([[0]], np.int32), (np.array(["a"]),))
    >>> other = Mixed(np.zeros((1, 0)), np.array([[0]], np.int32), (np.array(["b"]),))
    >>> both = concatenate([first, other])
    >>> both.codes.ravel().tolist(), both.levels[0].tolist()
    ([0, 1], ['a', 'b'])
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    dense = np.concatenate([part.dense for part in parts])
    if all(part.levels is first.levels for part in parts):
        return Mixed(dense, np.concatenate([part.codes for part in parts]), first.levels)
    codes = np.empty((len(dense), first.codes.shape[1]), dtype=np.int32)
    levels = []
    for column in range(codes.shape[1]):
        common = union([part.levels[column] for part in parts])
        levels.append(common)
        translated = [
            translate(part.codes[:, column], part.levels[column], common) for part in parts
        ]
        codes[:, column] = np.concatenate(translated)
    return Mixed(dense, codes, tuple(levels))


def union(labels: Sequence[Array]) -> Array:
    """Return all labels, sorted; of what is empty not even the dtype counts.

    Examples
    --------
    >>> union([np.array([3, 1]), np.array([], dtype=str)])
    array([1, 3])
    """
    found = [part for part in labels if len(part)]
    return np.unique(np.concatenate(found)) if found else labels[0]


def translate(codes: Array, levels: Array, wanted: Array) -> Array:
    """Return codes into other, sorted labels; `MISSING` for a label that isn't among them."""
    if len(wanted) == 0 or len(levels) == 0:
        return np.full(len(codes), MISSING, dtype=np.int32)
    place = np.minimum(np.searchsorted(wanted, levels), len(wanted) - 1).astype(np.int32)
    place[wanted[place] != levels] = MISSING
    return np.append(place, np.int32(MISSING))[codes]
