"""Sums over dense rows in compiled loops: against NumPy's, and against wider arithmetic."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest

from flowml.kernels.labels import are_few_numbers, encode, numbered
from flowml.kernels.linear_loss import LossSums, Offset, Point, Target, summarise_curvature
from flowml.kernels.products import add_pair_products, add_weighted_products
from flowml.kernels.rows import Block
from flowml.losses.elementary import exponential, logarithm, logarithm_of_one_plus
from flowml.losses.families import Poisson
from flowml.losses.family_loss import family_loss
from flowml.losses.links import Log
from flowml.losses.logistic import LogisticLoss
from flowml.losses.loss import Array, Loss
from flowml.losses.multinomial import MultinomialLoss

LOSSES: dict[str, Loss] = {
    "logistic": LogisticLoss(),
    "multinomial": MultinomialLoss(4),
    "poisson": family_loss(Poisson(), Log()),
}
SHAPES = [(0, 3), (1, 1), (47, 2), (48, 7), (49, 8), (200, 0), (200, 23), (301, 50)]


@numba.njit(error_model="numpy")
def _exponentials(x: Array, out: Array) -> None:
    for i in range(len(x)):
        out[i] = exponential(x[i])


@numba.njit(error_model="numpy")
def _logarithms(x: Array, out: Array) -> None:
    for i in range(len(x)):
        out[i] = logarithm(x[i])


@numba.njit(error_model="numpy")
def _logarithms_of_one_plus(x: Array, out: Array) -> None:
    for i in range(len(x)):
        out[i] = logarithm_of_one_plus(x[i])


def _values(function: Callable[[Array, Array], None], x: Array) -> Array:
    out = np.empty_like(x)
    function(x, out)
    return out


def test_exponentials_are_right_to_one_unit_in_the_last_place() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([3 * rng.normal(size=50_000), rng.uniform(-708, 709, 50_000)])
    exact = np.exp(x.astype(np.longdouble))
    np.testing.assert_array_less(np.abs(_values(_exponentials, x) / exact - 1), 2.3e-16)
    ends = np.array([np.nan, np.inf, -np.inf, 1e300, -1e300, 709.79, -745.2, 0.0, -0.0, 1e-300])
    expected = [np.nan, np.inf, 0.0, np.inf, 0.0, np.inf, 0.0, 1.0, 1.0, 1.0]
    np.testing.assert_array_equal(_values(_exponentials, ends), expected)


def test_logarithms_are_right_to_units_in_the_last_place() -> None:
    rng = np.random.default_rng(0)
    s = np.concatenate([rng.random(50_000), 10.0 ** -rng.uniform(0, 300, 50_000), [0.0, 1.0]])
    exact = np.log1p(s.astype(np.longdouble))
    error = np.abs(_values(_logarithms_of_one_plus, s) - exact)
    np.testing.assert_array_less(error, 4e-16 * exact + 1e-320)
    x = 10.0 ** rng.uniform(-307, 308, 50_000)
    exact = np.log(x.astype(np.longdouble))
    np.testing.assert_array_less(
        np.abs(_values(_logarithms, x) - exact), 3e-16 * np.maximum(1, np.abs(exact))
    )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weighted_products_of_any_shape(shape: tuple[int, int], dtype: type) -> None:
    rng = np.random.default_rng(1)
    X: Array = rng.normal(size=shape).astype(dtype)
    center = rng.normal(size=shape[1])
    weights = rng.normal(size=(shape[0], 3, 3))
    weights += weights.transpose(0, 2, 1)
    Z = np.column_stack([X - center, np.ones(shape[0])])
    size = 3 * Z.shape[1]
    products = np.zeros((size, size))
    add_pair_products(X, weights, center, products)
    expected = np.einsum("ijk,ia,ib->jakb", weights, Z, Z).reshape(size, size)
    np.testing.assert_allclose(products, expected, atol=1e-11)
    products = np.ones((Z.shape[1], Z.shape[1]))
    add_weighted_products(X, weights[:, 0, 0] ** 2, center, products)
    expected = 1.0 + (Z.T * weights[:, 0, 0] ** 2) @ Z
    np.testing.assert_allclose(products, expected, atol=1e-11)
    np.testing.assert_array_equal(products, products.T)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", LOSSES)
def test_a_compiled_call_sums_what_slices_sum(name: str, shape: tuple[int, int]) -> None:
    """Columns one after the other go another way than rows."""
    rng = np.random.default_rng(2)
    (n_rows, n_columns), loss = shape, LOSSES[name]
    X = np.ascontiguousarray(rng.normal(size=shape))
    y = rng.integers(0, max(2, loss.n_outputs), n_rows).astype(np.float64)
    weight = rng.integers(0, 3, n_rows).astype(np.float64)
    coef = 0.3 * rng.normal(size=(loss.n_outputs, n_columns))
    intercept, center = rng.normal(size=loss.n_outputs), rng.normal(size=n_columns)
    offset = np.column_stack([y, 0.1 * rng.normal(size=n_rows)])
    for target, values in ((Target(), y), (Target(offset=Offset()), offset)):
        ask = Point(loss, target, coef, intercept, center)
        found = summarise_curvature(ask, [Block(X, values, weight)])
        _assert_same(found, summarise_curvature(ask, [_by_columns(X, values, weight)]))


def test_rows_of_no_weight_may_have_targets_that_there_are_not() -> None:
    loss, rng = LOSSES["poisson"], np.random.default_rng(3)
    X, y = rng.normal(size=(60, 3)), rng.poisson(2.0, 60).astype(np.float64)
    weight = (np.arange(60) % 3 > 0).astype(np.float64)
    y[::3] = -5.0
    ask = Point(loss, Target(), np.ones((1, 3)), np.zeros(1), np.zeros(3))
    rows = [Block(np.ascontiguousarray(X[weight > 0]), y[weight > 0])]
    _assert_same(summarise_curvature(ask, [Block(X, y, weight)]), summarise_curvature(ask, rows))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_what_is_not_finite_is_seen(loss: Loss) -> None:
    X, coef = np.ones((100, 4)), np.ones((loss.n_outputs, 4))
    ask = Point(loss, Target(), coef, np.zeros(loss.n_outputs), np.zeros(4))
    assert summarise_curvature(ask, [Block(X, np.zeros(100))]).broken == 0
    for bad in (np.nan, np.inf):
        X[70, 2] = bad
        assert summarise_curvature(ask, [Block(X, np.zeros(100))]).broken == 1


@pytest.mark.parametrize(
    "y",
    [
        np.array([3.0, -1.0, 3.0, 0.5]),
        np.array([2, 1, 0, 7, 7, 1]),
        np.arange(100)[::-1] % 40,
        np.array(["b", "a", "b"]),
        np.array([True, False]),
        np.array([], dtype=np.float64),
        np.array([1.0, np.inf, -np.inf]),
    ],
    ids=str,
)
def test_labels_are_numbered_as_by_sorting(y: Array) -> None:
    labels, code = numbered(y)
    expected, order = np.unique(y, return_inverse=True)
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_array_equal(code, order)
    if len(labels):
        np.testing.assert_array_equal(encode(y, labels), order)


def test_few_numbers() -> None:
    assert are_few_numbers(np.arange(200) % 5)
    assert are_few_numbers(np.arange(200.0) % 5)
    assert not are_few_numbers(np.arange(200))
    assert not are_few_numbers(np.arange(200.0) / 2 % 5)
    assert not are_few_numbers(np.array([0.0, np.nan, 0.0, 0.0]))
    assert not are_few_numbers(np.array([0.0, np.inf, 0.0, 0.0]))
    assert not are_few_numbers(np.zeros((4, 2)))
    assert not are_few_numbers(np.array(["a", "a"]))


def _by_columns(X: Array, y: Array, weight: Array) -> Block:
    """Return rows that are stored column by column; a single column has no order, two have."""
    if min(X.shape) < 2:
        wide = np.asfortranarray(np.zeros((len(X) + 2, X.shape[1] + 2)))[: len(X), : X.shape[1]]
        wide[:] = X
        return Block(wide, y, weight)
    return Block(np.asfortranarray(X), y, weight)


def _assert_same(found: LossSums, expected: LossSums) -> None:
    pairs: Any = zip(found, expected, strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-11)
