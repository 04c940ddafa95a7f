"""A user's estimator whose passes take their time without a processor: faults strike in mid-pass
however busy the machine is.

`main` is the client process that a test kills.
"""

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import dask.array as da
from distributed import Client

import flowml
from flowml.kernels.fold import Fold
from flowml.kernels.rows import Array, Rows
from tests.power_iteration import (
    PowerIteration,
    PowerSolver,
    Product,
    make_rows,
    merge,
    say_pass,
    summarise,
)

SECONDS_PER_LEAF = 0.005
PASSES = 80


def summarise_slowly(
    held_by: Path | None, ask: Array, rows: Rows, memory: dict[str, Any]
) -> Product:
    time.sleep(SECONDS_PER_LEAF)
    while held_by is not None and held_by.exists():
        time.sleep(SECONDS_PER_LEAF)
    return summarise(ask, rows, memory)


class SlowSolver(PowerSolver):
    def __init__(self, n_features: int, max_passes: int, held_by: Path | None) -> None:
        super().__init__(n_features, max_passes)
        slowly = partial(summarise_slowly, held_by)
        self.fold = Fold(slowly, merge, uses_memory=True, additive=True)


class SlowIteration(PowerIteration):
    """The direction in which X'X is longest, in passes of five milliseconds for each leaf.

    A pass doesn't end while there is a file `held_by`.
    """

    def __init__(self, max_iter: int = 20, held_by: Path | None = None) -> None:
        super().__init__(max_iter)
        self.held_by = held_by

    def fit(self, X: Any, y: Any = None) -> "SlowIteration":
        with self._training(X) as session:
            solver = SlowSolver(self.n_features_in_, self.max_iter, self.held_by)
            self.direction_ = session.solve("power", solver).direction
        return self


def fixed_rows() -> Any:
    """Rows that have the same fingerprint in every process."""
    return da.from_array(make_rows(2_400, 3), chunks=(100, -1))


def main() -> None:
    """Fit on the cluster `argv[1]` with checkpoints in `argv[2]`, on the runtime `argv[3]`."""
    settings = {"checkpoint": sys.argv[2], "checkpoint_seconds": 0, "runtime": sys.argv[3]}
    with Client(sys.argv[1]) as client:
        callbacks = [say_pass]
        with flowml.config_context(client=client, callbacks=callbacks, **settings):
            SlowIteration(PASSES).fit(fixed_rows())


if __name__ == "__main__":
    main()
