"""Categorical columns: codes that stand for a one-hot matrix, in kernels and in whole fits."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from sklearn.compose import make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.preprocessing import OneHotEncoder

from flowml.cluster import KMeans
from flowml.datasets import adult
from flowml.kernels.level_weights import LEVEL_WEIGHTS
from flowml.kernels.mixed import Mixed, concatenate
from flowml.kernels.one_hot import Encoding
from flowml.kernels.products import add_pair_products, add_weighted_products
from flowml.kernels.rows import Block
from flowml.linear_model import CategoricalEncoding, LinearRegression, LogisticRegression, Ridge

LEVELS = (np.array(["d", "b", "c", "a"]), np.array(["x", "y", "z"]))


def rows(n_rows: int = 60, seed: int = 0) -> Mixed:
    random = np.random.default_rng(seed)
    codes = np.column_stack([random.integers(-1, len(levels), n_rows) for levels in LEVELS])
    return Mixed(random.standard_normal((n_rows, 3)), codes.astype(np.int32), LEVELS)


def one_hot(X: Mixed, encoding: Encoding) -> np.ndarray:
    """Make the matrix that the codes stand for, label by label."""
    columns = [X.dense]
    for j, labels in enumerate(encoding.levels):
        found = np.append(X.levels[j], "missing")[X.codes[:, j]]
        every = [*labels, *(["missing"] if encoding.missing[j] else [])]
        kept = every[int(encoding.drop_first) :]
        columns.append(np.array([[label == name for name in kept] for label in found], float))
    return np.hstack(columns)


@pytest.mark.parametrize("drop_first", [False, True])
@pytest.mark.parametrize("missing", [(False, False), (True, False), (True, True)])
def test_codes_multiply_like_the_matrix_that_they_stand_for(
    drop_first: bool, missing: tuple[bool, bool]
) -> None:
    X, random = rows(), np.random.default_rng(1)
    encoding = Encoding(3, tuple(np.sort(levels) for levels in LEVELS), drop_first, missing)
    found, dense = encoding.apply(X), one_hot(X, encoding)
    np.testing.assert_array_equal(found.toarray(), dense)
    right, left = random.random((found.shape[1], 2)), random.random((len(X), 2))
    np.testing.assert_allclose(found @ right, dense @ right, rtol=1e-13)
    np.testing.assert_allclose(found.T @ left, dense.T @ left, rtol=1e-13)
    np.testing.assert_array_equal(found[5:9].toarray(), dense[5:9])


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_products_are_those_of_the_matrix(n_outputs: int) -> None:
    X, random = rows(), np.random.default_rng(2)
    encoding = Encoding(3, tuple(np.sort(levels) for levels in LEVELS), True, (True, False))
    found, dense = encoding.apply(X), one_hot(X, encoding)
    center = np.zeros(dense.shape[1])
    center[:3] = [0.5, -1.0, 2.0]
    Z = np.column_stack([dense - center, np.ones(len(dense))])
    weights = random.random((len(X), n_outputs, n_outputs))
    weights = weights + weights.transpose(0, 2, 1)
    size = n_outputs * Z.shape[1]
    products = np.zeros((size, size))
    if n_outputs == 1:
        add_weighted_products(found, weights[:, 0, 0], center, products)
    else:
        add_pair_products(found, weights, center, products)
    expected = np.einsum("ijk,ia,ib->jakb", weights, Z, Z).reshape(size, size)
    np.testing.assert_allclose(products, expected, atol=1e-11)


def test_blocks_may_number_their_labels_differently() -> None:
    X = rows()
    turned = Mixed(X.dense, (len(LEVELS[0]) - 1 - X.codes[:, :1]), (LEVELS[0][::-1],))
    turned.codes[X.codes[:, :1] < 0] = -1
    plain = Mixed(X.dense, X.codes[:, :1], LEVELS[:1])
    encoding = Encoding(3, (np.sort(LEVELS[0]),), False, (True,))
    both = concatenate([plain, turned])
    expected = encoding.apply(plain).toarray()
    np.testing.assert_array_equal(encoding.apply(turned).toarray(), expected)
    np.testing.assert_array_equal(encoding.apply(both).toarray(), np.vstack([expected] * 2))


def test_levels_are_counted_by_weight_and_merge() -> None:
    X, weight = rows(), np.random.default_rng(3).integers(0, 3, 60).astype(float)
    whole = LEVEL_WEIGHTS(None, [Block(X, None, weight)], {})
    parts = [
        LEVEL_WEIGHTS(None, [Block(X[i : i + 20], None, weight[i : i + 20])], {})
        for i in (0, 20, 40)
    ]
    merged = LEVEL_WEIGHTS.merge(LEVEL_WEIGHTS.merge(parts[0], parts[1]), parts[2])
    for j, levels in enumerate(LEVELS):
        expected = [weight[X.codes[:, j] == code].sum() for code in np.argsort(levels)]
        for found in (whole, merged):
            assert found.labels[j].tolist() == sorted(levels)
            assert found.weights[j].tolist() == expected
            assert found.missing[j] == weight[X.codes[:, j] < 0].sum()


def adult_frame(n_rows: int = 4000) -> tuple[pd.DataFrame, pd.Series]:
    frame = pd.read_parquet(adult()).head(n_rows)
    return frame, frame.pop("income").astype(str)


def dense_adult(frame: pd.DataFrame, drop: str | None) -> np.ndarray:
    """Return what scikit-learn makes of the frame, its columns in our order."""
    labels = [name for name in frame if frame[name].dtype == "category"]
    numbers = [name for name in frame if name not in labels]
    filled = frame.copy()
    for name in labels:
        filled[name] = filled[name].astype(object).where(filled[name].notna(), "zzz")
    encoder = OneHotEncoder(drop=drop, sparse_output=False)
    transformer = make_column_transformer(("passthrough", numbers), (encoder, labels))
    return transformer.fit_transform(filled)


@pytest.mark.parametrize("drop", ["none", "first"])
def test_a_frame_with_labels_equals_its_one_hot_matrix(drop: str) -> None:
    frame, y = adult_frame()
    options = CategoricalEncoding(drop=drop)
    model = LogisticRegression(tol=1e-9, categorical=options).fit(frame, y)
    dense = dense_adult(frame, None if drop == "none" else "first")
    peer = SklearnLogisticRegression(solver="newton-cholesky", tol=1e-10).fit(dense, y)
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-6)
    np.testing.assert_allclose(model.intercept_, peer.intercept_, atol=1e-5)
    np.testing.assert_allclose(
        model.predict_proba(frame).to_numpy(), peer.predict_proba(dense), atol=1e-7
    )


def test_a_coarse_start_with_labels_ends_where_the_plain_fit_ends() -> None:
    frame = pd.read_parquet(adult())
    y = frame.pop("income").astype(str)
    twice, y_twice = pd.concat([frame] * 2), pd.concat([y] * 2)
    coarse = LogisticRegression(C=0.5, tol=1e-9, random_state=0).fit(twice, y_twice)
    plain = LogisticRegression(C=1.0, tol=1e-9, random_state=0).fit(frame, y)
    assert coarse.n_sample_iter_ > 0 == plain.n_sample_iter_
    np.testing.assert_allclose(coarse.coef_, plain.coef_, atol=1e-6)


def test_a_missing_label_is_a_level_or_an_error() -> None:
    frame, y = adult_frame(500)
    refuse = LogisticRegression(categorical=CategoricalEncoding(handle_missing="error"))
    with pytest.raises(ValueError, match="'workclass' has missing labels"):
        refuse.fit(frame, y)


def test_an_unknown_label_is_named_or_passed_over() -> None:
    frame, y = adult_frame(500)
    strange = frame.head(3).copy()
    strange["sex"] = pd.Categorical(["Robot", "Male", "Female"])
    with pytest.raises(ValueError, match="'sex' holds 'Robot', which the fit never saw"):
        LogisticRegression().fit(frame, y).predict(strange)
    lenient = CategoricalEncoding(handle_unknown="ignore")
    model = LogisticRegression(categorical=lenient).fit(frame, y)
    assert len(model.predict(strange)) == 3


def test_bad_encodings_are_refused() -> None:
    frame, y = adult_frame(50)
    bad: list[Any] = ["first", CategoricalEncoding(drop="last")]
    for categorical in bad:
        with pytest.raises((TypeError, ValueError), match="must be"):
            LogisticRegression(categorical=categorical).fit(frame, y)


def test_an_estimator_that_takes_numbers_says_so() -> None:
    frame, _ = adult_frame(50)
    with pytest.raises(TypeError, match="'workclass' is categorical, and KMeans takes numbers"):
        KMeans().fit(frame)
    model = LogisticRegression().fit(*adult_frame(500))
    numbers = pd.DataFrame(np.zeros((2, 14)), columns=frame.columns)
    with pytest.raises(ValueError, match="no categorical columns"):
        model.predict(numbers)


def test_a_label_that_separates_is_named() -> None:
    frame = pd.DataFrame({"place": pd.Categorical(["a", "b"] * 30 + ["c"] * 10)})
    y = np.array(["yes", "yes", "no"] * 20 + ["no"] * 10)
    with pytest.warns(ConvergenceWarning, match="columns place=c separate some rows"):
        LogisticRegression(C=np.inf).fit(frame, y)


def test_least_squares_with_labels_equals_statsmodels() -> None:
    frame, _ = adult_frame()
    y = frame.pop("hours_per_week")
    frame = frame[["age", "race", "education_num", "sex"]]
    model = LinearRegression().fit(frame, y)
    plain = frame.astype({"race": str, "sex": str}).assign(y=y)
    peer = smf.ols("y ~ age + education_num + C(race) + C(sex)", plain).fit()
    found = model.summary().coefficients
    assert list(found.index[[0, 1, 3]]) == ["intercept", "age", "race=Asian-Pac-Islander"]
    labels = [name for name in peer.params.index if "[" in name]
    order = ["Intercept", "age", "education_num", *labels]
    np.testing.assert_allclose(found["coef"], peer.params[order], rtol=1e-8)
    np.testing.assert_allclose(found["std_err"], peer.bse[order], rtol=1e-8)
    assert model.score(frame, y) == pytest.approx(peer.rsquared, rel=1e-9)


def test_ridge_gives_every_label_a_coefficient() -> None:
    frame, _ = adult_frame(500)
    y = frame.pop("age")
    dense = dense_adult(frame, None)
    model = Ridge(alpha=2.0).fit(frame, y)
    np.testing.assert_allclose(model.coef_, SklearnRidge(alpha=2.0).fit(dense, y).coef_, atol=1e-8)
    with pytest.raises(TypeError, match="batches with categorical columns"):
        Ridge().partial_fit(frame, y)
