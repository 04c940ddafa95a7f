"""Some of the rows of lazy data, drawn block by block, lazily."""

from dataclasses import dataclass
from dataclasses import replace as replaced
from functools import partial
from typing import Any

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
from dask.array.utils import meta_from_array
from dask.base import tokenize
from dask.dataframe.utils import make_meta
from dask.utils import is_dataframe_like, is_series_like

from flowml.data.block_source import BlockSource, DaskKeys, Reader
from flowml.data.dataset import Dataset, Part, starts
from flowml.kernels.block_draw import BlockDraw
from flowml.kernels.rows import Block


def draw_rows(X: Any, draw: BlockDraw, labels: Any = None) -> Any:
    """Return the rows that each block draws, of X's kind.

    Parameters
    ----------
    X : Dask array, dataframe or series, or Dataset
    draw : BlockDraw
    labels : Dask array, cut as X is, optional
        Of each label the same share is drawn; chunk sizes are then unknown.

    Raises
    ------
    TypeError
        If labels are given for what isn't a Dask array.
    """
    if labels is not None and not isinstance(X, da.Array):
        raise TypeError("stratify= takes lazy rows as Dask arrays")
    if isinstance(X, Dataset):
        return _of_dataset(X, draw)
    if is_dataframe_like(X) or is_series_like(X):
        parts = [
            X.partitions[number].map_partitions(partial(_of_frame, draw, number), meta=make_meta(X))
            for number in range(X.npartitions)
        ]
        return dd.concat(parts)
    return _of_array(X, draw, labels)


def _of_array(X: da.Array, draw: BlockDraw, labels: Any) -> da.Array:
    sizes = X.chunks[0]
    known = labels is None and not np.isnan(sizes).any()
    first = np.array(starts(sizes)) if known else np.zeros(len(sizes), dtype=np.int64)
    counts = [draw.count(int(before), n) for before, n in zip(first, sizes, strict=True) if known]
    places = da.from_array(np.column_stack([np.arange(len(sizes)), first]), chunks=(1, 2))
    rest = "jkl"[: X.ndim - 1]
    beside = () if labels is None else (labels, "i")
    return da.blockwise(
        partial(_of_chunk, draw),
        f"i{rest}",
        X,
        f"i{rest}",
        places,
        "iz",
        *beside,
        adjust_chunks={"i": tuple(counts) if known else (np.nan,) * len(sizes)},
        align_arrays=False,
        concatenate=True,
        meta=meta_from_array(X),
    )


def _of_chunk(draw: BlockDraw, chunk: Any, place: Any, labels: Any = None) -> Any:
    number, before = np.asarray(place).ravel().tolist()
    return chunk[draw.rows(number, before, chunk.shape[0], labels)]


def _of_frame(draw: BlockDraw, number: int, frame: pd.DataFrame) -> pd.DataFrame:
    return frame.iloc[draw.rows(number, 0, len(frame))]


def _of_dataset(dataset: Dataset, draw: BlockDraw) -> Dataset:
    rows = [part.rows for part in dataset.parts]
    known = None not in rows
    first = starts(rows) if known else [0] * len(rows)
    counts = [None if n is None else draw.count(b, n) for b, n in zip(first, rows, strict=True)]
    begins = starts(counts)
    parts = []
    for number, part in enumerate(dataset.parts):
        count, nbytes = counts[number], part.nbytes
        if nbytes is not None and part.rows and count is not None:
            nbytes = nbytes * count // part.rows
        source = _drawn(part.source, draw, (first[number], begins[number], number))
        parts.append(Part(source, count, nbytes))
    identify = dataset.identify
    return replaced(dataset, parts=tuple(parts), identify=lambda: f"{identify()} {tokenize(draw)}")


def _drawn(source: BlockSource, draw: BlockDraw, place: tuple[int, int, int]) -> BlockSource:
    if isinstance(source, DaskKeys):
        raise TypeError("split the Dask collection that the dataset was made from")
    if isinstance(source, Block):
        return _rows_of(source, draw, place)
    return DrawnRows(source.assemble, source, draw, place)


def _rows_of(block: Block, draw: BlockDraw, place: tuple[int, int, int]) -> Block:
    before, start, number = place
    rows = draw.rows(number, before, block.X.shape[0])
    y = None if block.y is None else block.y[rows]
    weight = None if block.weight is None else block.weight[rows]
    return block._replace(X=block.X[rows], y=y, weight=weight, start=start)


@dataclass(frozen=True)
class DrawnRows(Reader):
    """Reads a block and returns the rows that it draws.

    Parameters
    ----------
    assemble : Assemble
    source : Reader
    draw : BlockDraw
    place : tuple of int
        Rows of the data before the block, drawn rows before it, and the block's number.
    """

    source: Reader
    draw: BlockDraw
    place: tuple[int, int, int]

    def __call__(self) -> Block:
        """Return the block of drawn rows."""
        block = replaced(self.source, assemble=self.assemble)()
        return _rows_of(block, self.draw, self.place)

    def __str__(self) -> str:
        return str(self.source)
