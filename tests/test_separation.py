"""Coefficients that grow for ever are named, whatever family, link and solver; others aren't."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import statsmodels.api as sm
from sklearn.exceptions import ConvergenceWarning

import flowml
from flowml.linear_model import (
    GeneralizedLinearRegressor,
    LogisticRegression,
    PoissonRegressor,
    TweedieRegressor,
)
from flowml.linear_model.solver_choice import SOLVERS

Array = np.ndarray[Any, Any]
LINKS = ["logit", "probit", "cloglog"]
N = 400


def rows(n_rows: int = N, share: float = 0.1) -> tuple[Array, Array]:
    """Return columns of which the last marks a few rows, and a noisy predictor."""
    random = np.random.default_rng(0)
    X = random.standard_normal((n_rows, 4))
    X[:, 3] = random.uniform(size=n_rows) < share
    return X, X[:, 0] + random.logistic(size=n_rows)


def binomial(link: str = "logit", **options: Any) -> GeneralizedLinearRegressor:
    return GeneralizedLinearRegressor(family="binomial", link=link, **options)


@pytest.mark.parametrize("solver", list(SOLVERS))
@pytest.mark.parametrize("link", LINKS)
def test_perfect_separation_of_a_binomial_target_is_named(link: str, solver: str) -> None:
    X, _ = rows()
    y = (X[:, 0] > 0).astype(np.float64)
    X[:, 0] += np.where(y == 1, 2.0, -2.0)
    with pytest.warns(ConvergenceWarning, match="perfectly separated.*set alpha above 0"):
        model = binomial(link, solver=solver, max_iter=300).fit(X, y)
    assert ((model.predict(X) > 0.5) == y).all()
    with pytest.raises(ValueError, match="perfectly separated"):
        model.summary()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        binomial(link, solver=solver, alpha=0.1, max_iter=1000).fit(X, y)


@pytest.mark.parametrize("link", LINKS)
def test_shares_that_are_met_closely_are_not_separated(link: str) -> None:
    X, noisy = rows()
    y = 1.0 / (1.0 + np.exp(-0.3 * X[:, 0] + 0.1 * noisy))  # no residual is near a half
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = binomial(link, tol=1e-8).fit(X, y)
    link_class = {"logit": "Logit", "probit": "Probit", "cloglog": "CLogLog"}[link]
    family = sm.families.Binomial(getattr(sm.families.links, link_class)())
    peer = sm.GLM(y, sm.add_constant(X), family).fit(tol=1e-14)
    np.testing.assert_allclose(model.coef_, peer.params[1:], rtol=1e-6, atol=1e-9)


def test_an_offset_may_tell_rows_apart_without_separating_them() -> None:
    X, noisy = rows()
    y = (noisy > 0).astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = binomial(tol=1e-8).fit(X, y, offset=np.where(y == 1, 5.0, -5.0))
    assert np.abs(model.coef_).max() < 10


@pytest.mark.parametrize("n_rows", [N, 60_000])
@pytest.mark.parametrize("label", [0.0, 1.0])
@pytest.mark.parametrize(
    ("link", "solver"), [*((link, "newton") for link in LINKS), ("logit", "lbfgs")]
)
def test_a_column_of_one_label_is_named(link: str, solver: str, label: float, n_rows: int) -> None:
    X, noisy = rows(n_rows)
    y = (noisy > 0).astype(np.float64)
    y[X[:, 3] == 1] = label
    with pytest.warns(ConvergenceWarning, match=r"columns x3 separate.*set alpha above 0, or drop"):
        binomial(link, random_state=0, solver=solver).fit(X, y)


# --- L-BFGS: suspects by its steps, and looks at the rows -----------------------------------------


@pytest.mark.parametrize("n_rows", [1000, 60_000])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_columns_that_separate_together_are_named(n_classes: int, n_rows: int) -> None:
    random = np.random.default_rng(3)
    X = random.standard_normal((n_rows, 5))
    y = np.digitize(X[:, 0] + random.logistic(size=n_rows), [-1.0, 1.0][: n_classes - 1])
    apart = (random.uniform(size=n_rows) < 0.1) * random.uniform(0.5, 2.0, size=n_rows)
    X[:, 3] = X[:, 1] + X[:, 2] + apart * np.where(y == 0, 1.0, -1.0)  # zero for most rows
    model = LogisticRegression(C=np.inf, solver="lbfgs", random_state=0)
    with pytest.warns(ConvergenceWarning, match="columns x1, x2, x3 separate some rows"):
        model.fit(X, y)
    assert model.n_passes_ <= flowml.plan(model, X, y).passes
    with pytest.raises(ValueError, match=r"call summary\(X, y\)"):
        model.summary()
    table = model.summary(X, y).coefficients
    assert table["std_err"].isna().sum() == 3 * (n_classes - 1)


def test_levels_that_separate_are_named_among_thousands() -> None:
    random = np.random.default_rng(0)
    n_rows = 100_000
    place = random.integers(1000, size=n_rows)
    noisy = random.standard_normal(1000)[place] + random.logistic(size=n_rows)
    y = np.where(place == 7, 0, noisy > 0)
    frame = pd.DataFrame(
        {"place": pd.Categorical.from_codes(place, [f"p{i}" for i in range(1000)])}
    )
    model = LogisticRegression(C=np.inf, random_state=0, solver="lbfgs")
    with pytest.warns(ConvergenceWarning, match="columns place=p7 separate some rows"):
        model.fit(frame, y)


def well_posed(kind: str) -> tuple[Array, Array]:
    """Return rows with a minimum that a careless criterion takes for none."""
    random = np.random.default_rng(1)
    X = random.standard_normal((2000, 6))
    noise = random.logistic(size=len(X))
    y = X[:, 0] + noise > 0
    if kind == "large coefficients":
        y = 80 * X[:, 0] + noise > 0
    elif kind == "unscaled":
        X *= 10.0 ** np.arange(-6, 6, 2)
    elif kind == "rare class":
        y = X[:, 0] + noise > 6
    elif kind == "nearly collinear":
        X[:, 3] = X[:, 1] + 1e-5 * random.standard_normal(len(X))
    elif kind == "collinear":
        X[:, 3] = X[:, 1]
    elif kind == "heavy tails":
        X = np.exp(4 * X)
    elif kind == "rare column":
        X[:, 3] = np.arange(len(X)) < 3
        y[:3] = [True, True, False]
    elif kind == "one row between":
        order = np.argsort(X[:, 0])
        y = X[:, 0] > X[order[1000], 0]
        y[order[985]] = True
    elif kind == "powers":
        X = np.vander(random.uniform(-1, 1, len(X)), 10)[:, :-1]
        y = X[:, -1] + noise > 0
    return X, y.astype(np.intp)


@pytest.mark.parametrize(
    ("solver", "n_rows"), [("fista", N), ("fista", 60_000), ("block_descent", N), ("admm", N)]
)
def test_where_other_solvers_end_a_column_is_named(solver: str, n_rows: int) -> None:
    X, noisy = rows(n_rows)
    y = (noisy > 0) | (X[:, 3] == 1)
    model = LogisticRegression(C=np.inf, solver=solver, random_state=0)
    with pytest.warns(ConvergenceWarning, match="columns x3 separate some rows"):
        model.fit(X, y)
    assert model.n_passes_ <= flowml.plan(model, X, y).passes


WELL_POSED = [
    "large coefficients",
    "unscaled",
    "rare class",
    "nearly collinear",
    "collinear",
    "heavy tails",
    "rare column",
    "one row between",
    "powers",
]


@pytest.mark.parametrize("tol", [1e-4, 1e-7])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("kind", WELL_POSED)
def test_a_minimum_far_out_raises_no_alarm(kind: str, n_classes: int, tol: float) -> None:
    X, y = well_posed(kind)
    if n_classes == 3:
        X, y = np.concatenate([X, X, X]), np.concatenate([y, y, np.full(len(y), 2)])
    model = LogisticRegression(C=np.inf, solver="lbfgs", tol=tol, max_iter=500)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, y)


@pytest.mark.parametrize("solver", ["fista", "block_descent", "admm"])
@pytest.mark.parametrize("kind", WELL_POSED)
def test_a_fit_that_ends_far_from_a_minimum_raises_no_alarm(kind: str, solver: str) -> None:
    X, y = well_posed(kind)
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        LogisticRegression(C=np.inf, solver=solver, max_iter=40).fit(X, y)
    assert not [one for one in raised if "separate" in str(one.message)]


def test_a_fit_that_is_not_separated_takes_no_pass_to_say_so() -> None:
    X, noisy = rows(60_000)
    y = noisy > 0
    model = LogisticRegression(C=np.inf, solver="lbfgs", random_state=0).fit(X, y)
    penalised = LogisticRegression(C=1e9, solver="lbfgs", random_state=0).fit(X, y)
    assert model.n_passes_ == penalised.n_passes_
    assert "separation" not in set(model.history_["stage"])


COUNTS = {
    "poisson": PoissonRegressor(alpha=0.0),
    "tweedie 1.2": TweedieRegressor(power=1.2, alpha=0.0),
    "tweedie 1.8": TweedieRegressor(power=1.8, alpha=0.0),
    "negative binomial": GeneralizedLinearRegressor(family="negative_binomial"),
}


@pytest.mark.parametrize("kind", ["dense", "CSR", "categorical"])
@pytest.mark.parametrize("name", COUNTS)
def test_a_level_without_a_count_is_named(name: str, kind: str) -> None:
    X, _ = rows(2000)
    y = np.random.default_rng(1).poisson(np.exp(0.3 * X[:, 0] + 0.5)).astype(np.float64)
    y[X[:, 3] == 1] = 0.0
    inputs, column = {
        "dense": (X, "x3"),
        "CSR": (sp.csr_array(X), "x3"),
        "categorical": (
            pd.DataFrame({"a": X[:, 0], "place": pd.Categorical(np.where(X[:, 3], "sea", "land"))}),
            "place=sea",
        ),
    }[kind]
    model = COUNTS[name].__class__(**COUNTS[name].get_params())
    with pytest.warns(ConvergenceWarning, match=f"columns {column} separate.*no count above zero"):
        model.fit(inputs, y)


@pytest.mark.parametrize("n_counts", [1, 3])
@pytest.mark.parametrize("name", COUNTS)
def test_a_level_with_few_counts_raises_no_alarm(name: str, n_counts: int) -> None:
    X, _ = rows(60_000, share=0.02)
    y = np.random.default_rng(1).poisson(np.exp(0.3 * X[:, 0] + 0.5)).astype(np.float64)
    y[X[:, 3] == 1] = 0.0
    y[np.flatnonzero(X[:, 3])[:n_counts]] = 1.0
    model = COUNTS[name].__class__(**COUNTS[name].get_params()).set_params(tol=1e-7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, y)
    marked = X[:, 3] == 1
    # the first-order condition of the level itself, as an equation of means
    power = {"tweedie 1.2": 1.2, "tweedie 1.8": 1.8}.get(name, 1.0)
    mean = np.asarray(model.predict(X[marked]))
    variance = mean + mean**2 if name == "negative binomial" else mean**power
    slope = ((y[marked] - mean) * mean / variance).sum()
    assert abs(slope) < 1e-3 * (mean**2 / variance).sum()


def test_rows_of_growing_coefficients_keep_the_others_statistics() -> None:
    X, _ = rows(2000)
    y = np.random.default_rng(1).poisson(np.exp(0.3 * X[:, 0] + 0.5)).astype(np.float64)
    y[X[:, 3] == 1] = 0.0
    with pytest.warns(ConvergenceWarning, match="columns x3"):
        summary = PoissonRegressor(alpha=0.0, tol=1e-7).fit(X, y).summary()
    rest = X[:, 3] == 0  # what is left where the marked rows are met by a mean of zero
    peer = sm.GLM(y[rest], sm.add_constant(X[rest, :3]), sm.families.Poisson()).fit(tol=1e-14)
    table = summary.coefficients
    np.testing.assert_allclose(table["coef"][:4], peer.params, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(table["std_err"][:4], peer.bse, rtol=1e-5)
    assert table.loc["x3", ["std_err", "statistic", "p_value", "ci_lower"]].isna().all()
    assert "x3 grow" in repr(summary)
    assert "x3 grow" in summary._repr_html_()


@pytest.mark.parametrize(
    ("model", "value"),
    [
        (PoissonRegressor(), 0.0),
        (TweedieRegressor(power=1.5), 0.0),
        (GeneralizedLinearRegressor(family="negative_binomial"), 0.0),
        (binomial(), 0.0),
        (binomial(), 1.0),
        (binomial("probit"), 1.0),
    ],
)
@pytest.mark.parametrize("by_weight", [False, True])
def test_targets_all_at_one_end_are_named(model: Any, value: float, by_weight: bool) -> None:
    X, _ = rows()
    y, weight = np.full(N, value), np.ones(N)
    if by_weight:
        y[:10], weight[:10] = 1.0 - value, 0.0
    with pytest.raises(ValueError, match=f"every target is {value:g}: the intercept would grow"):
        model.__class__(**model.get_params()).fit(X, y, weight)


def test_quasi_separation_of_labels_keeps_the_other_statistics() -> None:
    X, noisy = rows(2000)
    y = noisy > 0
    y[X[:, 3] == 1] = True
    with pytest.warns(ConvergenceWarning, match="columns x3"):
        summary = LogisticRegression(C=np.inf, tol=1e-7).fit(X, y).summary()
    assert summary.coefficients["std_err"].isna().tolist() == [False] * 4 + [True]
