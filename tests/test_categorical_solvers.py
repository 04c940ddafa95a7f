"""Categorical columns with every solver and penalty: as the one-hot matrix that is never made."""

import tracemalloc
from itertools import pairwise
from typing import Any

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

from flowml.linear_model import (
    CategoricalEncoding,
    GeneralizedLinearRegressor,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
)

N = 300
CHUNKS = (120, 120, 1, 59)


@pytest.mark.parametrize(
    ("solver", "l1_ratio", "chunks"),
    [
        ("lbfgs", 0.0, CHUNKS),
        ("newton", 0.0, None),
        ("newton", 0.5, CHUNKS),
        ("fista", 0.0, None),
        ("fista", 0.5, None),
        ("admm", 0.0, None),
        ("admm", 0.5, None),
    ],
)
@pytest.mark.parametrize("family", ["gaussian", "poisson", "gamma", "binomial"])
def test_labels_are_their_one_hot_matrix(
    family: str, solver: str, l1_ratio: float, chunks: tuple[int, ...] | None
) -> None:
    random = np.random.default_rng(0)
    codes, x = random.integers(0, 4, N), random.standard_normal(N)
    frame = pd.DataFrame({"x": x, "kind": pd.Categorical(np.array(list("abcd"))[codes])})
    dense = np.column_stack([x, np.eye(4)[codes]])
    eta = 0.3 * x + np.array([0.0, 0.5, -0.5, 1.0])[codes]
    y = {
        "gaussian": eta + random.standard_normal(N),
        "poisson": random.poisson(np.exp(eta)).astype(float),
        "gamma": random.gamma(2.0, np.exp(eta) / 2),
        "binomial": (eta + random.logistic(size=N) > 0).astype(float),
    }[family]
    options: dict[str, Any] = {"family": family, "alpha": 0.05, "l1_ratio": l1_ratio, "tol": 1e-8}
    peer = GeneralizedLinearRegressor(**options).fit(dense, y)
    rows: Any = frame, y
    if chunks is not None:
        ends = np.cumsum((0, *chunks)).tolist()
        pieces = [frame.iloc[low:high] for low, high in pairwise(ends)]
        lazy = dd.from_map(lambda piece: piece, pieces, meta=frame.iloc[:0])
        rows = lazy, da.from_array(y, chunks=(chunks,))
    model = GeneralizedLinearRegressor(
        solver=solver, categorical=CategoricalEncoding(drop="none"), max_iter=5000, **options
    )
    np.testing.assert_allclose(model.fit(*rows).coef_, peer.coef_, atol=2e-5)


def frame_of_labels(n_rows: int, n_levels: int) -> tuple[pd.DataFrame, Any]:
    """Make 20 categorical columns with so many levels in all, and a predictor."""
    random = np.random.default_rng(0)
    columns, eta = {}, np.zeros(n_rows)
    for j in range(20):
        codes = random.integers(0, n_levels // 20, n_rows)
        eta += 0.3 * random.standard_normal(n_levels // 20)[codes]
        labels = [f"label {level}" for level in range(n_levels // 20)]
        columns[f"c{j}"] = pd.Categorical.from_codes(codes, labels)
    return pd.DataFrame(columns), eta


@pytest.mark.parametrize(
    ("n_rows", "n_levels"),
    [(50_000, 10_000), pytest.param(1_000_000, 100_000, marks=pytest.mark.slow)],
)
@pytest.mark.filterwarnings("ignore:.*did not converge")  # of the few rows
@pytest.mark.parametrize("model", [LogisticRegression(), PoissonRegressor(alpha=1e-3), Ridge()])
def test_many_levels_take_memory_for_codes_and_some_vectors(
    model: Any, n_rows: int, n_levels: int
) -> None:
    frame, eta = frame_of_labels(n_rows, n_levels)
    random = np.random.default_rng(1)
    y = {
        LogisticRegression: random.random(n_rows) < 1 / (1 + np.exp(-eta)),
        PoissonRegressor: random.poisson(np.exp(eta)),
        Ridge: eta + random.standard_normal(n_rows),
    }[type(model)]
    model.fit(frame[:100], y[:100])  # compiles
    codes = 4 * 20 * n_rows
    tracemalloc.start()
    model.fit(frame, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert model.solver_used_ == "lbfgs"
    assert model.coef_.size >= n_levels
    assert peak < 2 * codes + 150 * 8 * n_levels < n_rows * n_levels * 8 / 10
    score = model.score(frame, y)
    assert score > {LogisticRegression: 0.6, PoissonRegressor: 0.2, Ridge: 0.4}[type(model)]
