"""Zarr arrays: each row of chunks is one block."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, TypeAlias

import numpy as np
from dask.base import tokenize

from flowml.data.assemble import Assemble
from flowml.data.block_source import Reader
from flowml.data.dataset import Dataset, Part, starts
from flowml.data.files import NoSuchFileError, StorageOptions, find_files
from flowml.data.schema import Schema
from flowml.kernels.rows import Block

try:
    import zarr
except ImportError:  # the extra isn't installed: read_zarr says so
    zarr = None  # type: ignore[assignment]

Location: TypeAlias = str | PathLike[str]


def read_zarr(
    path: Location,
    target: Location | None = None,
    weight: Location | None = None,
    storage_options: StorageOptions = None,
) -> Dataset:
    """Describe Zarr arrays as a Dataset; only their metadata are read now.

    Needs the extra: ``pip install 'flowml[zarr]'``.

    Parameters
    ----------
    path : str or Path
        An array of shape (n_rows, n_features): a folder, ``store.zarr/name``, or a URL.
    target, weight : str or Path, optional
        Arrays of shape (n_rows,) or (n_rows, n_targets), and (n_rows,).
    storage_options : mapping, optional
        What fsspec opens the file system with, as for Dask: ``{"anon": True}`` for public S3.

    Returns
    -------
    Dataset

    Raises
    ------
    ImportError
        If zarr isn't installed.
    ValueError
        If an array is missing, or shapes don't fit together.
    TypeError
        If an array doesn't hold real numbers.

    Examples
    --------
    >>> import flowml, numpy as np, tempfile, zarr
    >>> store = tempfile.mkdtemp() + "/points.zarr"
    >>> group = zarr.open_group(store, mode="w")
    >>> _ = group.create_array("X", data=np.ones((100, 3)), chunks=(40, 3))
    >>> _ = group.create_array("y", data=np.arange(100.0))
    >>> flowml.read_zarr(f"{store}/X", target=f"{store}/y")
    Dataset: 100 rows, 3 blocks, Zarr
      features (3, float64): without names
      target: without name
    """
    if zarr is None:
        raise ImportError("read_zarr needs zarr: pip install 'flowml[zarr]'")
    options = dict(storage_options or {})
    X = _open(path, options)
    y, w = (None if place is None else _open(place, options) for place in (target, weight))
    schema = _schema(X, y, w)
    n_rows, size = X.shape[0], X.chunks[0]
    ranges = [(low, min(low + size, n_rows)) for low in range(0, max(n_rows, 1), size)]
    first = starts([high - low for low, high in ranges])
    row_bytes = schema.n_features * schema.dtype.itemsize
    parts = tuple(
        Part(
            ZarrRows(Assemble(schema, first[number], number), low, high, (X, y, w)),
            high - low,
            (high - low) * row_bytes,
        )
        for number, (low, high) in enumerate(ranges)
    )
    return Dataset(schema, parts, "Zarr", lambda: _identify((path, target, weight), options))


def _identify(paths: Sequence[Location | None], options: dict[str, Any]) -> str:
    found = (path and find_files(path, "", storage_options=options) for path in paths)
    return tokenize("zarr", list(found))


@dataclass(frozen=True)
class ZarrRows(Reader):
    """Reads a range of rows.

    Parameters
    ----------
    assemble : Assemble
    low, high : int
    arrays : zarr arrays of X, y and the weights, the last two perhaps None
    """

    low: int
    high: int
    arrays: tuple[Any, Any, Any]

    def __str__(self) -> str:
        return f"rows {self.low} to {self.high} of {self.arrays[0].store_path}"

    def __call__(self) -> Block:
        """Read the block."""
        rows = slice(self.low, self.high)
        return self.assemble(*(None if array is None else array[rows] for array in self.arrays))


def _open(path: Location, options: dict[str, Any]) -> Any:
    try:
        return zarr.open_array(str(path), mode="r", storage_options=options or None)
    except FileNotFoundError as error:
        raise NoSuchFileError(f"there is no Zarr array {path}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path} isn't a Zarr array: {error}") from error


def _schema(X: Any, y: Any, weight: Any) -> Schema:
    if X.ndim != 2 or X.shape[1] == 0:
        raise ValueError(f"X has shape {X.shape}; it needs (n_rows, n_features), at least one")
    for name, array in (("X", X), ("target", y), ("weight", weight)):
        if array is None:
            continue
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name} holds {array.dtype}, not real numbers")
        if array.shape[0] != X.shape[0]:
            raise ValueError(
                f"X has {X.shape[0]} rows and {name} {array.shape[0]}: they must be the same"
            )
    y_is_1d = y is None or y.ndim == 1
    return Schema(
        n_features=X.shape[1],
        dtype=np.dtype(np.float32 if X.dtype == np.float32 else np.float64),
        n_targets=0 if y is None else 1 if y_is_1d else y.shape[1],
        y_is_1d=y_is_1d,
        weighted=weight is not None,
    )
