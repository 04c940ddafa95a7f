"""Where k-means starts: the solvers behind `init`, and centres that the user gives."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array

from flowml.data.schema import Schema
from flowml.kernels.rows import Array
from flowml.solvers.kmeans_parallel import KMeansParallel
from flowml.solvers.kmeans_plus_plus import KMeansPlusPlus
from flowml.solvers.seeding_options import SeedingOptions

SOLVERS: dict[str, Callable[[SeedingOptions], KMeansParallel | KMeansPlusPlus]] = {
    "k-means||": KMeansParallel,
    "k-means++": KMeansPlusPlus,
}
RUNS_OF_CALLABLE = 10


def start_solver(
    init: str, n_clusters: int, schema: Schema, seed: int, remember: bool
) -> KMeansParallel | KMeansPlusPlus:
    """Return the solver that finds start centres by passes over the data."""
    return SOLVERS[init](
        SeedingOptions(n_clusters, schema.n_features, seed, remember, schema.sparse)
    )


def check_init(init: Any, n_clusters: int, n_features: int) -> None:
    """Check `init` before anything is read.

    Raises
    ------
    ValueError
        If it is no known word, nor a callable, nor an array of shape (n_clusters, n_features).
    """
    if callable(init) or (isinstance(init, str) and init in SOLVERS):
        return
    if init is None or isinstance(init, str):
        raise ValueError(
            f"KMeans(init={init!r}): init must be 'k-means||', 'k-means++', an array of shape "
            "(n_clusters, n_features), or a callable"
        )
    given_centers(init, n_clusters, n_features)


def given_centers(centers: Any, n_clusters: int, n_features: int) -> Array:
    """Return the user's centres as float64.

    Raises
    ------
    ValueError
        If their shape isn't (n_clusters, n_features), or one isn't finite.
    """
    values: Array = check_array(centers, dtype=np.float64, order="C", copy=True, input_name="init")
    if values.shape != (n_clusters, n_features):
        raise ValueError(
            f"init has shape {values.shape}, but n_clusters={n_clusters} and X has {n_features} "
            f"features: it must be ({n_clusters}, {n_features})"
        )
    return values


def count_runs(init: Any, n_init: int | str) -> int:
    """Return how many starts to try: ``"auto"`` is 10 for a callable and 1 for all else."""
    given = not callable(init) and not isinstance(init, str)
    if n_init == "auto":
        return RUNS_OF_CALLABLE if callable(init) else 1
    if given and n_init != 1:
        warnings.warn(
            f"init gives the centres to start from: one run instead of n_init={n_init}",
            RuntimeWarning,
            stacklevel=4,
        )
        return 1
    return int(n_init)
