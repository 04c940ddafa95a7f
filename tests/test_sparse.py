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
from flowml.kernels.csr_gram import laid_out
from flowml.kernels.gram import GRAM
from flowml.kernels.products import add_pair_products, add_weighted_products
from flowml.kernels.rows import Block, rows_of
from flowml.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
)
from flowml.svm import LinearSVC


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


def mixed_columns(n_rows: int = 2000) -> Any:
    """Columns of all shares, one far from zero, one constant and one empty."""
    random = np.random.default_rng(2)
    shares = [0.001, 0.01, 0.1, 0.2, 0.24, 0.26, 0.5, 0.9, 1.0, 1.0, 0.2, 0.0, 1.0]
    X = random.standard_normal((n_rows, len(shares))) * (random.random((n_rows, 13)) < shares)
    X[:, 9:11] += 1e6 * (X[:, 9:11] != 0)
    X[:, 12] = 3.0
    return X


def exact_products(Z: Any, weight: Any) -> Any:
    Z = Z.astype(np.longdouble)
    return (Z * weight[:, np.newaxis]).T @ Z


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_targets", [0, 1, 3])
def test_gram_of_csr_is_exact_to_rounding(weighted: bool, n_targets: int) -> None:
    random = np.random.default_rng(3)
    X = mixed_columns()
    y = random.standard_normal((len(X), n_targets)) + 100 if n_targets else None
    weight = random.integers(0, 3, len(X)).astype(float) if weighted else None
    gram = GRAM(None, [Block(sp.csr_array(X), y, weight)], {})
    Z = X if y is None else np.column_stack([X, y])
    share = np.ones(len(X)) if weight is None else weight
    mean = share @ Z.astype(np.longdouble) / share.sum()
    expected = exact_products(Z - mean, share)
    length = np.sqrt(np.diag(expected).astype(float))
    varies = np.diag(expected) > 0
    error = np.abs(gram.scatter - expected)[np.ix_(varies, varies)]
    assert np.max(error / np.outer(length[varies], length[varies])) < 2e-14
    np.testing.assert_allclose(gram.scatter[~varies], 0.0, atol=1e-8)
    spread = length / np.sqrt(share.sum())
    assert np.all(np.abs(gram.mean - mean) <= 1e-14 * spread + 1e-15 * np.abs(mean))
    np.testing.assert_array_equal(gram.scatter, gram.scatter.T)


@pytest.mark.parametrize("kind", ["float32", "unsorted", "twice", "int64"])
def test_gram_of_csr_in_any_form(kind: str) -> None:
    X = sp.csr_array(mixed_columns(300)[:, :9])
    if kind == "float32":
        X = X.astype(np.float32)
    expected = GRAM(None, [Block(X.toarray())], {})
    if kind == "unsorted":
        for low, high in zip(X.indptr[:-1], X.indptr[1:], strict=True):
            for part in (X.indices, X.data):
                part[low:high] = part[low:high][::-1].copy()
    elif kind == "twice":
        halves = np.repeat(X.data / 2, 2), np.repeat(X.indices, 2), 2 * X.indptr
        X = sp.csr_array(halves, shape=X.shape)
    elif kind == "int64":
        X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    before = [part.copy() for part in (X.data, X.indices, X.indptr)]
    found = GRAM(None, [Block(X)], {})
    np.testing.assert_allclose(found.scatter, expected.scatter, rtol=1e-12, atol=1e-11)
    for was, part in zip(before, (X.data, X.indices, X.indptr), strict=True):
        np.testing.assert_array_equal(was, part)


def test_columns_are_laid_out_by_the_weight_of_their_rows() -> None:
    X = sp.csr_array(np.array([[1.0, 0, 2], [0, 0, 3], [0, 0, 4], [0, 5, 6], [0, 0, 7]]))
    none = laid_out([Block(X)])
    one = laid_out([Block(X, None, np.array([0.0, 0, 0, 3, 1]))])
    two = laid_out([Block(X[:2]), Block(X[2:])])
    assert none.tolist() == two.tolist() == [False, False, True]
    assert one.tolist() == [False, True, True]


def test_weighted_products_of_csr_about_a_center() -> None:
    random = np.random.default_rng(4)
    X, weight = mixed_columns()[:, :9], random.random(2000)
    center = X.mean(axis=0)
    Z = np.column_stack([X - center, np.ones(len(X))])
    products = np.zeros((10, 10))
    add_weighted_products(sp.csr_array(X), weight, center, products)
    np.testing.assert_allclose(products, (Z * weight[:, np.newaxis]).T @ Z, rtol=1e-12, atol=1e-11)
    signs = random.standard_normal((2000, 2, 2))
    signs += signs.transpose(0, 2, 1)
    found, dense = np.zeros((2, 20, 20))
    add_pair_products(sp.csr_array(X), signs, center, found)
    add_pair_products(X, signs, center, dense)
    np.testing.assert_allclose(found, dense, rtol=1e-11, atol=1e-10)


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


FULL_SIZE = pytest.param(200_000, 100_000, 100, marks=pytest.mark.slow)


def even_rows(n_rows: int, n_columns: int, stored: int) -> Any:
    """Make CSR rows of a number of stored values each, one in every stretch of the columns."""
    random = np.random.default_rng(5)
    stretch = n_columns // stored
    columns = random.integers(0, stretch, (n_rows, stored), dtype=np.int32)
    columns += np.arange(0, n_columns, stretch, dtype=np.int32)
    starts = np.arange(0, n_rows * stored + 1, stored, dtype=np.int32)
    values = random.standard_normal(n_rows * stored)
    return sp.csr_array((values, columns.ravel(), starts), shape=(n_rows, n_columns))


@pytest.mark.filterwarnings("ignore:.*(did not converge|came no closer|stopped)")
@pytest.mark.parametrize(("n_rows", "n_columns", "stored"), [(10_000, 20_000, 20), FULL_SIZE])
@pytest.mark.parametrize("lazy", [False, True], ids=["here", "lazy"])
@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(max_iter=30),
        LinearSVC(max_iter=30),
        PoissonRegressor(max_iter=30),
        Lasso(alpha=0.01, max_iter=30),
        ElasticNet(alpha=0.01, max_iter=30),
        Ridge(alpha=10.0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_memory_is_that_of_the_values_and_some_vectors(
    model: Any, lazy: bool, n_rows: int, n_columns: int, stored: int
) -> None:
    """A sample of the rows, and lazy ones that are kept; then memory of steps and leaves' sums."""
    X = even_rows(n_rows, n_columns, stored)
    y = np.abs(X @ np.random.default_rng(6).standard_normal(n_columns) / stored**0.5)
    y = y > np.median(y) if isinstance(model, LogisticRegression | LinearSVC) else y
    size = n_rows // 10
    model.fit(X[:100], y[:100])  # compiles
    rows = (in_blocks(X, size), da.from_array(y, chunks=size)) if lazy else (X, y)
    values = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    tracemalloc.start()
    model.fit(*rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < (2 + lazy) * values + 150 * 8 * n_columns
    assert peak < n_rows * n_columns * 8 / 10
