"""CSR from end to end: wide, never made dense, in memory and in Dask arrays."""

import tracemalloc
from typing import Any

import dask.array as da
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.linear_model import Ridge as SklearnRidge

from flowml.kernels.column_moments import COLUMN_MOMENTS
from flowml.kernels.rows import Block, rows_of
from flowml.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge


def rows(n_rows: int = 3000, n_columns: int = 2500, share: float = 0.01) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    X = sp.random_array((n_rows, n_columns), density=share, format="csr", random_state=random)
    return X, X @ random.standard_normal(n_columns) + 0.3 * random.standard_normal(n_rows) + 2


def in_blocks(X: Any, size: int) -> da.Array:
    """Cut CSR into a Dask array."""
    parts = [
        da.from_array(X[low : low + size], chunks=(size, X.shape[1]), asarray=False)
        for low in range(0, X.shape[0], size)
    ]
    return da.concatenate(parts)


@pytest.mark.parametrize(("low", "high"), [(0, 10), (10, 10), (7, 50), (40, 60)])
def test_consecutive_rows_share_memory(low: int, high: int) -> None:
    X = sp.random_array((50, 9), density=0.3, format="csr", random_state=0)
    found = rows_of(X, slice(low, high))
    np.testing.assert_array_equal(found.toarray(), X.toarray()[low:high])
    assert found.nnz == 0 or np.shares_memory(found.data, X.data)


def test_moments_of_csr_are_those_of_the_dense_matrix() -> None:
    random = np.random.default_rng(1)
    X, _ = rows(200, 30, 0.2)
    X.data[::17] = np.nan
    weight = random.integers(0, 3, 200).astype(float)
    sparse, dense = (
        COLUMN_MOMENTS(None, [Block(values, None, weight)], {}) for values in (X, X.toarray())
    )
    for found, expected in zip(sparse, dense, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_wide_least_squares_is_iterated_to_the_same_minimum() -> None:
    X, y = rows()
    peer = SklearnRidge(alpha=1.0, solver="sparse_cg", tol=1e-12).fit(X, y)
    for blocks in (X, in_blocks(X, 700)):
        target = y if blocks is X else da.from_array(y, chunks=700)
        model = Ridge(alpha=1.0).fit(blocks, target)
        assert model.solver_used_ == "lbfgs"
        np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-5)
        assert float(model.intercept_) == pytest.approx(peer.intercept_, abs=1e-5)
        assert model.score(blocks, target) == pytest.approx(peer.score(X, y), abs=1e-8)
    with pytest.raises(ValueError, match="kept no products"):
        model.summary()
    with pytest.raises(ValueError, match="no batches can be put together"):
        Ridge().partial_fit(X, y)
    with pytest.raises(ValueError, match="one target at a time"):
        LinearRegression().fit(X, np.column_stack([y, y]))


def test_wide_logistic_regression_equals_scikit_learn() -> None:
    X, y = rows()
    labels = y > np.median(y)
    peer = SklearnLogisticRegression(tol=1e-10, max_iter=5000).fit(X, labels)
    for blocks in (X, in_blocks(X, 700)):
        target = labels if blocks is X else da.from_array(labels, chunks=700)
        model = LogisticRegression(tol=1e-7, max_iter=1000).fit(blocks, target)
        np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*did not converge")
@pytest.mark.parametrize(
    "model", [LogisticRegression(max_iter=10), PoissonRegressor(max_iter=10), Ridge()]
)
def test_memory_is_a_small_multiple_of_the_values(model: Any) -> None:
    X, y = rows(4000, 20_000, 0.002)
    target = y > np.median(y) if isinstance(model, LogisticRegression) else np.abs(y)
    model.fit(X, target)  # compiles
    values = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    tracemalloc.start()
    model.fit(X, target)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * values + 100 * 8 * X.shape[1] < X.shape[0] * X.shape[1] * 8 / 10
