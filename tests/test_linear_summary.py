"""Statistics of linear fits against statsmodels, and Ridge's against their formula."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from flowml.linear_model import LinearRegression, Ridge

PEERS = {
    "r_squared": "rsquared",
    "adjusted_r_squared": "rsquared_adj",
    "f_statistic": "fvalue",
    "f_p_value": "f_pvalue",
    "aic": "aic",
    "bic": "bic",
    "log_likelihood": "llf",
    "n_rows": "nobs",
    "df_model": "df_model",
    "df_residual": "df_resid",
    "condition_number": "condition_number",
}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(400, 4)) * [1, 10, 0.1, 5] + [3, 0, 1, 50])
    X.columns = ["rooms", "age", "distance", "income"]
    y = X["rooms"] + 0.02 * X["age"] + 0.3 * X["income"] + rng.normal(size=400)
    return X, y.rename("price"), rng.uniform(0.1, 3, 400)


def assert_equals_statsmodels(summary, peer, rtol=1e-9):
    table = summary.coefficients
    columns = {
        "coef": peer.params,
        "std_err": peer.bse,
        "statistic": peer.tvalues,
        "p_value": peer.pvalues,
        "ci_lower": np.asarray(peer.conf_int())[:, 0],
        "ci_upper": np.asarray(peer.conf_int())[:, 1],
    }
    for name, values in columns.items():
        np.testing.assert_allclose(table[name], values, rtol=rtol, atol=1e-300)
    for name, theirs in PEERS.items():
        assert getattr(summary, name) == pytest.approx(getattr(peer, theirs), rel=rtol), name
    assert summary.sigma == pytest.approx(np.sqrt(peer.scale), rel=rtol)


def test_ordinary(data):
    X, y, _ = data
    peer = sm.OLS(y, sm.add_constant(X)).fit()
    assert_equals_statsmodels(LinearRegression().fit(X, y).summary(), peer)


def test_without_an_intercept(data):
    X, y, _ = data
    peer = sm.OLS(y, X, hasconst=False).fit()
    assert_equals_statsmodels(LinearRegression(fit_intercept=False).fit(X, y).summary(), peer)


def test_weighted(data):
    X, y, weight = data
    peer = sm.WLS(y, sm.add_constant(X), weights=weight).fit()
    assert_equals_statsmodels(LinearRegression().fit(X, y, weight).summary(), peer)


def test_longley():
    data = sm.datasets.longley.load_pandas()
    peer = sm.OLS(data.endog, sm.add_constant(data.exog)).fit()
    summary = LinearRegression().fit(data.exog, data.endog).summary()
    assert_equals_statsmodels(summary, peer, rtol=1e-7)


def test_by_the_triangular_factor():
    """A well-scaled basis of the same polynomials tells statsmodels what it can't see itself."""
    rng = np.random.default_rng(1)
    x = np.linspace(0, 1, 200)
    X = np.column_stack([x**k for k in range(1, 6)])
    y = np.sin(6 * x) + 0.1 * rng.normal(size=200)
    model = LinearRegression().fit(X, y)
    assert model.solver_used_ == "qr"
    assert_equals_statsmodels(model.summary(), sm.OLS(y, sm.add_constant(X)).fit(), rtol=1e-6)


def test_a_nearly_exact_fit():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(300, 3))
    y = X @ [1.0, 2.0, 3.0] + 1e-7 * rng.normal(size=300)
    summary = LinearRegression().fit(X, y).summary()
    peer = sm.OLS(y, sm.add_constant(X)).fit()
    np.testing.assert_allclose(summary.coefficients["std_err"], peer.bse, rtol=1e-7)


def test_several_targets(data):
    X, y, _ = data
    Y = pd.DataFrame({"price": y, "rent": y**2})
    model = LinearRegression().fit(X, Y)
    peer = sm.OLS(Y["rent"], sm.add_constant(X)).fit()
    assert_equals_statsmodels(model.summary(target="rent"), peer)
    assert model.summary(target=1).target == "rent"
    with pytest.raises(ValueError, match="several targets: give target="):
        model.summary()
    with pytest.raises(ValueError, match="no target 'size'"):
        model.summary(target="size")


def test_ridge_by_its_formula(data):
    X, y, weight = data
    alpha = 30.0
    summary = Ridge(alpha).fit(X, y, weight).summary()
    root = np.sqrt(weight)[:, np.newaxis]
    Z = np.column_stack([np.ones(400), X]) * root
    target = y.to_numpy() * root[:, 0]
    A = np.linalg.inv(Z.T @ Z + alpha * np.diag([0, 1, 1, 1, 1]))
    coef = A @ Z.T @ target
    edf = np.trace(A @ Z.T @ Z)
    variance = np.sum((target - Z @ coef) ** 2) / (400 - edf)
    std_err = np.sqrt(variance * np.diag(A @ Z.T @ Z @ A))
    np.testing.assert_allclose(summary.coefficients["coef"], coef, rtol=1e-9)
    np.testing.assert_allclose(summary.coefficients["std_err"], std_err, rtol=1e-9)
    assert summary.df_model + 1 == pytest.approx(edf, rel=1e-10)
    assert np.isnan(summary.f_statistic)


def test_ridge_without_a_penalty_is_ordinary(data):
    X, y, weight = data
    peer = sm.WLS(y, sm.add_constant(X), weights=weight).fit()
    assert_equals_statsmodels(Ridge(alpha=0.0).fit(X, y, weight).summary(), peer)


def test_float32_keeps_the_statistics_of_float64(data):
    X, y, _ = data
    narrow = X.astype(np.float32)
    summary = LinearRegression().fit(narrow, y.astype(np.float32)).summary()
    peer = sm.OLS(y.astype(np.float32).astype(float), sm.add_constant(narrow.astype(float))).fit()
    assert_equals_statsmodels(summary, peer)


def test_more_coefficients_than_rows_has_no_errors_to_state():
    rng = np.random.default_rng(3)
    with pytest.warns(match="don't determine"):
        model = LinearRegression().fit(rng.normal(size=(4, 6)), rng.normal(size=4))
    summary = model.summary()
    assert summary.coefficients["std_err"].isna().all()
    assert summary.condition_number == np.inf


def test_collinear_columns_have_the_errors_of_the_least_norm_solution(data):
    X, y, _ = data
    X = X.assign(double=X["rooms"] * 2)
    with pytest.warns(match="rooms, double are collinear"):
        summary = LinearRegression().fit(X, y).summary()
    Z = X.to_numpy() - X.to_numpy().mean(axis=0)
    with pytest.warns(match="rank-deficient"):
        peer = sm.OLS(y - y.mean(), Z).fit()
    scale = np.sqrt(summary.sigma**2 / peer.scale)
    np.testing.assert_allclose(summary.coefficients["std_err"][1:], peer.bse * scale, rtol=1e-9)


def test_it_prints_as_a_table(data):
    X, y, _ = data
    summary = LinearRegression().fit(X, y).summary()
    text = repr(summary)
    assert text.startswith("LinearRegression of price")
    for word in ("intercept", "income", "std_err", "r squared", "aic"):
        assert word in text
    assert "<table" in summary._repr_html_()
    assert "sigma" in dir(summary)
    with pytest.raises(AttributeError, match="has no 'colour'"):
        summary.colour  # noqa: B018
