"""Passes measured on clusters of 1 to 16 processes in this machine."""

import logging
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, product
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
from distributed import Client, LocalCluster

from flowml.config import Config
from flowml.data.dataset import Dataset, Part
from flowml.data.schema import Schema
from flowml.kernels.fold import Fold
from flowml.kernels.rows import Array, Block, Rows
from flowml.pool import Pool
from flowml.runtimes.choose import open_runtime
from flowml.solvers.solver import Progress

N_WORKERS = (1, 2, 4, 8, 16)
RUNTIMES = ("dataflow", "allreduce", "parameter_server", "coded")
LEAVES = 64
COLUMNS = 16
ROW_BYTES = (8 * COLUMNS * LEAVES, 32 << 20)
SUMMARY_BYTES = (1 << 7, 1 << 17)
TURNS = 3
"""Fits of each kind, by turns: something else that this machine does for a while hits all kinds."""
WARM_UPS = 5
COUNTED = 15
"""Passes of a fit, at least."""
COUNTED_FOR = 0.25
"""Seconds that the passes of a fit take, at least: some of a millisecond tell little."""
STARTED_WITHIN = 120
"""Seconds."""

Record: TypeAlias = dict[str, Any]


class Sum(NamedTuple):
    """A summary of any size: each worker sends as much as it was asked with, as of a gradient."""

    values: Array


def summarise(ask: Array, rows: Rows) -> Sum:
    """Work that takes a while for each row, and a summary as large as what was asked."""
    total = sum(float(np.exp(-np.abs(block.X)).sum()) for block in rows)
    return Sum(ask + total)


def merge(left: Sum, right: Sum) -> Sum:
    """Add up."""
    return Sum(np.add(left.values, right.values, out=left.values))


class Count(NamedTuple):
    """How many passes there were, and the last summary."""

    n_passes: int
    values: Array


@dataclass(frozen=True)
class Repeat:
    """Asks the same again and again."""

    summary_bytes: int
    max_passes: int
    fold: ClassVar[Fold] = Fold(summarise, merge, additive=True)

    def init(self) -> Count:
        return Count(0, np.zeros(self.summary_bytes // 8))

    def ask(self, state: Count) -> Array:
        return state.values

    def step(self, state: Count, summary: Sum) -> Count:
        return Count(state.n_passes + 1, summary.values * 1e-9)

    def done(self, state: Count) -> bool:
        return state.n_passes >= self.max_passes

    def progress(self, state: Count) -> Progress:
        return Progress(0.0, 0.0)


def measure(n_workers: int, counted: int = COUNTED) -> Iterator[Record]:
    """Start a cluster of processes with a thread each, and yield a record for each kind of pass.

    Its seconds are those of every pass, in a list for each turn. The first turn has as many passes
    as are to be `counted`, and tells how many are enough.
    """
    with (
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            dashboard_address=":0",
            silence_logs=logging.ERROR,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(n_workers, timeout=STARTED_WITHIN)
        kinds = list(product(ROW_BYTES, RUNTIMES, SUMMARY_BYTES))
        taken: dict[Any, list[list[float]]] = {kind: [] for kind in kinds}
        for _ in range(TURNS):
            with Pool() as pool:  # workers meet once in a turn, not for every fit
                for row_bytes, runtime, summary_bytes in kinds:
                    config = Config(client=client, runtime=runtime, straggler="none", pool=pool)
                    before = taken[row_bytes, runtime, summary_bytes]
                    n_passes = enough(before, counted)
                    seconds = passes(rows(row_bytes), config, summary_bytes, n_passes)
                    before.append([round(s, 6) for s in seconds])
    for (row_bytes, runtime, summary_bytes), turns in taken.items():
        yield {
            "runtime": runtime,
            "n_workers": n_workers,
            "row_bytes": row_bytes,
            "summary_bytes": summary_bytes,
            "seconds": turns,
        }


def enough(turns: Sequence[Sequence[float]], counted: int) -> int:
    """Return how many passes to count after those of the turns before.

    Examples
    --------
    >>> enough([], 15), enough([[0.002, 0.001, 0.001]], 15), enough([[0.1]], 15)
    (15, 250, 15)
    """
    if not turns:
        return counted
    return max(counted, round(COUNTED_FOR / statistics.median(chain.from_iterable(turns))))


def rows(row_bytes: int) -> Dataset:
    """Draw rows, in as many blocks as there are leaves: each a leaf whatever its size."""
    n_rows = row_bytes // (8 * COLUMNS * LEAVES)
    X = np.random.default_rng(0).normal(size=(LEAVES, n_rows, COLUMNS))
    blocks = [Block(X[leaf], start=leaf * n_rows, number=leaf) for leaf in range(LEAVES)]
    parts = tuple(Part(block, n_rows, block.X.nbytes) for block in blocks)
    return Dataset(Schema(COLUMNS, X.dtype), parts, "NumPy array", lambda: "drawn")


def passes(dataset: Dataset, config: Config, summary_bytes: int, counted: int) -> list[float]:
    """Return the seconds of each pass of a fit, as whoever drives the loop sees them."""
    runtime = open_runtime(dataset, config)
    solver = Repeat(summary_bytes, WARM_UPS + counted)
    try:
        advances = list(runtime.iterate(solver, solver.init()))
    finally:
        runtime.close()
    return [turn.seconds for advance in advances for turn in advance.turns][WARM_UPS:]
