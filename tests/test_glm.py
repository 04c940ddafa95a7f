"""Generalised linear models against scikit-learn and statsmodels, offsets, bounds and bad input."""

from typing import Any

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import statsmodels.api as sm
from scipy.optimize import minimize
from sklearn import linear_model as sk
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

import flowml
from flowml.datasets import california_housing
from flowml.linear_model import (
    GammaRegressor,
    GeneralizedLinearRegressor,
    PoissonRegressor,
    TweedieRegressor,
)
from flowml.losses.families import NegativeBinomial, Tweedie
from flowml.losses.family_loss import family_loss
from flowml.losses.links import Power

RTOL = 1e-6
N_ROWS = 600
SLOPES = np.array([0.3, -0.2, 0.1])


def make_rows(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return X above zero, weights, and an offset."""
    random = np.random.default_rng(seed)
    X = random.uniform(0.0, 2.0, (N_ROWS, 3))
    return X, random.uniform(0.5, 2.0, N_ROWS), random.uniform(-0.3, 0.3, N_ROWS)


def draw(family: str, mean: np.ndarray, seed: int = 1) -> np.ndarray:
    """Draw targets of a mean."""
    random = np.random.default_rng(seed)
    if family in ("poisson", "negative_binomial", "tweedie"):
        return random.poisson(mean).astype(np.float64)
    if family in ("gamma", "inverse_gaussian"):
        return random.gamma(3.0, mean / 3.0)
    if family == "binomial":
        return random.binomial(5, mean) / 5.0
    return mean + 0.3 * random.standard_normal(len(mean))


# --- scikit-learn's regressors -------------------------------------------------------------------

REGRESSORS: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "poisson": (PoissonRegressor, sk.PoissonRegressor, {}, "poisson"),
    "gamma": (GammaRegressor, sk.GammaRegressor, {}, "gamma"),
    "normal": (TweedieRegressor, sk.TweedieRegressor, {"power": 0.0}, "gaussian"),
    "normal log": (TweedieRegressor, sk.TweedieRegressor, {"power": 0, "link": "log"}, "gamma"),
    "poisson identity": (
        TweedieRegressor,
        sk.TweedieRegressor,
        {"power": 1, "link": "identity"},
        "poisson",
    ),
    "compound": (TweedieRegressor, sk.TweedieRegressor, {"power": 1.5}, "tweedie"),
    "inverse Gaussian": (TweedieRegressor, sk.TweedieRegressor, {"power": 3}, "gamma"),
}


@pytest.mark.parametrize(
    ("name", "fit_intercept"),
    [
        *((name, True) for name in REGRESSORS),
        *((name, False) for name in REGRESSORS if "identity" not in name),
    ],
)
@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.filterwarnings("ignore:The inner solver of NewtonCholeskySolver")
def test_regressors_equal_scikit_learns(name: str, alpha: float, fit_intercept: bool) -> None:
    ours, theirs, options, family = REGRESSORS[name]
    X, weight, _ = make_rows()
    y = draw(family, np.exp(X @ SLOPES + 0.4))
    shared = {"alpha": alpha, "fit_intercept": fit_intercept, **options}
    model = ours(tol=1e-9, **shared).fit(X, y, weight)
    reference = theirs(tol=1e-10, max_iter=10_000, solver="newton-cholesky", **shared)
    reference.fit(X, y, weight)
    np.testing.assert_allclose(model.coef_, reference.coef_, rtol=RTOL, atol=1e-7)
    np.testing.assert_allclose(model.intercept_, reference.intercept_, rtol=RTOL, atol=1e-7)
    np.testing.assert_allclose(model.predict(X), reference.predict(X), rtol=RTOL)
    np.testing.assert_allclose(
        model.score(X, y, weight), reference.score(X, y, weight), rtol=RTOL, atol=1e-9
    )
    plain = model.to_sklearn()
    assert type(plain) is theirs
    np.testing.assert_array_equal(plain.predict(X), model.predict(X))


# --- statsmodels' families and links -------------------------------------------------------------

FAMILIES = {
    "gaussian": sm.families.Gaussian,
    "binomial": sm.families.Binomial,
    "poisson": sm.families.Poisson,
    "gamma": sm.families.Gamma,
    "inverse_gaussian": sm.families.InverseGaussian,
    "negative_binomial": sm.families.NegativeBinomial,
}
THEIR_LINKS = {
    "identity": sm.families.links.Identity,
    "log": sm.families.links.Log,
    "logit": sm.families.links.Logit,
    "probit": sm.families.links.Probit,
    "cloglog": sm.families.links.CLogLog,
    "inverse": sm.families.links.InversePower,
    "inverse_squared": sm.families.links.InverseSquared,
    "sqrt": sm.families.links.Sqrt,
}
PAIRS = [
    ("gaussian", "identity"),
    ("gaussian", "log"),
    ("gaussian", "inverse"),
    ("binomial", "logit"),
    ("binomial", "probit"),
    ("binomial", "cloglog"),
    ("binomial", "log"),
    ("binomial", "identity"),
    ("poisson", "log"),
    ("poisson", "identity"),
    ("poisson", "sqrt"),
    ("gamma", "log"),
    ("gamma", "inverse"),
    ("gamma", "identity"),
    ("inverse_gaussian", "log"),
    ("inverse_gaussian", "inverse_squared"),
    ("negative_binomial", "log"),
    ("negative_binomial", "sqrt"),
]
CENTERS = {"log": 0.4, "identity": 1.0, "inverse": 1.0, "inverse_squared": 1.0, "sqrt": 1.0}


def make_target(family: str, link: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return rows whose means are well inside of what the family allows."""
    X, weight, offset = make_rows()
    eta = X @ SLOPES + offset + CENTERS.get(link, 0.0)
    if family == "binomial":
        eta = {
            "log": -1.8 + X @ SLOPES + offset,
            "identity": 0.4 + 0.2 * (X @ SLOPES + offset),
        }.get(link, eta - 0.5)
        offset = 0.2 * offset if link == "identity" else offset
    mean = THEIR_LINKS[link]().inverse(eta)
    return X, draw(family, mean), weight, offset


@pytest.mark.parametrize(("family", "link"), PAIRS)
def test_families_and_links_equal_statsmodels(family: str, link: str) -> None:
    X, y, weight, offset = make_target(family, link)
    model = GeneralizedLinearRegressor(family=family, link=link, tol=1e-9)
    model.fit(X, y, weight, offset=offset)
    theirs = sm.GLM(
        y,
        sm.add_constant(X),
        family=FAMILIES[family](THEIR_LINKS[link]()),
        freq_weights=weight,
        offset=offset,
    ).fit(tol=1e-13, maxiter=200)
    np.testing.assert_allclose([model.intercept_, *model.coef_], theirs.params, rtol=RTOL)
    np.testing.assert_allclose(
        model.predict(X, offset=offset),
        theirs.predict(sm.add_constant(X), offset=offset),
        rtol=RTOL,
    )


@pytest.mark.parametrize(
    ("family", "theirs", "drawn"),
    [
        (Tweedie(1.5), sm.families.Tweedie(sm.families.links.Log(), var_power=1.5), "tweedie"),
        (Tweedie(1.0), sm.families.Poisson(), "poisson"),
        (NegativeBinomial(0.4), sm.families.NegativeBinomial(alpha=0.4), "poisson"),
    ],
    ids=["tweedie 1.5", "tweedie 1.0", "negative binomial"],
)
def test_families_with_parameters_equal_statsmodels(family: Any, theirs: Any, drawn: str) -> None:
    X, weight, _ = make_rows()
    y = draw(drawn, np.exp(X @ SLOPES))
    model = GeneralizedLinearRegressor(family=family, tol=1e-9).fit(X, y, weight)
    fit = sm.GLM(y, sm.add_constant(X), family=theirs, freq_weights=weight).fit(tol=1e-13)
    np.testing.assert_allclose([model.intercept_, *model.coef_], fit.params, rtol=RTOL)


@pytest.mark.parametrize("name", [*FAMILIES, "tweedie"])
def test_log_likelihoods_and_deviances_equal_statsmodels(name: str) -> None:
    X, weight, _ = make_rows()
    y = draw(name, np.exp(X @ SLOPES - 1.0 - (name == "binomial")))
    family = Tweedie(1.5) if name == "tweedie" else name
    model = GeneralizedLinearRegressor(family=family, tol=1e-9).fit(X, y, weight)
    theirs = (
        sm.families.Tweedie(sm.families.links.Log(), var_power=1.5)
        if name == "tweedie"
        else FAMILIES[name]()
    )
    loss, mean = model._family_loss(), model.predict(X)
    deviance = weight @ loss.family.unit_deviance(y, mean)
    np.testing.assert_allclose(deviance, theirs.deviance(y, mean, freq_weights=weight), rtol=RTOL)
    totals = flowml.losses.families.Totals(weight.sum(), deviance, weight @ loss.family.constant(y))
    dispersion = 0.7 if loss.family.dispersion is None else loss.family.dispersion
    expected = theirs.loglike(y, mean, freq_weights=weight, scale=dispersion)
    if name != "tweedie":  # no closed form: NaN here and there
        found = loss.family.log_likelihood(totals, dispersion)
        np.testing.assert_allclose(found, expected, rtol=RTOL)


# --- penalties and bounds ------------------------------------------------------------------------


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("family", ["gaussian", "binomial", "poisson", "gamma"])
def test_elastic_nets_of_any_family_are_minima(family: str, l1_ratio: float) -> None:
    """Against a general minimiser with each coefficient split into two parts above zero."""
    X, weight, _ = make_rows()
    y = draw(family, np.exp(X @ SLOPES - (1.5 if family == "binomial" else 0.0)))
    alpha = 0.02
    model = GeneralizedLinearRegressor(family=family, alpha=alpha, l1_ratio=l1_ratio, tol=1e-8)
    model.fit(X, y, weight)
    loss = model._family_loss()

    def objective(parts: np.ndarray) -> tuple[float, np.ndarray]:
        b, a = parts[:3] - parts[3:6], parts[6]
        value, slope, _ = loss.derivatives(y, X @ b + a)
        slope = weight * slope / weight.sum()
        smooth = X.T @ slope + alpha * (1 - l1_ratio) * b
        gradient = np.concatenate([smooth, -smooth, [slope.sum()]])
        gradient[:6] += alpha * l1_ratio
        price = alpha * (l1_ratio * parts[:6].sum() + 0.5 * (1 - l1_ratio) * b @ b)
        return float(weight @ value / weight.sum() + price), gradient

    best = minimize(
        objective,
        np.full(7, 0.1),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * 6 + [(None, None)],
        options={"ftol": 1e-16, "gtol": 1e-10, "maxiter": 10_000},
    )
    np.testing.assert_allclose(model.coef_, best.x[:3] - best.x[3:6], atol=2e-6)
    assert model.score(X, y, weight) > 0


@pytest.mark.parametrize(
    ("lower", "upper"), [(0.0, None), (-0.05, 0.05), ([0.1, -0.1, 0.2], np.inf)]
)
def test_bounded_coefficients_are_minima_within_their_bounds(lower: Any, upper: Any) -> None:
    X, weight, _ = make_rows()
    y = draw("poisson", np.exp(X @ SLOPES))
    model = GeneralizedLinearRegressor(
        family="poisson", alpha=0.1, lower_bounds=lower, upper_bounds=upper, tol=1e-8
    ).fit(X, y, weight)
    low, high = (np.broadcast_to(-np.inf if lower is None else lower, 3), np.full(3, np.inf))
    high = high if upper is None else np.broadcast_to(upper, 3)

    def objective(theta: np.ndarray) -> float:
        eta = X @ theta[:3] + theta[3]
        return float(weight @ (np.exp(eta) - y * eta) / weight.sum() + 0.05 * theta[:3] @ theta[:3])

    best = minimize(
        objective,
        np.append(np.clip(np.zeros(3), low, high), 0.0),
        method="L-BFGS-B",
        bounds=[*zip(low, high, strict=True), (None, None)],
        options={"ftol": 1e-15, "gtol": 1e-9},
    )
    assert ((model.coef_ >= low) & (model.coef_ <= high)).all()
    np.testing.assert_allclose(model.coef_, best.x[:3], atol=1e-5)


@pytest.mark.parametrize(("family", "link"), [("gamma", "inverse"), ("poisson", "identity")])
def test_links_without_a_mean_at_zero_need_no_intercept(family: str, link: str) -> None:
    """As with a column for each group: a predictor of zero, where others start, has no mean."""
    X, weight, _ = make_rows()
    X = np.column_stack([X[:, :2], X[:, 0] > 1.0, X[:, 0] <= 1.0]).astype(np.float64)
    y = draw(family, THEIR_LINKS[link]().inverse(X @ [0.3, 0.1, 1.0, 0.8]))
    model = GeneralizedLinearRegressor(family=family, link=link, fit_intercept=False, tol=1e-9)
    model.fit(X, y, weight)
    theirs = sm.GLM(y, X, family=FAMILIES[family](THEIR_LINKS[link]()), freq_weights=weight)
    np.testing.assert_allclose(model.coef_, theirs.fit(tol=1e-13).params, rtol=RTOL)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("family", ["gaussian", "poisson", "gamma", "binomial"])
def test_targets_that_are_met_exactly_are_no_trouble(family: str) -> None:
    X, weight, _ = make_rows()
    model = GeneralizedLinearRegressor(family=family)
    y = model._link().inverse(X @ SLOPES + 0.4)
    np.testing.assert_allclose(model.fit(X, y, weight).coef_, SLOPES, rtol=1e-12)
    assert model.n_passes_ < 10


def test_bounds_that_allow_no_mean_are_named() -> None:
    X, _, _ = make_rows()
    model = GeneralizedLinearRegressor(
        family="poisson", link="identity", fit_intercept=False, upper_bounds=-1.0
    )
    with pytest.raises(ValueError, match="the loss is infinite at the start"):
        model.fit(X, np.ones(N_ROWS))
    assert model.get_params()["upper_bounds"] == -1.0


# --- offsets and exposures -----------------------------------------------------------------------


def claims() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return X, counts, and exposures."""
    X, _, _ = make_rows()
    exposure = np.random.default_rng(2).uniform(0.1, 3.0, N_ROWS)
    return X, draw("poisson", exposure * np.exp(X @ SLOPES)), exposure


def fitted(**options: Any) -> GeneralizedLinearRegressor:
    return GeneralizedLinearRegressor(family="poisson", tol=1e-9, **options)


def test_an_exposure_is_an_offset_by_its_logarithm() -> None:
    X, y, exposure = claims()
    model = fitted().fit(X, y, exposure=exposure)
    same = fitted().fit(X, y, offset=np.log(exposure))
    theirs = sm.GLM(y, sm.add_constant(X), family=sm.families.Poisson(), exposure=exposure).fit()
    np.testing.assert_allclose([model.intercept_, *model.coef_], theirs.params, rtol=RTOL)
    np.testing.assert_allclose(same.coef_, model.coef_, rtol=1e-9)
    np.testing.assert_allclose(model.predict(X, exposure=exposure), exposure * model.predict(X))
    assert model.score(X, y, exposure=exposure) > model.score(X, y)
    rates = fitted().fit(X, y / exposure, sample_weight=exposure)
    np.testing.assert_allclose(rates.coef_, model.coef_, rtol=RTOL)


@pytest.mark.parametrize("known", [True, False], ids=["known chunks", "unknown chunks"])
def test_lazy_exposures_give_the_same_model(known: bool) -> None:
    X, y, exposure = claims()
    expected = fitted().fit(X, y, exposure=exposure)
    lazy = [da.from_array(values, chunks=(250, *values.shape[1:])) for values in (X, y, exposure)]
    if not known:
        frame = dd.from_pandas(pd.DataFrame({"y": y, "exposure": exposure}), npartitions=3)
        lazy[1:] = [frame["y"], frame["exposure"]]
        lazy[0] = dd.from_pandas(pd.DataFrame(X), npartitions=3).values
    model = fitted().fit(lazy[0], lazy[1], exposure=lazy[2])
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-9)
    predicted = model.predict(lazy[0], exposure=lazy[2])
    np.testing.assert_allclose(predicted.compute(), expected.predict(X, exposure=exposure))
    score = model.score(lazy[0], lazy[1], exposure=lazy[2])
    np.testing.assert_allclose(score, expected.score(X, y, exposure=exposure))
    if known:
        mixed = fitted().fit(lazy[0], lazy[1], exposure=exposure)
        np.testing.assert_array_equal(mixed.coef_, model.coef_)


def test_a_dataset_names_its_exposure(tmp_path: Any) -> None:
    X, y, exposure = claims()
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(years=exposure, claims=y)
    frame.to_parquet(tmp_path / "claims.parquet", row_group_size=200)
    model = fitted(exposure="years")
    data = flowml.read_parquet(tmp_path, target=["years", "claims"])
    model.fit(data)
    expected = fitted().fit(X, y, exposure=exposure)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-9)
    known = flowml.read_parquet(tmp_path, target=["years"], features=["a", "b", "c"])
    for unseen in (data, known):
        predicted = model.predict(unseen).compute()
        np.testing.assert_allclose(predicted, expected.predict(X, exposure=exposure))
    np.testing.assert_allclose(model.score(data), expected.score(X, y, exposure=exposure))
    assert flowml.plan(fitted(exposure="years"), data).passes > 1


def test_a_frame_of_target_and_exposure_goes_through_cross_validation() -> None:
    X, y, exposure = claims()
    frame = pd.DataFrame({"claims": y, "years": exposure})
    model = fitted(exposure="years").fit(X, frame)
    np.testing.assert_array_equal(model.coef_, fitted().fit(X, y, exposure=exposure).coef_)
    scores = cross_val_score(fitted(exposure="years"), X, frame, cv=3)
    halves = [np.arange(N_ROWS) // 200 == part for part in range(3)]
    expected = [
        fitted()
        .fit(X[~test], y[~test], exposure=exposure[~test])
        .score(X[test], y[test], exposure=exposure[test])
        for test in halves
    ]
    np.testing.assert_allclose(scores, expected, rtol=1e-9)


def test_predictions_with_offsets_have_the_kind_of_their_input() -> None:
    X, y, exposure = claims()
    index = pd.Index(np.arange(N_ROWS) * 10)
    frame = pd.DataFrame(X, columns=["a", "b", "c"], index=index)
    model = fitted().fit(frame, y, exposure=exposure)
    predicted = model.predict(frame, exposure=exposure)
    assert isinstance(predicted, pd.Series)
    pd.testing.assert_index_equal(predicted.index, index)


def test_models_with_families_and_links_are_saved_and_loaded(tmp_path: Any) -> None:
    X, y, exposure = claims()
    model = GeneralizedLinearRegressor(family=NegativeBinomial(0.4), link=Power(0.5))
    model.fit(X, y, exposure=exposure)
    loaded = flowml.load_model(flowml.save_model(model, tmp_path))
    assert loaded.get_params() == model.get_params()
    np.testing.assert_array_equal(
        loaded.predict(X, exposure=exposure), model.predict(X, exposure=exposure)
    )
    assert clone(model).get_params() == model.get_params()


def test_a_resumed_fit_with_an_exposure_gives_the_same_bits(tmp_path: Any) -> None:
    X, y, exposure = claims()
    with flowml.config_context(checkpoint=tmp_path):
        first = fitted().fit(X, y, exposure=exposure)
    with flowml.config_context(checkpoint=tmp_path, resume=True):
        again = fitted().fit(X, y, exposure=exposure)
    np.testing.assert_array_equal(first.coef_, again.coef_)
    with (
        flowml.config_context(checkpoint=tmp_path, resume=True),
        pytest.raises(ValueError, match="belongs to another fit"),
    ):
        fitted().fit(X, y, exposure=exposure + 1.0)


# --- kinds of input ------------------------------------------------------------------------------


def test_sparse_rows_give_the_model_of_dense_ones() -> None:
    X, weight, _ = make_rows()
    X = np.where(X > 1.0, X, 0.0)
    y = draw("gamma", np.exp(X @ SLOPES))
    dense, sparse = (GammaRegressor(tol=1e-9).fit(A, y, weight) for A in (X, sp.csr_array(X)))
    np.testing.assert_allclose(sparse.coef_, dense.coef_, rtol=1e-7)
    np.testing.assert_allclose(sparse.score(sp.csr_array(X), y), dense.score(X, y), rtol=1e-9)


def test_categorical_columns_beside_an_exposure() -> None:
    """Against statsmodels on the one-hot matrix, without its first column."""
    X, _, exposure = claims()
    codes = np.arange(N_ROWS) % 3
    region = pd.Categorical(np.array(["east", "north", "west"])[codes])
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(region=region)
    y = draw("poisson", exposure * np.exp(X @ SLOPES + 0.2 * codes))
    model = fitted().fit(frame, y, exposure=exposure)
    Z = np.column_stack([np.ones(N_ROWS), X, codes == 1, codes == 2]).astype(float)
    theirs = sm.GLM(y, Z, family=sm.families.Poisson(), exposure=exposure).fit(tol=1e-13)
    np.testing.assert_allclose([model.intercept_, *model.coef_], theirs.params, rtol=RTOL)
    predicted = model.predict(frame, exposure=exposure)
    np.testing.assert_allclose(predicted, theirs.predict(Z, exposure=exposure), rtol=RTOL)
    lazy = dd.from_pandas(frame, npartitions=3)
    again = fitted().fit(lazy, da.from_array(y, chunks=200), exposure=exposure_of(lazy, exposure))
    np.testing.assert_allclose(again.coef_, model.coef_, rtol=1e-9)


def exposure_of(frame: Any, exposure: np.ndarray) -> Any:
    """Return a lazy column cut as a frame is."""
    return dd.from_pandas(pd.Series(exposure), npartitions=frame.npartitions)


def test_workers_change_no_bit_of_a_fit_with_an_exposure(request: pytest.FixtureRequest) -> None:
    X, y, exposure = (da.from_array(values, chunks=(150, -1)[: values.ndim]) for values in claims())
    found = []
    for where in ("here", "on the cluster"):
        if where == "on the cluster":
            request.getfixturevalue("client")
        model = fitted().fit(X, y, exposure=exposure)
        score = model.score(X, y, exposure=exposure)
        found.append((model.coef_, score, model.predict(X, exposure=exposure).compute()))
    for left, right in zip(*found, strict=True):
        np.testing.assert_array_equal(left, right)


def test_many_rows_take_few_full_passes() -> None:
    random = np.random.default_rng(0)
    X = random.standard_normal((200_000, 10))
    y = random.poisson(np.exp(0.1 * X.sum(axis=1))).astype(np.float64)
    for model, target in ((PoissonRegressor, y), (GammaRegressor, y + 0.5)):
        fit = model(alpha=0.0, random_state=0).fit(X, target)
        stages = list(fit.history_["stage"])
        assert fit.n_sample_iter_ > 0
        assert stages[0] == "survey"
        assert stages.count("fit") <= 3


def test_warm_starts_go_on_from_where_a_fit_ended() -> None:
    X, weight, _ = make_rows()
    y = draw("poisson", np.exp(X @ SLOPES))
    model = PoissonRegressor(alpha=0.1, tol=1e-9, warm_start=True).fit(X, y, weight)
    first = model.n_iter_
    assert model.fit(X, y, weight).n_iter_ < first


def test_california_housing_by_gamma_regression() -> None:
    """House values, from Parquet, against scikit-learn and statsmodels."""
    features = ["median_income", "housing_median_age", "latitude", "longitude", "population"]
    frame = pd.read_parquet(california_housing())
    X, y = frame[features].to_numpy(), frame["median_house_value"].to_numpy()
    data = flowml.read_parquet(california_housing(), target="median_house_value", features=features)
    model = GammaRegressor(alpha=0.0, tol=1e-8).fit(data)
    center, scale = X.mean(axis=0), X.std(axis=0)
    Z = (X - center) / scale
    theirs = sm.GLM(y, sm.add_constant(Z), family=sm.families.Gamma(sm.families.links.Log()))
    fit = theirs.fit(tol=1e-14)
    np.testing.assert_allclose(model.coef_ * scale, fit.params[1:], rtol=RTOL)
    np.testing.assert_allclose(model.intercept_ + model.coef_ @ center, fit.params[0], rtol=RTOL)
    reference = sk.GammaRegressor(alpha=0.0, solver="newton-cholesky", tol=1e-9).fit(Z, y)
    np.testing.assert_allclose(model.score(data), reference.score(Z, y), rtol=RTOL)
    np.testing.assert_allclose(model.predict(data).compute(), reference.predict(Z), rtol=1e-5)


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize("lazy", [False, True], ids=["in memory", "lazy"])
@pytest.mark.parametrize(
    ("model", "bad", "message"),
    [
        (PoissonRegressor(), -1.0, "y holds -1 in block 1, row 50 .*Poisson.* at least 0"),
        (GammaRegressor(), 0.0, "y holds 0 in block 1, row 50 .*Gamma.* above 0"),
        (TweedieRegressor(power=1.5), -0.5, "y holds -0.5 in block 1, row 50"),
        (TweedieRegressor(power=3), 0.0, "InverseGaussian family must be above 0"),
        (
            GeneralizedLinearRegressor(family="binomial"),
            1.5,
            "Binomial family must be between 0 and 1",
        ),
        (
            GeneralizedLinearRegressor(family="negative_binomial"),
            -2.0,
            "NegativeBinomial family must be at least 0",
        ),
    ],
)
def test_targets_outside_the_family_are_named(
    model: Any, bad: float, message: str, lazy: bool
) -> None:
    X, _, _ = make_rows()
    y = np.full(N_ROWS, 0.5)
    y[250] = bad
    rows: Any = (X, y)
    if lazy:
        rows = [da.from_array(values, chunks=(200, *values.shape[1:])) for values in rows]
    else:
        message = message.replace("block 1, row 50", "block 0, row 250")
    with pytest.raises(ValueError, match=message):
        model.fit(*rows)
    assert not hasattr(model, "coef_")
    weight = np.ones(N_ROWS)
    weight[250] = 0.0
    model.__class__(**model.get_params()).fit(X, y, weight)


def test_exposures_outside_are_named() -> None:
    X, y, exposure = claims()
    exposure[7] = 0.0
    with pytest.raises(ValueError, match="exposure holds 0 in row 7: it must be above 0"):
        fitted().fit(X, y, exposure=exposure)
    lazy = [da.from_array(values, chunks=(200, *values.shape[1:])) for values in (X, y, exposure)]
    with pytest.raises(ValueError, match="exposure holds 0 in block 0, row 7 of the block"):
        fitted().fit(lazy[0], lazy[1], exposure=lazy[2])
    exposure[7] = np.nan
    with pytest.raises(ValueError, match="exposure contains NaN"):
        fitted().fit(X, y, exposure=exposure)
    with pytest.raises(ValueError, match=r"y contains NaN.*row 7 of the block, column exposure"):
        fitted().fit(lazy[0], lazy[1], exposure=da.from_array(exposure, chunks=200))


def test_offsets_of_a_wrong_length_are_named() -> None:
    X, y, exposure = claims()
    with pytest.raises(ValueError, match="X has 600 rows and exposure has 599"):
        fitted().fit(X, y, exposure=exposure[:-1])
    lazy = [da.from_array(values, chunks=(200, *values.shape[1:])) for values in (X, y)]
    with pytest.raises(ValueError, match="X has 600 rows and offset has 10"):
        fitted().fit(lazy[0], lazy[1], offset=np.zeros(10))
    model = fitted().fit(X, y, exposure=exposure)
    with pytest.raises(ValueError, match="X has 600 rows and exposure has 3"):
        model.predict(X, exposure=[1.0, 2.0, 3.0])
    unknown = dd.from_pandas(pd.DataFrame({"y": y}), npartitions=3)["y"].values
    short = dd.from_pandas(pd.DataFrame({"o": exposure[:-1]}), npartitions=3)["o"].values
    with pytest.raises(ValueError, match="y and offset differ in their number of rows in a block"):
        fitted().fit(dd.from_pandas(pd.DataFrame(X), npartitions=3), unknown, offset=short)


@pytest.mark.parametrize(
    ("options", "arguments", "message"),
    [
        ({"family": "normal"}, {}, "family must be 'gaussian', 'binomial'"),
        ({"link": "logarithm"}, {}, "link must be 'auto', 'identity'"),
        ({"l1_ratio": 1.5}, {}, "l1_ratio must be at most 1"),
        ({"alpha": -1.0}, {}, "alpha must be at least 0"),
        ({"lower_bounds": [0.0]}, {}, r"lower_bounds has the shape \(1,\)"),
        ({"lower_bounds": 1.0, "upper_bounds": 0.0}, {}, "nothing lies between"),
        ({"l1_ratio": 0.5, "alpha": 1.0, "solver": "lbfgs"}, {}, "solver='lbfgs' can't take"),
        ({}, {"offset": 1.0, "exposure": 1.0}, "give one offset or exposure"),
        ({"offset": "a", "exposure": "b"}, {}, "give an offset or an exposure, not both"),
        ({"exposure": "years"}, {}, "y must be two columns"),
        ({"family": Tweedie(0.5)}, {}, "no such distribution"),
    ],
)
def test_what_cant_be_is_refused(options: Any, arguments: Any, message: str) -> None:
    X, _, _ = make_rows()
    given = {name: np.full(N_ROWS, value) for name, value in arguments.items()}
    with pytest.raises(ValueError, match=message):
        GeneralizedLinearRegressor(**options).fit(X, X[:, 0], **given)


def test_datasets_without_the_named_column_are_refused(tmp_path: Any) -> None:
    X, y, _ = claims()
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(claims=y)
    frame.to_parquet(tmp_path / "claims.parquet")
    data = flowml.read_parquet(tmp_path, target=["c", "claims"])
    with pytest.raises(ValueError, match=r"it has c, claims\. Read a Dataset with target="):
        fitted(exposure="years").fit(data)
    with pytest.raises(ValueError, match="y has 2 columns"):
        fitted().fit(data)


def test_losses_are_what_they_say() -> None:
    model = GeneralizedLinearRegressor(family="gamma", link=Power(0.3))
    assert model._family_loss() == family_loss(model._family(), Power(0.3))
