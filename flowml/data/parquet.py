"""Parquet: one block for each row group, straight from pyarrow into an array."""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from dask.base import tokenize

from flowml.data.assemble import Assemble
from flowml.data.block_source import Reader
from flowml.data.coded import check_kind, target_dtype, with_labels
from flowml.data.columns import Choice, Columns, Names, choose_columns
from flowml.data.dataset import Dataset, Part, starts
from flowml.data.files import File, Paths, StorageOptions, find_files
from flowml.data.fill_rows import fill_rows
from flowml.kernels.rows import Array, Block
from flowml.kernels.scratch import row_space

BATCH_BYTES = 32 << 20
"""Columns are decoded in batches of at most this size: a huge row group isn't held twice."""

FOOTER_THREADS = 8
PARTITION = re.compile(r"([^/=]+)=([^/]*)/")
"""A folder of a Hive-partitioned data set, and what it says of its files."""


def read_parquet(
    path: Paths,
    target: Names = None,
    weight: str | None = None,
    features: Names = None,
    categorical: Names = None,
    storage_options: StorageOptions = None,
) -> Dataset:
    """Describe Parquet files as a Dataset; only their footers are read now.

    Each row group is one block. Missing values become NaN, integers and booleans floats; X is
    float32 where all its columns of numbers are, float64 otherwise. Dictionary columns (pandas'
    category) are categorical. The one target of a classification may hold labels of any kind.

    Parameters
    ----------
    path : str, Path or list of them
        A file, a glob, a folder, any fsspec URL.
    target : str or list of str, optional
        Columns of y: a name gives y of shape (n_rows,), a list (n_rows, n_targets).
    weight : str, optional
        Column of sample weights.
    features : str or list of str, optional
        Columns of X, in this order; by default all others but a pandas index.
    categorical : str or list of str, optional
        Features whose values, text or numbers, are labels too.
    storage_options : mapping, optional
        What fsspec opens the file system with, as for Dask: ``{"anon": True}`` for public S3.

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If a file is missing or cut short, files differ in their columns, a column isn't there, or
        one is kept in the names of folders (``year=2026/…``).
    TypeError
        If a column is neither numeric nor categorical.

    Examples
    --------
    >>> import flowml
    >>> from flowml.datasets import california_housing
    >>> flowml.read_parquet(
    ...     california_housing(),
    ...     target="median_house_value",
    ...     features=["median_income", "housing_median_age"],
    ... )
    Dataset: 20,640 rows, 5 blocks, Parquet
      features (2, float64): median_income, housing_median_age
      target: median_house_value
    """
    files = find_files(path, ".parquet", ".parq", ".pq", storage_options=storage_options)
    with ThreadPoolExecutor(FOOTER_THREADS, "flowml-footers") as pool:
        footers = list(pool.map(read_footer, files))
    schemas = [footer.schema.to_arrow_schema() for footer in footers]
    index = index_columns(schemas[0])
    choice = Choice(target, weight, features, categorical)
    columns = choose_columns(schemas[0].names, files[0].url, choice, index)
    columns = columns._replace(categorical=_categorical(schemas[0], columns))
    for file, schema in zip(files, schemas, strict=True):
        _check_columns(file, schema, columns, files[0], schemas[0] if features is None else None)
    if features is None:
        _refuse_partitions(files, schemas[0].names)
    kinds = [dict(zip(schema.names, schema.types, strict=True)) for schema in schemas]
    schema = columns.schema(_common_dtype(schemas, columns), target_dtype(kinds, columns))
    groups = [
        (file, group, footer.row_group(group).num_rows)
        for file, footer in zip(files, footers, strict=True)
        for group in range(footer.num_row_groups)
    ]
    first = starts([rows for _, _, rows in groups])
    parts = tuple(
        Part(
            RowGroup(Assemble(schema, first[number], number), file, group, columns),
            rows,
            rows * schema.row_bytes,
        )
        for number, (file, group, rows) in enumerate(groups)
    )
    return Dataset(schema, parts, "Parquet", lambda: tokenize("parquet", files, columns))


@dataclass(frozen=True)
class RowGroup(Reader):
    """Reads one row group.

    Parameters
    ----------
    assemble : Assemble
    file : File
    number : int
        The row group's place in its file.
    columns : Columns
    """

    file: File
    number: int
    columns: Columns

    def __str__(self) -> str:
        return f"row group {self.number} of {self.file.url}"

    def __call__(self) -> Block:
        """Read the block."""
        footer, columns, schema = read_footer(self.file), self.columns, self.assemble.schema
        n_rows, dtype = footer.row_group(self.number).num_rows, schema.dtype
        X = row_space(n_rows, len(columns.numeric), dtype, self.assemble.by_columns)
        labels: dict[str, list[pa.Array]] = {name: [] for name in columns.labels(schema)}
        beside = np.empty((len(columns.beside_X), n_rows))
        low = 0
        for batch in self._batches(
            max(BATCH_BYTES // (len(columns.names) * dtype.itemsize), 1024), list(labels)
        ):
            high = low + batch.num_rows
            fill_rows(X[low:high], [column_values(batch[name]) for name in columns.numeric])
            for row, name in zip(beside, columns.beside_X, strict=True):
                if name not in labels:
                    row[low:high] = column_values(batch[name])
            for name, chunks in labels.items():
                chunks.append(batch[name])
            low = high
        y = beside[: len(columns.targets)].T if columns.targets else None
        weight = None if columns.weight is None else beside[-1]
        return self.assemble(*with_labels(X, y, labels, columns, self.assemble.number), weight)

    def _batches(self, size: int, labels: Sequence[str]) -> Iterator[pa.RecordBatch]:
        local = self.file.is_local
        options: dict[str, Any] = {"memory_map": True} if local else {"pre_buffer": True}
        options["read_dictionary"] = labels
        try:
            with (
                nullcontext(self.file.url) if local else self.file.open() as source,
                pq.ParquetFile(source, metadata=read_footer(self.file), **options) as opened,
            ):
                yield from opened.iter_batches(
                    size, [self.number], list(self.columns.names), use_threads=False
                )
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{self} can't be read ({error}): write the file again") from error


@lru_cache(maxsize=256)
def read_footer(file: File) -> pq.FileMetaData:
    """Read a file's footer, once in each process.

    Raises
    ------
    ValueError
        If the file isn't Parquet or was cut short.
    """
    try:
        with file.open() as opened:
            return pq.read_metadata(opened)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{file.url} isn't a whole Parquet file, perhaps it was cut short: "
            f"write or copy it again ({error})"
        ) from error


def column_values(column: pa.Array) -> Array:
    """Return a column as numbers, with NaN where a value is missing."""
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        column = column.cast(pa.float64())
    return column.to_numpy(zero_copy_only=False)


def index_columns(schema: pa.Schema) -> list[str]:
    """Return the columns in which pandas keeps a frame's index."""
    described = (schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in described if isinstance(name, str)]


def _categorical(schema: pa.Schema, columns: Columns) -> tuple[str, ...]:
    """Return the features that are dictionaries, or were named as categorical."""
    return tuple(
        name
        for name in columns.features
        if name in columns.categorical or pa.types.is_dictionary(schema.field(name).type)
    )


def _check_columns(
    file: File, schema: pa.Schema, columns: Columns, first: File, whole: pa.Schema | None
) -> None:
    """Check one file's columns; where `whole` is given, it may have no others either."""
    for name in columns.names:
        if name not in schema.names:
            raise ValueError(f"{file.url} has no column {name!r}, but {first.url} has one")
        check_kind(schema.field(name).type, name, columns, file.url)
    for name in schema.names:
        if whole is not None and name not in (*whole.names, *index_columns(schema)):
            raise ValueError(
                f"{file.url} has a column {name!r} that {first.url} has not: choose the columns "
                "with features="
            )


def _refuse_partitions(files: Sequence[File], names: Sequence[str]) -> None:
    """Refuse columns in the names of folders: a model without them isn't what was asked for."""
    for name, _ in PARTITION.findall(files[0].url):
        found = {dict(PARTITION.findall(file.url)).get(name) for file in files}
        if len(found) > 1 and name not in names:
            raise ValueError(
                f"{files[0].url} lies in a folder for one value of {name!r}, and columns in the "
                "names of folders aren't read: write it into the files, or leave it out by naming "
                "the other columns with features="
            )


def _common_dtype(schemas: Sequence[pa.Schema], columns: Columns) -> Any:
    narrow = bool(columns.numeric) and all(
        pa.types.is_float32(schema.field(name).type)
        for schema in schemas
        for name in columns.numeric
    )
    return np.float32 if narrow else np.float64
