"""Least squares as one would write it with dask.array alone: the Gram matrix and a solve."""

from collections.abc import Iterator
from contextlib import contextmanager

import dask
import dask.dataframe as dd
import numpy as np

from benchmarks.contenders.inputs import parquet
from benchmarks.contenders.turn import Result, Run, Work, timed


@contextmanager
def linear_regression_from_parquet(work: Work) -> Iterator[Run]:
    files = parquet(work)

    def fit() -> Result:
        values = dd.read_parquet(files).to_dask_array(lengths=True)
        products, means = dask.compute(values.T @ values, values.mean(axis=0))
        scatter = products - len(values) * np.outer(means, means)
        coefficients = np.linalg.solve(scatter[:-1, :-1], scatter[:-1, -1])
        return {
            "coefficients": coefficients.tolist(),
            "intercept": float(means[-1] - means[:-1] @ coefficients),
        }

    yield timed(fit, lambda result: result)
