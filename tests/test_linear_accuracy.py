"""Digits: against certified data sets, solved exactly in rational arithmetic on the same floats."""

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.linalg import LinAlgWarning
from sklearn.linear_model import LinearRegression as SklearnLinearRegression

from flowml import config_context
from flowml.linear_model import LinearRegression, Ridge

LONGLEY_CERTIFIED = [  # NIST StRD, Longley
    -3482258.63459582,
    15.0618722713733,
    -0.358191792925910e-01,
    -2.02022980381683,
    -1.03322686717359,
    -0.511041056535807e-01,
    1829.15146461355,
]
WAMPLER_NOISE = np.array([759, *([-2048, 2048] * 9), -2048, 759])
WAMPLER_NOISE[[4, 8, 12, 16]] = 2523, 1838, 1838, 2523


def exact(X, y, fit_intercept=True):
    """Solve the normal equations without rounding."""
    ones = [Fraction(1)] if fit_intercept else []
    rows = [[*ones, *(Fraction(float(v)) for v in row)] for row in X]
    target = [Fraction(float(v)) for v in y]
    n = len(rows[0])
    M = [
        [sum(row[i] * row[j] for row in rows) for j in range(n)]
        + [sum(row[i] * t for row, t in zip(rows, target, strict=True))]
        for i in range(n)
    ]
    for i in range(n):
        pivot = next(r for r in range(i, n) if M[r][i] != 0)
        M[i], M[pivot] = M[pivot], M[i]
        M[i] = [value / M[i][i] for value in M[i]]
        for r in range(n):
            if r != i and M[r][i] != 0:
                M[r] = [a - M[r][i] * b for a, b in zip(M[r], M[i], strict=True)]
    return [row[n] for row in M]


def digits(found, wanted):
    """Correct digits of the worst coefficient."""
    errors = [
        abs(Fraction(float(a)) - Fraction(b)) / abs(Fraction(b))
        for a, b in zip(found, wanted, strict=True)
    ]
    return min(17.0 if error == 0 else -math.log10(error) for error in errors)


def coefficients(model):
    return [model.intercept_, *model.coef_]


def wampler(number):
    x = np.arange(21.0)
    X = np.column_stack([x**k for k in range(1, 6)])
    if number == 2:
        return X, np.round(sum((x / 10) ** k for k in range(6)), 5)
    scale = {1: 0, 3: 1, 4: 100, 5: 10_000}[number]
    return X, 1 + X.sum(axis=1) + scale * WAMPLER_NOISE


def filip():
    """A polynomial of degree 10 over the interval of NIST's Filip, with its size of noise."""
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(-8.8, -3.1, 82)).round(9)
    y = (0.85 + 0.05 * np.sin(x) + 0.003 * rng.normal(size=82)).round(4)
    return np.column_stack([x**k for k in range(1, 11)]), y


def longley():
    data = sm.datasets.longley.load_pandas()
    return data.exog.to_numpy(float), data.endog.to_numpy(float)


def test_longley():
    X, y = longley()
    model = LinearRegression().fit(X, y)
    assert model.solver_used_ == "gram"
    assert model.n_passes_ == 1
    assert digits(coefficients(model), LONGLEY_CERTIFIED) >= 9
    assert digits(coefficients(model), exact(X, y)) >= 9


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_wampler(number):
    X, y = wampler(number)
    model = LinearRegression().fit(X, y)
    assert model.solver_used_ == "qr"
    assert digits(coefficients(model), exact(X, y)) >= 11
    if number != 2:
        assert digits(coefficients(model), [1] * 6) >= 7


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_filip(fit_intercept):
    X, y = filip()
    model = LinearRegression(fit_intercept=fit_intercept).fit(X, y)
    found = coefficients(model) if fit_intercept else model.coef_
    assert model.rank_ == 10
    assert digits(found, exact(X, y, fit_intercept)) >= 10


def test_digits_survive_uneven_blocks_and_weights():
    X, y = wampler(5)
    times = np.arange(21) % 3
    repeated = np.repeat(np.arange(21), times)
    model = LinearRegression().fit(X, y, sample_weight=times)
    assert digits(coefficients(model), exact(X[repeated], y[repeated])) >= 11


def test_far_from_the_origin():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 3)) + 2.0**26
    y = X @ [1.0, -2.0, 0.5] + rng.normal(size=300)
    assert digits(LinearRegression().fit(X, y).coef_, exact(X, y)[1:]) >= 9


def test_units_do_not_matter():
    rng = np.random.default_rng(2)
    X, units = rng.normal(size=(200, 4)), np.array([1e-12, 1e-4, 1.0, 1e9])
    y = X.sum(axis=1) + rng.normal(size=200)
    plain, scaled = (LinearRegression().fit(Z, y) for Z in (X, X * units))
    assert scaled.solver_used_ == "gram"
    np.testing.assert_allclose(scaled.coef_ * units, plain.coef_, rtol=1e-12)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("shift", [0.0, 1000.0])
@pytest.mark.parametrize("n_rows", [60, 40_000])
def test_collinear_columns_get_the_least_norm_and_a_warning(n_rows, shift, fit_intercept):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(n_rows, 6)) + shift
    X[:, 4] = X[:, 0] - 2 * X[:, 2]
    y = X[:, 0] + X[:, 1] + rng.normal(size=n_rows)
    with pytest.warns(LinAlgWarning, match=r"columns x0, x2, x4 are collinear \(rank 5\)"):
        model = LinearRegression(fit_intercept=fit_intercept).fit(X, y)
    peer = SklearnLinearRegression(fit_intercept=fit_intercept).fit(X, y)
    assert model.rank_ == peer.rank_ == 5
    np.testing.assert_allclose(model.coef_, peer.coef_, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(model.predict(X[:9]), peer.predict(X[:9]), rtol=1e-9)


def test_all_categories_as_columns_are_collinear_with_the_intercept():
    rng = np.random.default_rng(4)
    category = rng.integers(0, 5, 50_000)
    X, y = np.eye(5)[category], category + rng.normal(size=50_000)
    with pytest.warns(LinAlgWarning, match="x0, x1, x2, x3, x4 are collinear"):
        model = LinearRegression().fit(X, y)
    peer = SklearnLinearRegression().fit(X, y)
    np.testing.assert_allclose(model.coef_, peer.coef_, rtol=1e-10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert LinearRegression(fit_intercept=False).fit(X, y).rank_ == 5


def test_fewer_rows_than_columns():
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(8, 20)), rng.normal(size=8)
    with pytest.warns(LinAlgWarning, match="8 rows don't determine 20 coefficients"):
        model = LinearRegression().fit(X, y)
    assert model.rank_ == 7
    np.testing.assert_allclose(model.coef_, SklearnLinearRegression().fit(X, y).coef_, rtol=1e-9)


def test_constant_columns_and_targets_get_zero_without_a_warning():
    rng = np.random.default_rng(6)
    X, y = rng.normal(size=(50_000, 3)), rng.normal(size=50_000)
    X[:, 1] = 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = LinearRegression().fit(X, y)
        flat = LinearRegression().fit(X, np.full(50_000, 0.1))
    assert model.rank_ == 2
    assert model.coef_[1] == 0
    assert model.solver_used_ == flat.solver_used_ == "gram"
    np.testing.assert_allclose(flat.coef_, 0, atol=1e-15)
    assert flat.intercept_ == pytest.approx(0.1, rel=1e-14)


def test_a_target_met_exactly_is_met_exactly():
    X = np.random.default_rng(7).normal(size=(1000, 4))
    model = LinearRegression().fit(X, X @ [1.0, 2.0, 3.0, 4.0] + 5.0)
    assert model.solver_used_ == "qr"
    np.testing.assert_allclose(model.coef_, [1.0, 2.0, 3.0, 4.0], rtol=1e-14)
    assert model.summary().sigma < 1e-13


def test_ridge_of_nearly_collinear_columns_keeps_its_digits():
    X, y = filip()
    centred = [[Fraction(float(v)) for v in row] for row in X]
    mean = [sum(column) / 82 for column in zip(*centred, strict=True)]
    rows = np.array([[a - b for a, b in zip(row, mean, strict=True)] for row in centred])
    target = np.array([Fraction(float(v)) for v in y])
    alpha = 1e-6
    A = rows.T @ rows + Fraction(alpha) * np.array(
        [[Fraction(i == j) for j in range(10)] for i in range(10)]
    )
    model = Ridge(alpha=alpha).fit(X, y)
    left = A @ np.array([Fraction(float(b)) for b in model.coef_]) - rows.T @ target
    size = np.abs(A) @ np.abs(np.array([Fraction(float(b)) for b in model.coef_]))
    assert model.solver_used_ == "qr"
    assert max(abs(a / b) for a, b in zip(left, size, strict=True)) < 1e-14


def test_blocks_and_threads_do_not_cost_digits():
    X, y = wampler(4)
    X, y = np.tile(X, (2000, 1)), np.tile(y, 2000)
    wanted = exact(*wampler(4))
    with config_context(n_threads=2):
        assert digits(coefficients(LinearRegression().fit(X, y)), wanted) >= 10
