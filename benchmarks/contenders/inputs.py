"""A job's data, as arrays in this process or as chunks on a cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import scipy.sparse as sp
from dask.delayed import delayed
from distributed import Client, LocalCluster, wait

from benchmarks.contenders.turn import Work

WORKERS = 2
ITERATIONS = 20


def arrays(work: Work) -> tuple[np.ndarray, np.ndarray]:
    """Load X and y."""
    return np.load(work.folder / "X.npy"), np.load(work.folder / "y.npy")


def sparse_arrays(work: Work) -> tuple[Any, np.ndarray]:
    """Load CSR rows, with the 32-bit indices that liblinear wants, and y."""
    X = sp.load_npz(work.folder / "X.npz").tocsr()
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    return X, np.load(work.folder / "y.npy")


def frame(work: Work) -> tuple[pd.DataFrame, np.ndarray]:
    """Load categorical columns and y."""
    codes, y = np.load(work.folder / "codes.npy"), np.load(work.folder / "y.npy")
    names = [f"level {level:03}" for level in range(int(codes.max()) + 1)]
    columns = {
        f"x{place}": pd.Categorical.from_codes(codes[:, place], names)
        for place in range(codes.shape[1])
    }
    return pd.DataFrame(columns), y


def start(work: Work) -> np.ndarray:
    """Load the centres that k-means starts from."""
    return np.load(work.folder / "start.npy")


def parquet(work: Work) -> str:
    """Name the Parquet files."""
    return str(work.folder / "parquet" / "*.parquet")


@contextmanager
def on_workers(work: Work) -> Iterator[tuple[Any, Any]]:
    """Persist X and y, in ``options["chunks"]`` chunks, on worker processes with a thread each."""
    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster),
    ):
        chunks = work.options["chunks"]
        X, y = chunked(work.folder / "X.npy", chunks), chunked(work.folder / "y.npy", chunks)
        X, y = X.persist(), y.persist()
        wait([X, y])
        yield X, y


def chunked(path: Path, chunks: int) -> Any:
    """Open an array file as a lazy array whose chunks are read where they are needed."""
    array = np.load(path, mmap_mode="r")
    bounds = np.linspace(0, len(array), chunks + 1).astype(int).tolist()
    parts = [
        da.from_delayed(
            delayed(read)(path, low, high), (high - low, *array.shape[1:]), dtype=array.dtype
        )
        for low, high in pairwise(bounds)
    ]
    return da.concatenate(parts)


def read(path: Path, low: int, high: int) -> np.ndarray:
    """Read some rows of an array file."""
    return np.array(np.load(path, mmap_mode="r")[low:high])
