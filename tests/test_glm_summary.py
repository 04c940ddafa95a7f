"""Statistics of generalised linear models against statsmodels, and of penalised ones by formula."""

import warnings

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import statsmodels.api as sm
from scipy.linalg import LinAlgWarning
from scipy.stats import norm
from sklearn.base import clone

import flowml
from flowml.linear_model import (
    GammaRegressor,
    GeneralizedLinearRegressor,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
)

N = 1500
NAMES = ["rooms", "age", "distance", "income"]
FAMILIES = sm.families
MEASURES = {
    "log_likelihood": "llf",
    "null_log_likelihood": "llnull",
    "aic": "aic",
    "df_model": "df_model",
    "df_residual": "df_resid",
}


@pytest.fixture(scope="module")
def X():  # noqa: N802 - the field's own name
    rng = np.random.default_rng(0)
    values = rng.normal(size=(N, 4)) * [1, 2, 0.5, 3] + [0, 1, 5, -3]
    return pd.DataFrame(values, columns=NAMES)


@pytest.fixture(scope="module")
def eta(X):
    return X.to_numpy() @ [0.2, -0.1, 0.3, 0.05] - 1


@pytest.fixture(scope="module")
def binary(X):
    rng = np.random.default_rng(1)
    linear = X.to_numpy() @ [0.5, -0.3, 1, 0.2] - 4
    return (linear + rng.logistic(size=N) > 0).astype(float)


@pytest.fixture(scope="module")
def several(X):
    rng = np.random.default_rng(2)
    utility = 0.3 * X.to_numpy() @ rng.normal(size=(4, 3)) + rng.gumbel(size=(N, 3))
    return utility.argmax(axis=1)


@pytest.fixture(scope="module")
def weight():
    return np.random.default_rng(3).uniform(0.5, 2, N)


@pytest.fixture(scope="module")
def groups():
    return np.random.default_rng(4).integers(0, 40, N)


def by_class(values):
    """Return statsmodels' columns of classes one after the other."""
    return np.asarray(values).T.ravel()


def assert_equals(summary, peer, rtol=1e-6, laid=np.asarray, measures=MEASURES):
    table = summary.coefficients
    for name, values in {
        "coef": peer.params,
        "std_err": peer.bse,
        "statistic": peer.tvalues,
    }.items():
        np.testing.assert_allclose(table[name], laid(values), rtol=rtol, err_msg=name)
    np.testing.assert_allclose(table["p_value"], laid(peer.pvalues), rtol=100 * rtol, atol=1e-12)
    for name, theirs in measures.items():
        assert getattr(summary, name) == pytest.approx(getattr(peer, theirs), rel=rtol), name


def test_two_classes(X, binary):
    summary = LogisticRegression(C=np.inf).fit(X, pd.Series(binary, name="sold")).summary()
    peer = sm.Logit(binary, sm.add_constant(X)).fit(disp=0, tol=1e-12)
    assert_equals(summary, peer)
    interval = np.asarray(peer.conf_int())
    np.testing.assert_allclose(summary.coefficients["ci_lower"], interval[:, 0], rtol=1e-6)
    np.testing.assert_allclose(summary.coefficients["ci_upper"], interval[:, 1], rtol=1e-6)
    assert summary.bic == pytest.approx(peer.bic, rel=1e-6)
    assert summary.pseudo_r_squared == pytest.approx(peer.prsquared, rel=1e-6)
    assert summary.deviance == pytest.approx(-2 * peer.llf, rel=1e-6)
    assert list(summary.coefficients.index) == ["intercept", *NAMES]
    assert summary.target == "sold"


def test_without_an_intercept(X, binary):
    model = LogisticRegression(C=np.inf, fit_intercept=False).fit(X, binary)
    peer = sm.Logit(binary, X).fit(disp=0, tol=1e-12)
    assert_equals(model.summary(), peer, measures={"log_likelihood": "llf", "aic": "aic"})


def test_three_classes(X, several):
    labels = np.array(["bus", "car", "train"])[several]
    summary = LogisticRegression(C=np.inf).fit(X, labels).summary()
    peer = sm.MNLogit(several, sm.add_constant(X)).fit(disp=0, tol=1e-12)
    assert_equals(summary, peer, laid=by_class)
    assert summary.bic == pytest.approx(peer.bic, rel=1e-6)
    assert summary.coefficients.index.names == ["class", "coefficient"]
    assert list(summary.coefficients.loc["train"].index) == ["intercept", *NAMES]


@pytest.mark.parametrize("kind", ["dense", "CSR", "Dask array", "Dask frame"])
def test_every_input(X, binary, weight, kind):
    peer = sm.GLM(binary, sm.add_constant(X), FAMILIES.Binomial(), var_weights=weight)
    peer = peer.fit(tol=1e-14)
    y, w = binary, weight
    if kind == "dense":
        inputs = X.to_numpy()
    elif kind == "CSR":
        inputs = sp.csr_array(X.to_numpy())
    elif kind == "Dask array":
        inputs = da.from_array(X.to_numpy(), chunks=(400, 4))
        y, w = da.from_array(y, chunks=400), da.from_array(w, chunks=400)
    else:
        frame = dd.from_pandas(X.assign(y=y, w=w), npartitions=3)
        inputs, y, w = frame[NAMES], frame["y"], frame["w"]
    model = LogisticRegression(C=np.inf).fit(inputs, y, w)
    assert_equals(model.summary(), peer)
    assert_equals(model.summary(inputs, y, w), peer)


def cases(eta):
    rng = np.random.default_rng(5)
    mean = np.exp(eta)
    log = FAMILIES.links.Log()
    return {
        ("poisson", "log"): (rng.poisson(mean), FAMILIES.Poisson()),
        ("gamma", "log"): (rng.gamma(2, mean / 2), FAMILIES.Gamma(log)),
        ("gaussian", "identity"): (eta + rng.normal(size=N), FAMILIES.Gaussian()),
        ("inverse_gaussian", "log"): (rng.wald(mean, 2), FAMILIES.InverseGaussian(log)),
        ("negative_binomial", "log"): (
            rng.poisson(rng.gamma(1, mean)),
            FAMILIES.NegativeBinomial(log, alpha=1.0),
        ),
        ("binomial", "probit"): (
            (rng.normal(size=N) < eta).astype(float),
            FAMILIES.Binomial(FAMILIES.links.Probit()),
        ),
    }


FAMILY_NAMES = [
    ("poisson", "log"),
    ("gamma", "log"),
    ("gaussian", "identity"),
    ("inverse_gaussian", "log"),
    ("negative_binomial", "log"),
    ("binomial", "probit"),
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", FAMILY_NAMES, ids="-".join)
def test_families(X, eta, weight, name, weighted):
    y, family = cases(eta)[name]
    w = weight if weighted else None
    model = GeneralizedLinearRegressor(family=name[0], link=name[1], alpha=0.0).fit(X, y, w)
    peer = sm.GLM(y, sm.add_constant(X), family, var_weights=w)
    is_known = name[0] in ("poisson", "negative_binomial", "binomial")
    result = peer.fit(tol=1e-14, use_t=not is_known)
    assert_equals(model.summary(), result, measures={"df_residual": "df_resid"})
    for ours, theirs in {
        "deviance": result.deviance,
        "null_deviance": result.null_deviance,
        "dispersion": result.scale,
    }.items():
        assert getattr(model.summary(), ours) == pytest.approx(theirs, rel=1e-6), ours
    if name[0] == "gaussian" and not weighted:  # statsmodels takes the variance's own maximum here
        likelihood = norm.logpdf(y, result.fittedvalues, np.sqrt(result.scale)).sum()
        assert model.summary().log_likelihood == pytest.approx(likelihood, rel=1e-9)
    elif is_known or not weighted:  # statsmodels divides the dispersion by the weights
        measures = {**MEASURES, "bic": "bic_llf"}
        assert_equals(model.summary(), result, measures=measures)
    robust = peer.fit(tol=1e-14, cov_type="HC0")
    found = model.summary(X, y, w, cov_type="HC0")
    np.testing.assert_allclose(found.coefficients["std_err"], robust.bse, rtol=1e-6)


@pytest.mark.parametrize("family", ["poisson", "gamma", "gaussian", "negative_binomial"])
def test_an_offset(X, eta, family):
    rng = np.random.default_rng(6)
    offset, weight = rng.uniform(-0.5, 1, N), rng.integers(1, 3, N).astype(float)
    mean = eta + offset if family == "gaussian" else np.exp(eta + offset)
    y = rng.gamma(2, mean / 2) if family == "gamma" else rng.poisson(np.maximum(mean, 0.1))
    model = GeneralizedLinearRegressor(family=family, tol=1e-8)
    model.fit(X, y, sample_weight=weight, offset=offset)
    theirs = {
        "poisson": FAMILIES.Poisson(),
        "gamma": FAMILIES.Gamma(sm.families.links.Log()),
        "gaussian": FAMILIES.Gaussian(),
        "negative_binomial": FAMILIES.NegativeBinomial(alpha=1.0),
    }[family]
    peer = sm.GLM(y, sm.add_constant(X), theirs, offset=offset, freq_weights=weight)
    peer = peer.fit(tol=1e-14)
    summary = model.summary()
    np.testing.assert_allclose(summary.coefficients["coef"], peer.params, rtol=1e-6)
    np.testing.assert_allclose(summary.deviance, peer.deviance, rtol=1e-6)
    np.testing.assert_allclose(summary.null_deviance, peer.null_deviance, rtol=1e-6)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(
    ("family", "link", "theirs"),
    [
        ("binomial", "logit", FAMILIES.Binomial()),
        ("binomial", "probit", FAMILIES.Binomial(FAMILIES.links.Probit())),
        ("binomial", "cloglog", FAMILIES.Binomial(FAMILIES.links.CLogLog())),
        ("poisson", "sqrt", FAMILIES.Poisson(FAMILIES.links.Sqrt())),
        ("gamma", "identity", FAMILIES.Gamma(FAMILIES.links.Identity())),
        ("negative_binomial", "log", FAMILIES.NegativeBinomial(alpha=1.0)),
    ],
)
def test_null_deviances_beside_an_offset(X, weight, family, link, theirs, fit_intercept):
    rng = np.random.default_rng(7)
    Z = np.tanh(X)
    inside = Z @ [0.1, -0.1, 0.1, 0.05]
    offset = rng.uniform(0.0, 0.5, N) + (0.0 if family in ("binomial", "negative_binomial") else 2)
    with np.errstate(all="ignore"):
        mean = theirs.link.inverse(inside + offset)
    draws = {"gamma": rng.gamma, "binomial": lambda _, scale: rng.uniform(size=N) < 2 * scale}
    y = draws.get(family, lambda _, scale: rng.poisson(2 * scale))(2.0, mean / 2) * 1.0
    model = GeneralizedLinearRegressor(family=family, link=link, fit_intercept=fit_intercept)
    summary = model.fit(Z, y, weight, offset=offset).summary()
    exog = sm.add_constant(Z) if fit_intercept else Z
    peer = sm.GLM(y, exog, theirs, offset=offset, var_weights=weight).fit(tol=1e-14)
    assert summary.deviance == pytest.approx(peer.deviance, rel=1e-6)
    assert summary.null_deviance == pytest.approx(peer.null_deviance, rel=1e-6)
    if family != "gamma":  # statsmodels divides its dispersion by the weights
        assert summary.null_log_likelihood == pytest.approx(peer.llnull, rel=1e-6)


def test_a_null_deviance_of_many_rows_takes_no_pass_of_its_own():
    rng = np.random.default_rng(8)
    n = 60_000
    X, exposure = rng.normal(size=(n, 3)), rng.uniform(0.1, 2.0, n)
    y = rng.poisson(rng.gamma(2.0, np.exp(0.3 * X[:, 0]) * exposure / 2.0)).astype(float)
    family = FAMILIES.NegativeBinomial(alpha=1.0)
    lazy = [da.from_array(a, chunks=(7000, *a.shape[1:])) for a in (X, y, exposure)]
    model = GeneralizedLinearRegressor(family="negative_binomial", tol=1e-6)
    model.fit(*lazy[:2], exposure=lazy[2])
    peer = sm.GLM(y, np.ones(n), family, exposure=exposure).fit(tol=1e-14)
    assert model.summary().null_deviance == pytest.approx(peer.deviance, rel=1e-9)
    alone = GeneralizedLinearRegressor(family="negative_binomial", tol=1e-6).fit(*lazy[:2])
    assert model.n_passes_ <= alone.n_passes_ + 1


def test_a_ridge_penalty_by_its_formula(X, binary):
    C = 0.02
    model = LogisticRegression(C=C, tol=1e-8).fit(X, binary)
    Z = sm.add_constant(X).to_numpy()
    p = np.asarray(model.predict_proba(X))[:, 1]
    H = (Z * (p * (1 - p))[:, np.newaxis]).T @ Z
    A = np.linalg.inv(H + np.diag([0, 1, 1, 1, 1]) / C)
    summary = model.summary()
    std_err = np.sqrt(np.diag(A @ H @ A))
    np.testing.assert_allclose(summary.coefficients["std_err"], std_err, rtol=1e-6)
    assert summary.df_model + 1 == pytest.approx(np.trace(A @ H), rel=1e-6)


def test_a_ridge_penalty_on_three_classes_by_its_formula(X, several):
    C = 0.02
    model = LogisticRegression(C=C, tol=1e-8).fit(X, several)
    Z = sm.add_constant(X).to_numpy()
    p = np.asarray(model.predict_proba(X))
    bend = p[:, :, np.newaxis] * (np.eye(3) - p[:, np.newaxis, :])
    H = np.einsum("njk,na,nb->jakb", bend, Z, Z).reshape(15, 15)
    A = np.linalg.pinv(H + np.diag(np.tile([0, 1, 1, 1, 1], 3)) / C, rcond=1e-12, hermitian=True)
    against = np.kron([[-1, 1, 0], [-1, 0, 1]], np.eye(5))
    std_err = np.sqrt(np.diag(against @ A @ H @ A @ against.T))
    np.testing.assert_allclose(model.summary().coefficients["std_err"], std_err, rtol=1e-6)


def test_class_weights_are_weights(X, binary):
    weights = {0.0: 2.0, 1.0: 0.5}
    model = LogisticRegression(C=np.inf, class_weight=weights).fit(X, binary)
    rows = np.where(binary == 1, 0.5, 2.0)
    peer = sm.GLM(binary, sm.add_constant(X), FAMILIES.Binomial(), var_weights=rows)
    assert_equals(model.summary(), peer.fit(tol=1e-14))


def test_collinear_columns_have_finite_errors(X, binary):
    with pytest.warns(LinAlgWarning, match=r"columns rooms, twice are collinear \(rank 4\)"):
        model = LogisticRegression(C=np.inf).fit(X.assign(twice=2 * X["rooms"]), binary)
    alone = LogisticRegression(C=np.inf).fit(X, binary)
    summary = model.summary()
    assert summary.df_model == 4
    np.testing.assert_allclose(
        summary.coefficients["std_err"][NAMES[1:]],
        alone.summary().coefficients["std_err"][NAMES[1:]],
        rtol=1e-6,
    )


@pytest.mark.parametrize("make", ["dense", "CSR", "categorical", "three classes", "poisson"])
def test_collinear_columns_are_named(X, binary, several, make):
    inputs, y = X.assign(sum=X["rooms"] + X["age"], same=1.0), binary
    model, named = LogisticRegression(C=np.inf), "rooms, age, sum"
    if make == "CSR":
        inputs, named = sp.csr_array(inputs.to_numpy()), "x0, x1, x4"
    elif make == "categorical":
        kinds = pd.Series(pd.Categorical.from_codes(np.arange(N) % 3, ["a", "b", "c"]))
        inputs = X.assign(kind=kinds, b=1.0 * (kinds == "b"))
        named = "b, kind=b"
    elif make == "three classes":
        y = several
    elif make == "poisson":
        model = PoissonRegressor(alpha=0.0)
    with pytest.warns(LinAlgWarning, match=f"columns {named} are collinear"):
        model.fit(inputs, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        penalised = PoissonRegressor(alpha=0.1) if make == "poisson" else LogisticRegression()
        penalised.fit(inputs, y)
        LogisticRegression(C=np.inf).fit(X.assign(same=1e6), binary)


def test_few_groups_are_remarked_on(X, binary, groups):
    for model in (LogisticRegression(C=np.inf), LinearRegression()):
        model.fit(X, binary)
        few = model.summary(X, binary, cov_type="cluster", groups=groups % 10)
        assert "There are 10 groups: with fewer than 40" in few.remarks[0]
        assert few.remarks[0] in repr(few)
        assert few.remarks[0] in few._repr_html_()
        assert not model.summary(X, binary, cov_type="cluster", groups=groups).remarks


@pytest.mark.parametrize("kind", ["HC0", "HC1", "cluster"])
def test_robust_errors_of_two_classes(X, binary, groups, kind):
    model = LogisticRegression(C=np.inf).fit(X, binary)
    given = groups if kind == "cluster" else None
    options = {"cov_kwds": {"groups": groups}} if kind == "cluster" else {}
    peer = sm.Logit(binary, sm.add_constant(X)).fit(disp=0, tol=1e-12, cov_type=kind, **options)
    # statsmodels corrects for small samples only where the model is linear
    correction = np.sqrt(N / (N - 5)) if kind == "HC1" else 1.0
    summary = model.summary(X, binary, cov_type=kind, groups=given)
    np.testing.assert_allclose(summary.coefficients["std_err"], correction * peer.bse, rtol=1e-6)


@pytest.mark.parametrize("power", [1, 2])
def test_robust_errors_by_leverage(X, eta, weight, power):
    y = np.random.default_rng(7).poisson(np.exp(eta))
    model = PoissonRegressor(alpha=0.0, tol=1e-8).fit(X, y, weight)
    Z, mean = sm.add_constant(X).to_numpy(), model.predict(X).to_numpy()
    A = np.linalg.inv((Z * (weight * mean)[:, np.newaxis]).T @ Z)
    leverage = weight * mean * np.einsum("ij,jk,ik->i", Z, A, Z)
    scores = (
        Z * (weight * (y - mean))[:, np.newaxis] / ((1 - leverage) ** (power / 2))[:, np.newaxis]
    )
    std_err = np.sqrt(np.diag(A @ scores.T @ scores @ A))
    summary = model.summary(X, y, weight, cov_type=f"HC{power + 1}")
    np.testing.assert_allclose(summary.coefficients["std_err"], std_err, rtol=1e-6)


@pytest.mark.parametrize("kind", ["HC0", "cluster"])
def test_robust_errors_of_three_classes(X, several, groups, kind):
    model = LogisticRegression(C=np.inf).fit(X, several)
    given = groups if kind == "cluster" else None
    options = {"cov_kwds": {"groups": groups}} if kind == "cluster" else {}
    peer = sm.MNLogit(several, sm.add_constant(X)).fit(disp=0, tol=1e-12, cov_type=kind, **options)
    summary = model.summary(X, several, cov_type=kind, groups=given)
    np.testing.assert_allclose(summary.coefficients["std_err"], by_class(peer.bse), rtol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC2", "HC3", "cluster"])
def test_robust_errors_of_least_squares(X, eta, weight, groups, kind, weighted):
    y = 0.1 * eta + np.random.default_rng(8).normal(size=N) * (1 + X["rooms"].to_numpy() ** 2)
    w = weight if weighted else None
    given = groups if kind == "cluster" else None
    options = {"cov_kwds": {"groups": groups}} if kind == "cluster" else {}
    peer = sm.WLS(y, sm.add_constant(X), weights=1.0 if w is None else w)
    peer = peer.fit(cov_type=kind, **options)
    summary = LinearRegression().fit(X, y, w).summary(X, y, w, cov_type=kind, groups=given)
    measures = {"f_statistic": "fvalue", "f_p_value": "f_pvalue", "r_squared": "rsquared"}
    assert_equals(summary, peer, rtol=1e-9, measures=measures)


def test_robust_errors_of_one_of_several_targets(X, eta):
    Y = np.column_stack([eta, np.random.default_rng(9).normal(size=N) + eta])
    model = LinearRegression().fit(X, Y)
    peer = sm.OLS(Y[:, 1], sm.add_constant(X)).fit(cov_type="HC3")
    summary = model.summary(X, Y, cov_type="HC3", target=1)
    np.testing.assert_allclose(summary.coefficients["std_err"], peer.bse, rtol=1e-9)


def test_robust_errors_with_a_ridge_penalty_by_their_formula(X, eta):
    y = eta + np.random.default_rng(10).normal(size=N)
    model = Ridge(alpha=50.0).fit(X, y)
    Z = sm.add_constant(X).to_numpy()
    A = np.linalg.inv(Z.T @ Z + 50.0 * np.diag([0, 1, 1, 1, 1]))
    scores = Z * (y - model.predict(X).to_numpy())[:, np.newaxis]
    std_err = np.sqrt(np.diag(A @ scores.T @ scores @ A))
    summary = model.summary(X, y, cov_type="HC0")
    np.testing.assert_allclose(summary.coefficients["std_err"], std_err, rtol=1e-9)


def test_clusters_span_blocks_and_have_any_labels(X, binary, groups):
    model = LogisticRegression(C=np.inf).fit(X, binary)
    wanted = model.summary(X, binary, cov_type="cluster", groups=groups).coefficients["std_err"]
    names = np.array([f"group {g}" for g in groups])
    labels = np.where(binary == 1, "yes", "no")
    named = LogisticRegression(C=np.inf).fit(X, labels)
    found = named.summary(X, labels, cov_type="cluster", groups=names)
    np.testing.assert_allclose(found.coefficients["std_err"], wanted, rtol=1e-9)
    lazy = da.from_array(X.to_numpy(), chunks=(100, 4))
    y, g = da.from_array(binary, chunks=100), da.from_array(groups, chunks=100)
    lazily = model.__class__(C=np.inf).fit(lazy, y).summary(lazy, y, cov_type="cluster", groups=g)
    np.testing.assert_allclose(lazily.coefficients["std_err"], wanted, rtol=1e-9)


def test_clusters_of_a_dataset_are_a_named_target(X, binary, groups, tmp_path):
    X.assign(y=binary, household=groups).to_parquet(tmp_path / "rows.parquet")
    model = LogisticRegression(C=np.inf).fit(X, binary)
    both = flowml.read_parquet(tmp_path / "rows.parquet", target=["y", "household"])
    wanted = model.summary(X, binary, cov_type="cluster", groups=groups).coefficients["std_err"]
    found = model.summary(both, cov_type="cluster", groups="household")
    np.testing.assert_allclose(found.coefficients["std_err"], wanted, rtol=1e-9)
    with pytest.raises(ValueError, match="it names one of its targets, which are y, household"):
        model.summary(both, cov_type="cluster", groups="street")


def test_categorical_columns_are_named_by_their_labels(X, binary, groups):
    kind = pd.Categorical(np.array(["flat", "house", "villa"])[groups % 3])
    frame = X.assign(kind=kind)
    peer_X = pd.get_dummies(frame, columns=["kind"], drop_first=True, dtype=float)
    model = LogisticRegression(C=np.inf).fit(frame, binary)
    peer = sm.Logit(binary, sm.add_constant(peer_X)).fit(disp=0, tol=1e-12)
    assert_equals(model.summary(), peer)
    assert list(model.summary().coefficients.index[-2:]) == ["kind=house", "kind=villa"]
    robust = sm.Logit(binary, sm.add_constant(peer_X)).fit(
        disp=0, tol=1e-12, cov_type="cluster", cov_kwds={"groups": groups}
    )
    found = model.summary(frame, binary, cov_type="cluster", groups=groups)
    np.testing.assert_allclose(found.coefficients["std_err"], robust.bse, rtol=1e-6)


@pytest.mark.parametrize("kind", ["HC0", "HC3", "cluster"])
@pytest.mark.parametrize("estimator", [LogisticRegression(C=np.inf), LinearRegression()])
def test_robust_errors_of_every_kind_of_columns(X, binary, groups, kind, estimator):
    labels = pd.Categorical(np.array(["flat", "house", "villa"])[groups % 3])
    frame = X.assign(kind=labels)
    dense = pd.get_dummies(frame, columns=["kind"], drop_first=True, dtype=float).to_numpy()
    given = groups if kind == "cluster" else None
    found = []
    for columns in (frame, dense, np.asfortranarray(dense), sp.csr_array(dense)):
        model = clone(estimator).fit(columns, binary)
        summary = model.summary(columns, binary, cov_type=kind, groups=given)
        found.append(summary.coefficients["std_err"].to_numpy())
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-9)


LARGE = 60_000
KINDS = {
    "logistic": (LogisticRegression(C=np.inf), lambda eta, rng: eta + rng.logistic(size=LARGE) > 0),
    "ridge": (LogisticRegression(C=0.1), lambda eta, rng: eta + rng.logistic(size=LARGE) > 0),
    "multinomial": (
        LogisticRegression(C=np.inf),
        lambda eta, rng: np.digitize(eta + rng.logistic(size=LARGE), [-1.0, 1.0]),
    ),
    "Poisson": (PoissonRegressor(alpha=0.0), lambda eta, rng: rng.poisson(np.exp(eta))),
    "gamma": (
        GammaRegressor(alpha=0.0),
        lambda eta, rng: np.exp(eta) * rng.gamma(2.0, size=LARGE),
    ),
    "probit": (
        GeneralizedLinearRegressor(family="binomial", link="probit"),
        lambda eta, rng: 1.0 * (eta + rng.normal(size=LARGE) > 0),
    ),
}


@pytest.mark.parametrize("spread", [1.0, 30.0], ids=["well conditioned", "badly conditioned"])
@pytest.mark.parametrize("kind", KINDS)
def test_where_a_sample_leads_errors_have_six_digits_at_the_default_tolerance(kind, spread):
    """Against the same fit with a tolerance so small that the last step is rounding."""
    estimator, draw = KINDS[kind]
    rng = np.random.default_rng(11)
    X = rng.normal(size=(LARGE, 5)) + spread * rng.normal(size=(LARGE, 1))
    eta = (X - X.mean(axis=1, keepdims=True)) @ [0.5, -0.3, 1, 0.2, 0] - 1
    y = draw(eta, rng)
    model = clone(estimator).fit(X, y)
    exact = clone(estimator).set_params(tol=1e-11).fit(X, y)
    found, wanted = (fit.summary().coefficients["std_err"] for fit in (model, exact))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert model.n_passes_ <= exact.n_passes_


def test_errors_of_many_rows_equal_statsmodels():
    rng = np.random.default_rng(11)
    X = rng.normal(size=(LARGE, 5))
    y = (X @ [0.5, -0.3, 1, 0.2, 0] - 1 + rng.logistic(size=LARGE) > 0).astype(float)
    peer = sm.Logit(y, sm.add_constant(X)).fit(disp=0, tol=1e-12)
    model = LogisticRegression(C=np.inf).fit(X, y)
    np.testing.assert_allclose(model.summary().coefficients["std_err"], peer.bse, rtol=1e-6)
    assert model.n_passes_ <= 5


def test_a_saved_model_keeps_its_summary(X, binary, tmp_path):
    model = LogisticRegression(C=np.inf).fit(X, binary)
    again = flowml.load_model(flowml.save_model(model, tmp_path))
    pd.testing.assert_frame_equal(again.summary().coefficients, model.summary().coefficients)


def test_it_prints_as_a_table(X, binary):
    summary = LogisticRegression().fit(X, binary).summary()
    text = repr(summary)
    for word in ("LogisticRegression of y", "income", "null deviance", "pseudo r squared"):
        assert word in text
    assert "<table" in summary._repr_html_()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cov_type": "HC4"}, "must be 'nonrobust', 'HC0'"),
        ({"cov_type": "HC0"}, r"needs the rows: summary\(X, y"),
    ],
)
def test_what_is_missing_is_named(X, binary, options, message):
    model = LogisticRegression().fit(X, binary)
    with pytest.raises(ValueError, match=message):
        model.summary(**options)


def test_missing_groups_are_named(X, binary, groups):
    model = LogisticRegression().fit(X, binary)
    with pytest.raises(ValueError, match="needs groups=, the group of each row"):
        model.summary(X, binary, cov_type="cluster")
    with pytest.raises(ValueError, match="groups are for cov_type='cluster'"):
        model.summary(X, binary, cov_type="HC0", groups=groups)
    with pytest.raises(ValueError, match="1500 rows and groups has 10"):
        model.summary(X, binary, cov_type="cluster", groups=groups[:10])
    with pytest.raises(ValueError, match="one group only"):
        model.summary(X, binary, cov_type="cluster", groups=np.zeros(N))


def test_a_lasso_has_no_standard_errors(X, binary):
    model = LogisticRegression(l1_ratio=1.0).fit(X, binary)
    with pytest.raises(ValueError, match="its penalty isn't smooth"):
        model.summary()


def test_separated_classes_have_no_standard_errors(X):
    with pytest.warns(match="perfectly separated"):
        model = LogisticRegression(C=np.inf).fit(X, X["rooms"] > 0)
    with pytest.raises(ValueError, match="the classes are perfectly separated"):
        model.summary()


def test_a_solver_without_curvature_takes_a_pass_for_it(X, binary):
    model = LogisticRegression(C=np.inf, solver="lbfgs", tol=1e-9).fit(X, binary)
    with pytest.raises(ValueError, match="keeps no curvature: call summary"):
        model.summary()
    peer = sm.Logit(binary, sm.add_constant(X)).fit(disp=0, tol=1e-12)
    assert_equals(model.summary(X, binary), peer)
