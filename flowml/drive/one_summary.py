"""One pass outside of a fit: a summary of some data."""

from typing import Any

from flowml.config import get_config
from flowml.data.dataset import Dataset
from flowml.drive.checkpoint import Checkpoint
from flowml.drive.training import Training
from flowml.kernels.fold import Fold
from flowml.runtimes.blas import one_blas_thread
from flowml.runtimes.choose import open_runtime
from flowml.solvers.one_pass import OnePass


def one_summary(dataset: Dataset, fold: Fold, ask: Any, stage: str = "score") -> Any:
    """Return the summary of a dataset, wherever its rows are.

    Raises
    ------
    ValueError
        If the rows hold a NaN or infinity that the fold can't take, naming where.
    """
    runtime = open_runtime(dataset, get_config())
    try:
        session = Training(runtime, Checkpoint(None, {}), lambda event: None)
        with one_blas_thread():
            return session.solve(stage, OnePass(fold, ask)).summary
    finally:
        runtime.close()
