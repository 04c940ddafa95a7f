"""The data of the jobs: drawn by seed, written where every contender reads them from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SEED = 20261
PARQUET_FILES = 10
ROW_GROUPS_PER_FILE = 2


@dataclass(frozen=True)
class Data:
    """Some rows of float64.

    Parameters
    ----------
    kind : {"regression", "blobs", "noise"}
        A linear target with noise; Gaussian blobs around `centres` points; uniform noise.
    rows : int
    columns : int
    centres : int
        How many blobs, and how many rows are drawn as the start of k-means.
    parquet : bool
        Whether to write Parquet files as well.
    """

    kind: str
    rows: int = 1_000_000
    columns: int = 50
    centres: int = 20
    parquet: bool = False


def write(data: Data, folder: Path) -> None:
    """Write ``X.npy``, ``y.npy``, ``start.npy`` and perhaps ``parquet/*.parquet``."""
    generator = np.random.default_rng(SEED)
    shape = (data.rows, data.columns)
    if data.kind == "blobs":
        blobs = generator.uniform(-10, 10, (data.centres, data.columns))
        X = blobs[generator.integers(data.centres, size=data.rows)]
        X += generator.normal(size=shape)
    elif data.kind == "noise":
        X = generator.random(shape)
    else:
        X = generator.normal(size=shape)
    y = X @ np.linspace(-1, 1, data.columns) + 3 + generator.normal(size=data.rows)
    np.save(folder / "X.npy", X)
    np.save(folder / "y.npy", y)
    drawn = generator.choice(data.rows, data.centres, replace=False)
    np.save(folder / "start.npy", X[np.sort(drawn)])
    if data.parquet:
        _write_parquet(X, y, folder / "parquet")


def _write_parquet(X: np.ndarray, y: np.ndarray, folder: Path) -> None:
    folder.mkdir()
    rows = -(-len(X) // PARQUET_FILES)
    for number, low in enumerate(range(0, len(X), rows)):
        part = slice(low, low + rows)
        columns = {f"x{column}": X[part, column] for column in range(X.shape[1])}
        pq.write_table(
            pa.table(columns | {"y": y[part]}),
            folder / f"part-{number:02}.parquet",
            row_group_size=-(-rows // ROW_GROUPS_PER_FILE),
        )
