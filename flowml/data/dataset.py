"""The Dataset: what every kind of input becomes before a fit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any, NamedTuple

import numpy as np
from dask.base import tokenize

from flowml.data.block_source import BlockSource, DaskKeys, reassembled
from flowml.data.schema import Schema
from flowml.kernels.rows import POSITION_BITS, Block

SHOWN_NAMES = 12


class Part(NamedTuple):
    """One block of a dataset.

    Attributes
    ----------
    source : BlockSource
    rows : int or None
        None where only loading the block tells.
    nbytes : int or None
        Bytes that the block's X takes in memory once loaded.
    """

    source: BlockSource
    rows: int | None
    nbytes: int | None


@dataclass(frozen=True, repr=False)
class Dataset:
    """Rows cut into blocks, in order: in memory, in files, or in the chunks of a Dask collection.

    Made by `flowml.read_parquet` and its neighbours, or from arrays and frames inside ``fit``.

    Parameters
    ----------
    schema : Schema
    parts : tuple of Part
    kind : str
        What it was made from, for plans, reports and messages.
    identify : callable ``() -> str``
        Returns a fingerprint: equal for equal data, as far as can be told without loading it.
    collections : tuple of Dask collections
        Those whose keys the parts name.
    many_passes : bool
        Whether it is laid out for many passes: row by row, kept where there is room, and with small
        chunks of a Dask collection brought together to larger blocks, for which some travel between
        workers once. For a pass or two, blocks stay as they are read, and files are streamed.
    """

    schema: Schema
    parts: tuple[Part, ...]
    kind: str
    identify: Callable[[], str]
    collections: tuple[Any, ...] = ()
    many_passes: bool = True

    def __repr__(self) -> str:
        return "\n  ".join([self._headline(), *(f"{key}: {text}" for key, text in self._facts())])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{escape(key)}</th><td>{escape(text)}</td></tr>" for key, text in self._facts()
        )
        return f"<b>{escape(self._headline())}</b><table>{rows}</table>"

    def _headline(self) -> str:
        rows = "rows not counted yet" if self.n_rows is None else f"{self.n_rows:,} rows"
        return f"Dataset: {rows}, {len(self.parts):,} blocks, {self.kind}"

    def _facts(self) -> list[tuple[str, str]]:
        schema = self.schema
        names = schema.feature_names or ()
        shown = ", ".join(names[:SHOWN_NAMES]) + (", …" if len(names) > SHOWN_NAMES else "")
        facts = [(f"features ({schema.n_features}, {schema.dtype})", shown or "without names")]
        if schema.categorical:
            facts.append(("categorical", ", ".join(schema.categorical_names)))
        if schema.n_targets:
            facts.append(("target", ", ".join(schema.target_names or ("without name",))))
        if schema.weighted:
            facts.append(("sample weights", "yes"))
        return facts

    def for_few_passes(self) -> "Dataset":
        """Return the dataset laid out for a pass or two."""
        return replace(self, parts=self._reassembled(by_columns=True), many_passes=False)

    def with_labels(self) -> "Dataset":
        """Return the dataset whose blocks keep y as labels, with their own dtype."""
        schema, identify = replace(self.schema, labels=True), self.identify
        return replace(
            self,
            schema=schema,
            parts=self._reassembled(schema=schema),
            identify=lambda: tokenize(identify(), "labels"),
        )

    def _reassembled(self, **changes: Any) -> tuple[Part, ...]:
        return tuple(
            part._replace(source=reassembled(part.source, **changes)) for part in self.parts
        )

    def find_row(self, block: int, row: int) -> tuple[int, int]:
        """Return the block and the row within it of a row counted from the start of a block."""
        rows = self.parts[block].rows
        while rows is not None and row >= rows and block + 1 < len(self.parts):
            row, block = row - rows, block + 1
            rows = self.parts[block].rows
        return block, row

    def name_block(self, number: int) -> str:
        """Name a block for messages: its number, and its place in a file if it has one."""
        source = self.parts[number].source
        is_here = isinstance(source, Block | DaskKeys)
        return f"block {number}" if is_here else f"block {number} ({source})"

    @property
    def n_rows(self) -> int | None:
        """Number of rows, None where only loading tells."""
        rows = [part.rows for part in self.parts]
        return None if None in rows else sum(row for row in rows if row is not None)

    @property
    def measured(self) -> Schema:
        """The schema, and how many rows there are and what they store, as far as that is known."""
        stored, blocks = None, [part.source for part in self.parts]
        if self.schema.sparse and not self.is_lazy and self.n_rows:
            stored = sum(block.X.nnz for block in blocks if isinstance(block, Block)) / self.n_rows
        return replace(self.schema, n_rows=self.n_rows, stored=stored)

    @property
    def nbytes(self) -> int | None:
        """Bytes in memory once loaded, targets and weights too; None where only loading tells."""
        sizes = [part.nbytes for part in self.parts]
        if None in sizes:
            return None
        beside = 8 * (self.schema.n_targets + self.schema.weighted) * (self.n_rows or 0)
        return sum(size for size in sizes if size is not None) + beside

    @property
    def is_lazy(self) -> bool:
        """Whether any block is still to be loaded."""
        return not all(isinstance(part.source, Block) for part in self.parts)

    @property
    def shape(self) -> tuple[int | None, int]:
        """Rows (None where only loading tells) and features."""
        return self.n_rows, self.schema.n_features


def starts(rows: Sequence[int | None]) -> list[int]:
    """Return the position of each block's first row, from the blocks' row counts.

    Examples
    --------
    >>> starts([10, 5, 7])
    [0, 10, 15]
    """
    if None in rows:
        return [index << POSITION_BITS for index in range(len(rows))]
    ends = np.cumsum([0, *rows]).tolist()
    return list(ends[:-1])
