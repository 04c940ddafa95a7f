"""Merging models that were fitted apart."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

import flowml
from flowml.linear_model import LinearRegression, Ridge
from flowml.preprocessing import StandardScaler


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal([0, 10, 100, 1000], size=(900, 4))
    return X, X @ rng.normal(size=(4, 2)) + rng.normal(size=(900, 2)), rng.uniform(size=900)


@pytest.mark.parametrize("model", [LinearRegression, lambda: Ridge([2.0, 9.0])])
def test_merged_models_equal_one_fit(data, model):
    X, Y, weight = data
    parts = [slice(0, 30), slice(30, 31), slice(31, 900)]
    fitted = [model().fit(X[part], Y[part], weight[part]) for part in (parts[0], parts[2])]
    fitted.insert(1, model().partial_fit(X[parts[1]], Y[parts[1]], weight[parts[1]]))
    before = [one.coef_.copy() for one in fitted]
    merged, whole = flowml.merge(*fitted), model().fit(X, Y, weight)
    np.testing.assert_allclose(merged.coef_, whole.coef_, rtol=1e-9)
    np.testing.assert_allclose(merged.intercept_, whole.intercept_, rtol=1e-9)
    pd.testing.assert_frame_equal(
        merged.summary(target=1).coefficients, whole.summary(target=1).coefficients, rtol=1e-8
    )
    for one, coef in zip(fitted, before, strict=True):
        np.testing.assert_array_equal(one.coef_, coef)
    np.testing.assert_allclose(flowml.merge(*fitted).coef_, whole.coef_, rtol=1e-9)


def test_a_merged_model_goes_on(data):
    X, Y, _ = data
    merged = flowml.merge(*(LinearRegression().fit(X[i::3], Y[i::3]) for i in (0, 1)))
    merged.partial_fit(X[2::3], Y[2::3])
    np.testing.assert_allclose(merged.coef_, LinearRegression().fit(X, Y).coef_, rtol=1e-9)


def test_what_cannot_be_merged(data):
    X, Y, _ = data
    model = LinearRegression().fit(X, Y)
    with pytest.raises(TypeError, match="LinearRegression and Ridge"):
        flowml.merge(model, Ridge().fit(X, Y))
    with pytest.raises(TypeError, match="int can't be merged"):
        flowml.merge(model, 3)
    with pytest.raises(NotFittedError):
        flowml.merge(model, LinearRegression())
    with pytest.raises(ValueError, match=r"alpha=1\.0 and alpha=2\.0"):
        flowml.merge(Ridge(1.0).fit(X, Y), Ridge(2.0).fit(X, Y))
    with pytest.raises(ValueError, match="4 and 3 features"):
        flowml.merge(model, LinearRegression().fit(X[:, :3], Y))
    with pytest.raises(ValueError, match="2 and 1 targets"):
        flowml.merge(model, LinearRegression().fit(X, Y[:, 0]))
    named = [pd.DataFrame(X, columns=list(names)) for names in ("abcd", "abdc")]
    with pytest.raises(ValueError, match="feature names differ"):
        flowml.merge(*(LinearRegression().fit(frame, Y) for frame in named))


def test_scalers_merge(data):
    X, _, weight = data
    merged = flowml.merge(
        StandardScaler().fit(X[:400], sample_weight=weight[:400]),
        StandardScaler().fit(X[400:], sample_weight=weight[400:]),
    )
    whole = StandardScaler().fit(X, sample_weight=weight)
    np.testing.assert_allclose(merged.scale_, whole.scale_, rtol=1e-12)
    np.testing.assert_allclose(merged.mean_, whole.mean_, rtol=1e-12)
