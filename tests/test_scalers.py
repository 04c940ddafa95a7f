"""The scalers against scikit-learn's and exact arithmetic."""

import pickle
from fractions import Fraction
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from dask.base import is_dask_collection
from sklearn import preprocessing as reference

import flowml
from flowml import preprocessing
from tests.table import make_data

ATTRIBUTES = {
    "StandardScaler": ("mean_", "var_", "scale_", "n_samples_seen_"),
    "MinMaxScaler": ("data_min_", "data_max_", "data_range_", "scale_", "min_", "n_samples_seen_"),
    "MaxAbsScaler": ("max_abs_", "scale_", "n_samples_seen_"),
}
CASES = [
    ("StandardScaler", {}),
    ("StandardScaler", {"with_mean": False}),
    ("StandardScaler", {"with_std": False}),
    ("StandardScaler", {"with_mean": False, "with_std": False}),
    ("MinMaxScaler", {}),
    ("MinMaxScaler", {"feature_range": (-2.0, 3.0), "clip": True}),
    ("MaxAbsScaler", {}),
    ("MaxAbsScaler", {"clip": True}),
]
ROWS = 700
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:sklearn")

each_case = pytest.mark.parametrize(("name", "parameters"), CASES, ids=str)
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def ours(name: str, parameters: dict[str, Any]) -> Any:
    return getattr(preprocessing, name)(**parameters)


def theirs(name: str, parameters: dict[str, Any]) -> Any:
    return getattr(reference, name)(**parameters)


def table(dtype: Any = np.float64) -> np.ndarray:
    """Return columns with and without NaN, constant, nearly so, zero, and missing altogether."""
    X = np.column_stack([make_data(ROWS)[0], np.full((ROWS, 4), 0.1)])
    X[::7, 0] = X[: ROWS // 2, 1] = np.nan
    X[:, 5] = 0.0
    X[:, 6] = np.nan
    X[:, 7] = np.where(np.arange(ROWS) % 2, 1e8, 1e8 + 1e-7)
    return X.astype(dtype)


def assert_alike(name: str, found: Any, expected: Any, rtol: float = 1e-12) -> None:
    for attribute in ATTRIBUTES[name]:
        mine, other = getattr(found, attribute), getattr(expected, attribute)
        if other is None:
            assert mine is None, attribute
            continue
        np.testing.assert_allclose(mine, other, rtol=rtol, atol=1e-12, err_msg=attribute)


@each_dtype
@each_case
def test_equals_scikit_learn(name: str, parameters: dict[str, Any], dtype: Any) -> None:
    X = table(dtype)
    scaler, peer = ours(name, parameters).fit(X), theirs(name, parameters).fit(X)
    assert_alike(name, scaler, peer)
    other = table(dtype) * 3 + 1
    for method in ("transform", "inverse_transform"):
        result = getattr(scaler, method)(other)
        assert result.dtype == dtype
        tolerance = 1e-12 if dtype == np.float64 else 1e-5
        np.testing.assert_allclose(
            result, getattr(peer, method)(other), rtol=tolerance, atol=tolerance
        )


@each_case
def test_attributes_have_scikit_learns_types(name: str, parameters: dict[str, Any]) -> None:
    X = make_data()[0].astype(np.float32)
    scaler, peer = ours(name, parameters).fit(X), theirs(name, parameters).fit(X)
    for attribute in ATTRIBUTES[name][:-1]:
        mine, other = getattr(scaler, attribute), getattr(peer, attribute)
        assert np.asarray(mine).dtype == np.asarray(other).dtype, attribute
        assert np.shape(mine) == np.shape(other), attribute
    assert isinstance(scaler.n_samples_seen_, np.int64)


@each_case
def test_to_sklearn_transforms_the_same(name: str, parameters: dict[str, Any]) -> None:
    X = pd.DataFrame(table(), columns=[f"column {number}" for number in range(8)])
    scaler = ours(name, parameters).fit(X)
    plain = pickle.loads(pickle.dumps(scaler.to_sklearn()))
    assert type(plain) is type(theirs(name, parameters))
    assert plain.get_params() == theirs(name, parameters).get_params()
    np.testing.assert_array_equal(plain.transform(X), scaler.transform(X))
    np.testing.assert_array_equal(plain.inverse_transform(X), scaler.inverse_transform(X))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("StandardScaler", {"with_mean": False}), ("MaxAbsScaler", {"clip": True})],
)
def test_sparse_stays_sparse(name: str, parameters: dict[str, Any]) -> None:
    X = sp.random_array((ROWS, 5), density=0.2, format="csr", rng=np.random.default_rng(1))
    X.data -= 0.4
    X.data[::20] = np.nan
    scaler, peer = ours(name, parameters).fit(X), theirs(name, parameters).fit(X)
    assert_alike(name, scaler, peer, rtol=1e-10)
    for method in ("transform", "inverse_transform"):
        result = getattr(scaler, method)(X)
        assert result.format == "csr"
        expected = getattr(peer, method)(X)
        np.testing.assert_allclose(result.toarray(), expected.toarray(), rtol=1e-10)


def test_duplicate_entries_of_a_sparse_block_are_summed() -> None:
    parts = (np.array([1.0, 2.0, 5.0]), np.array([0, 0, 1]), np.array([0, 2, 3]))
    X = sp.csr_array(parts, shape=(2, 2))
    scaler = preprocessing.StandardScaler(with_mean=False).fit(X)
    np.testing.assert_allclose(scaler.mean_, [1.5, 2.5])
    np.testing.assert_allclose(scaler.var_, [2.25, 6.25])
    assert X.nnz == 3


@pytest.mark.parametrize("kind", ["array", "dask"])
def test_sparse_rows_are_not_centred(kind: str) -> None:
    X: Any = sp.csr_array(np.eye(4))
    if kind == "dask":
        X = da.from_array(np.eye(4), chunks=2).map_blocks(sp.csr_array)
    with pytest.raises(ValueError, match="with_mean=False"):
        preprocessing.StandardScaler().fit(X)
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        preprocessing.MinMaxScaler().fit(X)


def test_weights_equal_scikit_learns() -> None:
    X, _, weight = make_data()
    X[::5, 1] = np.nan
    weight = weight * 0.7
    scaler = preprocessing.StandardScaler().fit(X, sample_weight=weight)
    assert_alike("StandardScaler", scaler, reference.StandardScaler().fit(X, sample_weight=weight))


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e12])
def test_variance_far_from_zero_is_exact_to_rounding(offset: float) -> None:
    """The reference is exact rational arithmetic, not another rounding."""
    column = np.random.default_rng(3).standard_normal(3000) + offset
    exact = [Fraction(value) for value in column]
    mean = sum(exact) / len(exact)
    variance = float(sum((value - mean) ** 2 for value in exact) / len(exact))
    scaler = preprocessing.StandardScaler().fit(column.reshape(-1, 1))
    np.testing.assert_allclose(scaler.mean_, float(mean), rtol=2e-16)
    np.testing.assert_allclose(scaler.var_, variance, rtol=1e-12)


def test_a_trend_costs_no_digits() -> None:
    column = 1e9 + np.arange(200_000.0)
    scaler = preprocessing.StandardScaler().fit(column.reshape(-1, 1))
    n_rows = len(column)
    np.testing.assert_allclose(scaler.var_, (n_rows**2 - 1) / 12, rtol=1e-13)


@each_case
def test_batches_equal_one_fit(name: str, parameters: dict[str, Any]) -> None:
    X = table()
    batches = ours(name, parameters)
    for low in range(0, ROWS, 150):
        batches.partial_fit(X[low : low + 150])
    assert_alike(name, batches, ours(name, parameters).fit(X))


@each_case
def test_merging_equals_one_fit(name: str, parameters: dict[str, Any]) -> None:
    X = table()
    parts = [ours(name, parameters).fit(part) for part in (X[:100], X[100:450], X[450:])]
    before = [pickle.dumps(part) for part in parts]
    assert_alike(name, flowml.merge(*parts), ours(name, parameters).fit(X))
    assert [pickle.dumps(part) for part in parts] == before


@each_case
def test_lazy_in_lazy_out(name: str, parameters: dict[str, Any]) -> None:
    X = table()
    lazy = da.from_array(X, chunks=((100, 0, 1, 599), 3))
    scaler = ours(name, parameters).fit(lazy)
    result = scaler.transform(lazy)
    assert is_dask_collection(result)
    assert result.dtype == X.dtype
    np.testing.assert_array_equal(result.compute(), scaler.transform(X))


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_infinity_is_named(name: str) -> None:
    X = table()
    X[ROWS - 1, 4] = -np.inf
    lazy = da.from_array(X, chunks=(100, -1))
    with pytest.raises(ValueError, match=r"X contains infinity: block 6, row 99 .* column 4"):
        ours(name, {}).fit(lazy)


@pytest.mark.parametrize(
    ("scaler", "error", "message"),
    [
        (preprocessing.StandardScaler(with_mean="yes"), TypeError, "with_mean='yes'"),
        (preprocessing.MinMaxScaler((1, 0)), ValueError, "Minimum .* smaller than maximum"),
        (preprocessing.MinMaxScaler(3), TypeError, "pair of numbers"),
        (preprocessing.MaxAbsScaler(clip=None), TypeError, "clip=None"),
    ],
    ids=repr,
)
def test_parameters_are_checked(scaler: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        scaler.fit(np.eye(3))


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_one_stage_of_one_pass(name: str) -> None:
    scaler = ours(name, {})
    X = da.from_array(make_data()[0], chunks=(50, -1))
    scaler.fit(X)
    assert scaler.n_passes_ == 1
    assert list(scaler.history_.stage) == ["columns"]
