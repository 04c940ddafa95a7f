"""The data of the jobs: drawn by seed, written where every contender reads them from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp

SEED = 20261
PARQUET_FILES = 10
ROW_GROUPS_PER_FILE = 2
CLASSES = 5
DENSITY = 0.001
LEVELS = 250


@dataclass(frozen=True)
class Data:
    """Some rows of float64.

    Parameters
    ----------
    kind : str
        "regression": a linear target with noise; "logistic", "multinomial", "poisson": labels or
        counts of a linear predictor; "sparse": labels of CSR rows with 0.1 % of their values;
        "categories": counts of categorical columns of 250 levels each; "blobs": Gaussian blobs
        around `centres` points; "noise": uniform noise.
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
    """Write ``X.npy``, ``y.npy``, ``start.npy`` and perhaps ``parquet/*.parquet``.

    CSR rows are in ``X.npz``, categories' codes in ``codes.npy``.
    """
    generator = np.random.default_rng(SEED)
    if data.kind in ("sparse", "categories"):
        (_write_sparse if data.kind == "sparse" else _write_categories)(data, folder, generator)
        return
    shape = (data.rows, data.columns)
    if data.kind == "blobs":
        blobs = generator.uniform(-10, 10, (data.centres, data.columns))
        X = blobs[generator.integers(data.centres, size=data.rows)]
        X += generator.normal(size=shape)
    elif data.kind == "noise":
        X = generator.random(shape)
    else:
        X = generator.normal(size=shape)
    y = _target(data, X, generator)
    np.save(folder / "X.npy", X)
    np.save(folder / "y.npy", y)
    drawn = generator.choice(data.rows, data.centres, replace=False)
    np.save(folder / "start.npy", X[np.sort(drawn)])
    if data.parquet:
        _write_parquet(X, y, folder / "parquet")


def _target(data: Data, X: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw y."""
    weights = np.linspace(-1, 1, data.columns)
    if data.kind == "logistic":
        return _labels(X @ (0.3 * weights) + 0.5, generator)
    if data.kind == "poisson":
        return generator.poisson(np.exp(X @ (0.1 * weights) + 0.5)).astype(np.float64)
    if data.kind == "multinomial":
        of_classes = 0.3 * generator.normal(size=(data.columns, CLASSES))
        luck = generator.gumbel(size=(data.rows, CLASSES))
        return (X @ of_classes + luck).argmax(axis=1).astype(np.float64)
    return X @ weights + 3 + generator.normal(size=data.rows)


def _labels(eta: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return (generator.random(len(eta)) < 1 / (1 + np.exp(-eta))).astype(np.float64)


def _write_sparse(data: Data, folder: Path, generator: np.random.Generator) -> None:
    each = max(1, round(DENSITY * data.columns))
    places = generator.integers(data.columns, size=(data.rows, each), dtype=np.int32)
    stored = generator.normal(size=places.size)
    starts = np.arange(0, places.size + 1, each)
    X = sp.csr_array((stored, places.ravel(), starts), shape=(data.rows, data.columns))
    X.sum_duplicates()
    weights = generator.normal(size=data.columns) * (generator.random(data.columns) < 0.1)
    sp.save_npz(folder / "X.npz", X, compressed=False)
    np.save(folder / "y.npy", _labels(X @ weights * 0.5, generator))


def _write_categories(data: Data, folder: Path, generator: np.random.Generator) -> None:
    codes = generator.integers(LEVELS, size=(data.rows, data.columns), dtype=np.int16)
    of_levels = 0.1 * generator.normal(size=(data.columns, LEVELS))
    eta = 0.3 + sum(of_levels[column][codes[:, column]] for column in range(data.columns))
    np.save(folder / "codes.npy", codes)
    np.save(folder / "y.npy", generator.poisson(np.exp(eta)).astype(np.float64))


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
