"""CSV: blocks of bytes that end at line ends, parsed by pyarrow."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from dask.base import tokenize
from fsspec.utils import infer_compression, read_block
from pyarrow import csv

from flowml.data.assemble import Assemble
from flowml.data.block_source import Reader
from flowml.data.coded import check_kind, is_text, target_dtype, with_labels
from flowml.data.columns import Choice, Columns, Names, choose_columns
from flowml.data.dataset import Dataset, Part, starts
from flowml.data.files import File, Paths, StorageOptions, find_files
from flowml.data.fill_rows import fill_rows
from flowml.data.parquet import column_values
from flowml.kernels.rows import Block
from flowml.kernels.scratch import row_space

BLOCK_BYTES = 16 << 20
SAMPLE_BYTES = 1 << 18
HEADER_THREADS = 8


def read_csv(
    path: Paths,
    target: Names = None,
    weight: str | None = None,
    features: Names = None,
    categorical: Names = None,
    storage_options: StorageOptions = None,
) -> Dataset:
    """Describe CSV files as a Dataset; only the first lines of each are read now.

    The first line of each file names its columns. Files are cut into blocks of 16 MB at line ends,
    so no field may hold a line end; a compressed file is one block. X is float64; empty fields
    and the like (``NA``, ``null``) become NaN. The number of rows isn't known before a fit, and
    the size in memory is estimated from the first lines.

    Parameters
    ----------
    path : str, Path or list of them
        A file, a glob, a folder, any fsspec URL.
    target : str or list of str, optional
        Columns of y: a name gives y of shape (n_rows,), a list (n_rows, n_targets).
    weight : str, optional
        Column of sample weights.
    features : str or list of str, optional
        Columns of X, in this order; by default all others.
    categorical : str or list of str, optional
        Features whose values, text or numbers, are labels.
    storage_options : mapping, optional
        What fsspec opens the file system with, as for Dask: ``{"anon": True}`` for public S3.

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If a file is missing or empty, files differ in their columns, or a column isn't there.
    TypeError
        If a column of the first lines isn't numeric, unless it is categorical or the one target,
        which may hold the labels of a classification.

    Examples
    --------
    >>> import flowml, tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "points.csv"
    >>> _ = file.write_text("a,b,y\\n1,2,3\\n4,5,6\\n")
    >>> flowml.read_csv(file, target="y")
    Dataset: rows not counted yet, 1 blocks, CSV
      features (2, float64): a, b
      target: y
    """
    files = find_files(path, ".csv", ".csv.gz", storage_options=storage_options)
    with ThreadPoolExecutor(HEADER_THREADS, "flowml-headers") as pool:
        heads = list(pool.map(_read_head, files))
    choice = Choice(target, weight, features, categorical)
    columns = choose_columns(heads[0].names, files[0].url, choice)
    for file, head in zip(files, heads, strict=True):
        _check_head(file, head, columns, heads[0], features is None)
    kinds = [dict(zip(head.names, head.kinds, strict=True)) for head in heads]
    schema = columns.schema(np.float64, target_dtype(kinds, columns))
    ranges = [
        (file, head, low, size)
        for file, head in zip(files, heads, strict=True)
        for low, size in _ranges(file)
    ]
    first = starts([None] * len(ranges))
    parts = tuple(
        Part(
            CSVLines(Assemble(schema, first[n], n), file, low, size, head, columns),
            None,
            None if head.line_bytes is None else int(size / head.line_bytes * schema.row_bytes),
        )
        for n, (file, head, low, size) in enumerate(ranges)
    )
    return Dataset(schema, parts, "CSV", lambda: tokenize("csv", files, columns))


class Head(NamedTuple):
    """What the first lines of a file tell.

    Attributes
    ----------
    names : tuple of str
    kinds : tuple of pyarrow.DataType
    line_bytes : float or None
        Mean length of a line; None where compression hides it.
    """

    names: tuple[str, ...]
    kinds: tuple[pa.DataType, ...]
    line_bytes: float | None


@dataclass(frozen=True)
class CSVLines(Reader):
    """Reads the lines that start within a range of a file's bytes.

    Parameters
    ----------
    assemble : Assemble
    file : File
    low, size : int
        The range; from 0 on it includes the header.
    head : Head
    columns : Columns
    """

    file: File
    low: int
    size: int
    head: Head
    columns: Columns

    def __str__(self) -> str:
        return f"bytes {self.low} to {self.low + self.size} of {self.file.url}"

    def __call__(self) -> Block:
        """Read the block."""
        table, columns, assemble = self._parse(), self.columns, self.assemble
        X = row_space(table.num_rows, len(columns.numeric), np.float64, assemble.by_columns)
        fill_rows(X, [column_values(table.column(name)) for name in columns.numeric])
        coded = columns.labels(assemble.schema)
        labels = {name: table.column(name).chunks for name in coded}
        targets = [column_values(table.column(n)) for n in columns.targets if n not in coded]
        y = np.stack(targets, axis=1) if targets else None
        weight = None if columns.weight is None else column_values(table.column(columns.weight))
        return assemble(*with_labels(X, y, labels, columns, assemble.number), weight)

    def _parse(self) -> pa.Table:
        with self.file.open() as opened:
            if infer_compression(self.file.url) is None:
                lines = read_block(opened, self.low, self.size, delimiter=b"\n")
            else:
                lines = opened.read()
        if self.low == 0:
            _, _, lines = lines.partition(b"\n")
        kinds = {name: self._kind(name) for name in self.columns.names}
        if not lines.strip():
            return pa.table({name: pa.array([], pa.float64()) for name in kinds})
        try:
            return csv.read_csv(
                BytesIO(lines),
                csv.ReadOptions(use_threads=False, column_names=list(self.head.names)),
                convert_options=csv.ConvertOptions(
                    column_types=kinds, include_columns=list(kinds), strings_can_be_null=True
                ),
            )
        except pa.ArrowInvalid as error:
            raise ValueError(f"{self}: {error}") from error

    def _kind(self, name: str) -> pa.DataType:
        kind = self.head.kinds[self.head.names.index(name)]
        if name not in self.columns.labels(self.assemble.schema):
            return kind if pa.types.is_boolean(kind) else pa.float64()
        if is_text(kind) or pa.types.is_null(kind):
            return pa.dictionary(pa.int32(), pa.string())
        return kind if name in self.columns.targets else pa.dictionary(pa.int32(), kind)


def _read_head(file: File) -> Head:
    with file.open() as opened:
        sample = opened.read(SAMPLE_BYTES)
    whole = sample[: sample.rfind(b"\n") + 1] or sample
    try:
        table = csv.read_csv(BytesIO(whole), csv.ReadOptions(use_threads=False))
    except pa.ArrowInvalid as error:
        raise ValueError(f"{file.url} can't be read as CSV: {error}") from error
    plain = infer_compression(file.url) is None
    line_bytes = len(whole) / max(table.num_rows, 1) if plain else None
    return Head(tuple(table.schema.names), tuple(table.schema.types), line_bytes)


def _check_head(file: File, head: Head, columns: Columns, first: Head, whole: bool) -> None:
    kinds = dict(zip(head.names, head.kinds, strict=True))
    for name in columns.names:
        if name not in kinds:
            raise ValueError(f"{file.url} has no column {name!r}, but the first file has one")
        check_kind(kinds[name], name, columns, file.url)
    for name in kinds:
        if whole and name not in first.names:
            raise ValueError(
                f"{file.url} has a column {name!r} that the first file has not: choose the columns "
                "with features="
            )


def _ranges(file: File) -> Iterator[tuple[int, int]]:
    if infer_compression(file.url) is not None:
        yield 0, file.size
        return
    for low in range(0, file.size, BLOCK_BYTES):
        yield low, min(BLOCK_BYTES, file.size - low)
