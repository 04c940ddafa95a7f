"""Put the chunks of one block together: runs where the chunks are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from flowml.data.frames import categorical_columns, to_mixed
from flowml.data.labels import to_labels
from flowml.data.schema import Schema
from flowml.kernels.mixed import Mixed, concatenate
from flowml.kernels.rows import Array, Block, Matrix, is_sparse


@dataclass(frozen=True)
class Assemble:
    """Turns a chunk of X (array, CSR or frame), of y and of the weights into a Block.

    Parameters
    ----------
    schema : Schema
    start : int
    number : int
    by_columns : bool
        Whether X stays column by column where it comes so; else it is laid out row by row.
    """

    schema: Schema
    start: int
    number: int
    by_columns: bool = False

    def __call__(self, X: Any, y: Any = None, weight: Any = None) -> Block:
        """Return the block.

        Raises
        ------
        ValueError
            If row counts differ, or the number of columns isn't the schema's.
        """
        features = to_matrix(X, self.schema.dtype, self.by_columns)
        self._check_kinds(X, features)
        if features.shape[1] != self.schema.n_features:
            raise ValueError(
                f"block {self.number} has {features.shape[1]} columns, "
                f"but the data has {self.schema.n_features} features"
            )
        target = None if y is None else to_target(y, self.schema, self.number)
        weights = None if weight is None else to_weight(weight, self.number)
        for name, values in (("y", target), ("sample_weight", weights)):
            if values is not None and len(values) != features.shape[0]:
                raise ValueError(
                    f"X and {name} differ in their number of rows in block {self.number}: "
                    f"{features.shape[0]} and {len(values)}"
                )
        return Block(features, target, weights, self.start, self.number)

    def _check_kinds(self, chunk: Any, features: Matrix) -> None:
        """Refuse a chunk whose categorical columns aren't the schema's."""
        wanted = self.schema.categorical
        found = categorical_columns(chunk) if isinstance(chunk, pd.DataFrame) else wanted
        if found != wanted or isinstance(features, Mixed) != bool(wanted):
            raise ValueError(
                f"block {self.number} has categorical columns {list(found)}, but the data's are "
                f"{list(wanted)}: give each column one dtype in all partitions"
            )


def join_blocks(blocks: Sequence[Block]) -> Block:
    """Make one block of consecutive ones, without a copy where there is only one."""
    if len(blocks) == 1:
        return blocks[0]
    first = blocks[0]
    X = [block.X for block in blocks]
    y = [block.y for block in blocks if block.y is not None]
    weight = [block.weight for block in blocks if block.weight is not None]
    return first._replace(
        X=stacked(X),
        y=np.concatenate(y) if y else None,
        weight=np.concatenate(weight) if weight else None,
    )


def stacked(parts: Sequence[Matrix]) -> Matrix:
    """Put rows of one kind below each other."""
    if isinstance(parts[0], Mixed):
        return concatenate(parts)
    if is_sparse(parts[0]):
        return sp.csr_array(sp.vstack(parts, "csr"))
    return np.concatenate(parts)


def to_matrix(X: Any, dtype: np.dtype[Any], by_columns: bool = False) -> Matrix:
    """Return a chunk of X as an array, as CSR, or as numbers of `dtype` beside codes."""
    if isinstance(X, Mixed):
        return X
    if isinstance(X, pd.DataFrame) and categorical_columns(X):
        return to_mixed(X, dtype)
    if is_sparse(X):
        return sp.csr_array(X).astype(dtype, copy=False)
    values = to_floats(X, dtype)
    return values if by_columns and values.flags.f_contiguous else np.ascontiguousarray(values)


def to_floats(values: Any, dtype: Any = np.float64) -> Array:
    """Return an array, series or frame as an array; missing values become NaN."""
    if hasattr(values, "to_numpy"):
        return np.asarray(values.to_numpy(dtype=dtype, na_value=np.nan))
    return np.asarray(values, dtype=dtype)


def to_target(y: Any, schema: Schema, number: int) -> Array:
    """Return a chunk of y as labels, or as float64 with the schema's number of dimensions."""
    if schema.keeps_labels:
        return to_labels(y, number)
    values = np.ascontiguousarray(to_floats(y))
    return values.reshape(-1) if schema.y_is_1d else values.reshape(len(values), schema.n_targets)


def to_weight(weight: Any, index: int) -> Array:
    """Return a chunk of the weights as float64.

    Raises
    ------
    ValueError
        If a weight is negative.
    """
    values = np.ascontiguousarray(to_floats(weight)).reshape(-1)
    if len(values) and values.min() < 0:
        row = int(np.argmin(values))
        raise ValueError(
            f"sample_weight holds a negative weight: {values[row]} in block {index}, row {row} of "
            "the block"
        )
    return values
