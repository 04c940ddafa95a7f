"""Opening files as a dataset, by what their names end in."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import flowml
from flowml.data.dataset import Dataset

TABLES = {".parquet": "read_parquet", ".pq": "read_parquet", ".csv": "read_csv"}
ARRAYS = {".npy": "read_npy", ".zarr": "read_zarr"}
COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")


def open_data(
    paths: str | Sequence[str],
    target: Any = None,
    weight: str | None = None,
    features: Sequence[str] | None = None,
    categorical: Sequence[str] | None = None,
) -> Dataset:
    """Open Parquet, CSV, Zarr or ``.npy`` as a lazy dataset.

    Parameters
    ----------
    paths : str or sequence of str
        Paths, globs or fsspec URLs, all of one kind; a folder without an ending is Parquet.
    target, weight : str, optional
        Columns; paths of arrays for Zarr and ``.npy``.
    features : sequence of str, optional
        Columns, which only Parquet and CSV have.
    categorical : sequence of str, optional
        Columns of labels, beside Parquet's dictionaries, which are so without being named.

    Raises
    ------
    ValueError
        If the kind can't be told from the name, or columns are named for arrays.
    """
    suffix = ending(paths if isinstance(paths, str) else paths[0])
    if suffix in TABLES:
        read = getattr(flowml, TABLES[suffix])
        return read(paths, target=target, weight=weight, features=features, categorical=categorical)
    for name, columns in (("features", features), ("categorical", categorical)):
        if columns is not None:
            raise ValueError(f"{suffix} files hold arrays without column names: leave {name} out")
    return getattr(flowml, ARRAYS[suffix])(paths, target=target, weight=weight)


def ending(path: str) -> str:
    """Return what tells the kind of a file, ``.parquet`` for a folder.

    Examples
    --------
    >>> ending("s3://bucket/year=2024/*.csv.gz"), ending("X.zarr/"), ending("table/")
    ('.csv', '.zarr', '.parquet')
    """
    name = PurePosixPath(path.rstrip("/")).name
    for compression in COMPRESSIONS:
        name = name.removesuffix(compression)
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in TABLES or suffix in ARRAYS:
        return suffix
    if suffix == "" or path.endswith("/"):
        return ".parquet"
    known = ", ".join([*TABLES, *ARRAYS])
    raise ValueError(f"{path} ends in {suffix}, which flowml doesn't read; it reads {known}")
