"""NumPy .npy files: slices of rows, read from their place in the file."""

from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np
from dask.base import tokenize

from flowml.data.arrays import BLOCK_BYTES
from flowml.data.assemble import Assemble
from flowml.data.block_source import Reader
from flowml.data.dataset import Dataset, Part, starts
from flowml.data.files import File, Paths, StorageOptions, find_files
from flowml.data.schema import Schema
from flowml.kernels.rows import Array, Block


def read_npy(
    path: Paths,
    target: Paths | None = None,
    weight: Paths | None = None,
    storage_options: StorageOptions = None,
) -> Dataset:
    """Describe ``.npy`` files as a Dataset; only their headers are read now.

    Parameters
    ----------
    path : str, Path or list of them
        Arrays of shape (n_rows, n_features): a file, a glob, a folder, any fsspec URL. Several
        are taken one after the other.
    target, weight : str, Path or list of them, optional
        Arrays of shape (n_rows,) or (n_rows, n_targets), and (n_rows,): as many files as X has,
        with the same row counts.
    storage_options : mapping, optional
        What fsspec opens the file system with, as for Dask: ``{"anon": True}`` for public S3.

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If a file is missing or cut short, or shapes don't fit together.
    TypeError
        If an array doesn't hold real numbers.

    Examples
    --------
    >>> import flowml, numpy as np, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> np.save(f"{folder}/X.npy", np.ones((100, 3), np.float32))
    >>> np.save(f"{folder}/y.npy", np.arange(100))
    >>> flowml.read_npy(f"{folder}/X.npy", target=f"{folder}/y.npy")
    Dataset: 100 rows, 1 blocks, NumPy files
      features (3, float32): without names
      target: without name
    """
    X = _read_headers(path, storage_options)
    y, w = (
        None if place is None else _read_headers(place, storage_options)
        for place in (target, weight)
    )
    for others, name in ((y, "target"), (w, "weight")):
        if others is not None:
            _check_rows(X, others, name)
    schema = _schema(X, y, w)
    row_bytes = schema.n_features * schema.dtype.itemsize
    size = max(1, BLOCK_BYTES // row_bytes)
    slices = [
        (number, low, min(low + size, array.shape[0]))
        for number, array in enumerate(X)
        for low in range(0, max(array.shape[0], 1), size)
    ]
    first = starts([high - low for _, low, high in slices])
    parts = tuple(
        Part(
            NpyRows(
                Assemble(schema, first[index], index),
                low,
                high,
                X[number],
                None if y is None else y[number],
                None if w is None else w[number],
            ),
            high - low,
            (high - low) * row_bytes,
        )
        for index, (number, low, high) in enumerate(slices)
    )
    return Dataset(schema, parts, "NumPy files", lambda: tokenize("npy", X, y, w))


class Npy(NamedTuple):
    """One array in a file.

    Attributes
    ----------
    file : File
    shape : tuple of int
    dtype : numpy.dtype
    fortran : bool
        Whether it lies column by column.
    offset : int
        Where the values begin in the file.
    """

    file: File
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    offset: int

    def read(self, low: int, high: int) -> Array:
        """Read rows ``low`` to ``high``."""
        n_rows, *rest = self.shape
        if self.fortran:
            columns = [self._values(j * n_rows + low, high - low) for j in range(prod(rest))]
            return np.stack(columns).T
        values = self._values(low * prod(rest), (high - low) * prod(rest))
        return values.reshape(high - low, *rest)

    def _values(self, place: int, count: int) -> Array:
        with self.file.open() as opened:
            opened.seek(self.offset + place * self.dtype.itemsize)
            return np.frombuffer(opened.read(count * self.dtype.itemsize), self.dtype, count)


@dataclass(frozen=True)
class NpyRows(Reader):
    """Reads a range of rows.

    Parameters
    ----------
    assemble : Assemble
    low, high : int
    X : Npy
    y, weight : Npy or None
    """

    low: int
    high: int
    X: Npy
    y: Npy | None
    weight: Npy | None

    def __str__(self) -> str:
        return f"rows {self.low} to {self.high} of {self.X.file.url}"

    def __call__(self) -> Block:
        """Read the block."""
        arrays = (self.X, self.y, self.weight)
        return self.assemble(*(None if a is None else a.read(self.low, self.high) for a in arrays))


def _read_headers(paths: Paths, options: StorageOptions) -> list[Npy]:
    return [_read_header(file) for file in find_files(paths, ".npy", storage_options=options)]


def _read_header(file: File) -> Npy:
    with file.open() as opened:
        try:
            version = np.lib.format.read_magic(opened)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, fortran, dtype = read(opened)
        except ValueError as error:
            raise ValueError(f"{file.url} isn't a NumPy file: {error}") from error
        array = Npy(file, shape, dtype, fortran and len(shape) > 1, opened.tell())
    if dtype.kind not in "fiub":
        raise TypeError(f"{file.url} holds {dtype}, not real numbers")
    wanted = array.offset + prod(shape) * dtype.itemsize
    if file.size < wanted:
        raise ValueError(f"{file.url} was cut short: {file.size} bytes where {wanted} should be")
    return array


def _check_rows(X: list[Npy], others: list[Npy], name: str) -> None:
    if len(X) != len(others):
        raise ValueError(f"X has {len(X)} files and {name} {len(others)}: give as many")
    for left, right in zip(X, others, strict=True):
        if left.shape[0] != right.shape[0]:
            raise ValueError(
                f"{left.file.url} has {left.shape[0]} rows and {right.file.url} "
                f"{right.shape[0]}: they must be the same"
            )


def _schema(X: list[Npy], y: list[Npy] | None, weight: list[Npy] | None) -> Schema:
    for array in X:
        if len(array.shape) != 2 or array.shape[1] != X[0].shape[1] or array.shape[1] == 0:
            raise ValueError(
                f"{array.file.url} has shape {array.shape}; X needs (n_rows, n_features), with at "
                "least one feature and the same number in all files"
            )
    shape = (0,) if y is None else y[0].shape
    return Schema(
        n_features=X[0].shape[1],
        dtype=np.dtype(np.float32 if all(a.dtype == np.float32 for a in X) else np.float64),
        n_targets=0 if y is None else prod(shape[1:]),
        y_is_1d=len(shape) == 1,
        weighted=weight is not None,
    )
