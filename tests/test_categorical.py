"""Categorical columns: codes that stand for a one-hot matrix, in kernels and in whole fits."""

from functools import partial
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from sklearn.compose import make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.metrics import accuracy_score, d2_tweedie_score, r2_score
from sklearn.preprocessing import OneHotEncoder

import flowml
from flowml.cluster import KMeans
from flowml.datasets import adult
from flowml.kernels.level_weights import LEVEL_WEIGHTS
from flowml.kernels.mixed import Mixed, concatenate
from flowml.kernels.one_hot import Encoding
from flowml.kernels.products import add_pair_products, add_weighted_products
from flowml.kernels.rows import Block
from flowml.linear_model import (
    CategoricalEncoding,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
)

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
    np.testing.assert_allclose(model.predict_proba(frame), peer.predict_proba(dense), atol=1e-7)


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


@pytest.mark.parametrize(
    ("estimator", "measure"),
    [
        (LogisticRegression, accuracy_score),
        (PoissonRegressor, partial(d2_tweedie_score, power=1)),
        (Ridge, r2_score),
    ],
)
def test_scoring_refuses_labels_as_predicting_does(estimator: Any, measure: Any) -> None:
    frame, y = adult_frame(500)
    counts = (np.asarray(y) == np.asarray(y)[0]).astype(float)
    strange = frame.assign(sex=pd.Categorical(["Robot"] * len(frame)))
    said = "'sex' holds 'Robot', which the fit never saw"
    model = estimator().fit(frame, counts)
    with pytest.raises(ValueError, match=said):
        model.score(strange, counts)
    lenient = CategoricalEncoding(handle_unknown="ignore")
    model = estimator(categorical=lenient).fit(frame, counts)
    assert model.score(strange, counts) == pytest.approx(measure(counts, model.predict(strange)))


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


def lazy_sources(folder: Path) -> dict[str, tuple[Any, Any]]:
    """Return the Adult data as everything lazy that has categories."""
    frame = pd.read_parquet(adult())
    plain = frame.assign(**{name: frame[name].astype(str) for name in ("sex", "race", "income")})
    plain[["age", "sex", "race", "income"]].to_csv(folder / "adult.csv", index=False)
    plain[["age", "sex", "race", "income"]].to_parquet(folder / "plain.parquet")
    chosen = ["age", "sex", "race"]
    lazy = dd.from_pandas(frame[[*chosen, "income"]], npartitions=3)
    uneven = lazy.map_partitions(_own_categories, meta=lazy._meta)
    files = {"target": "income", "features": chosen}
    text = {**files, "categorical": ["sex", "race"]}
    return {
        "Parquet": (flowml.read_parquet(adult(), **files), None),
        "Parquet text": (flowml.read_parquet(folder / "plain.parquet", **text), None),
        "CSV": (flowml.read_csv(folder / "adult.csv", **text), None),
        "Dask": (lazy[chosen], lazy["income"]),
        "Dask, uneven": (uneven[chosen], uneven["income"]),
    }


def _own_categories(part: pd.DataFrame) -> pd.DataFrame:
    """Number the labels in another order in each partition."""
    turned = part["race"].cat.reorder_categories(part["race"].cat.categories[::-1])
    return part.assign(race=turned.cat.remove_unused_categories())


def test_lazy_categories_equal_a_frame_in_memory(tmp_path: Path) -> None:
    frame = pd.read_parquet(adult())
    X, y = frame[["age", "sex", "race"]], frame["income"].astype(str)
    expected = LogisticRegression(tol=1e-8).fit(X, y)
    for name, (rows, target) in lazy_sources(tmp_path).items():
        model = LogisticRegression(tol=1e-8).fit(rows, target)
        np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-6, err_msg=name)
        labels = np.asarray(model.predict(rows).compute())
        assert (labels == expected.predict(X).to_numpy()).all(), name


def test_adult_from_parquet_gives_the_same_bits_on_a_cluster(client: Any) -> None:
    rows = flowml.read_parquet(adult(), target="income")
    here = LogisticRegression(random_state=0).fit(rows)
    with flowml.config_context(client=client):
        there = LogisticRegression(random_state=0).fit(rows)
    assert (there.coef_ == here.coef_).all()
    frame = pd.read_parquet(adult())
    y = frame.pop("income")
    assert there.classes_.tolist() == ["<=50K", ">50K"]
    assert there.coef_.shape == (1, 108)
    in_memory = LogisticRegression(random_state=0).fit(frame, y)
    np.testing.assert_allclose(there.coef_, in_memory.coef_, atol=1e-6)
    assert there.score(rows) == pytest.approx(in_memory.score(frame, y), abs=1e-3)


def test_lazy_labels_that_the_fit_never_saw_are_named(tmp_path: Path) -> None:
    frame, y = adult_frame(500)
    model = LogisticRegression().fit(frame, y)
    strange = frame.astype({"sex": str}).assign(sex="Robot").astype({"sex": "category"})
    with pytest.raises(ValueError, match="'sex' holds 'Robot', which the fit never saw"):
        model.predict(dd.from_pandas(strange, npartitions=2)).compute()
    with pytest.raises(ValueError, match="give the same columns dtype category"):
        model.predict(dd.from_pandas(frame.assign(sex=1.0), npartitions=2))


def test_text_columns_are_refused_with_a_hint(tmp_path: Path) -> None:
    plain = pd.DataFrame({"a": ["x", "y"] * 5, "y": np.arange(10.0)})
    lazy = dd.from_pandas(plain, npartitions=2)
    with pytest.raises(TypeError, match=r"astype\('category'\)"):
        Ridge().fit(lazy[["a"]], lazy["y"])
    plain.to_parquet(tmp_path / "plain.parquet")
    with pytest.raises(TypeError, match=r"categorical=\['a'\]"):
        flowml.read_parquet(tmp_path / "plain.parquet", target="y")


def test_a_survey_of_categories_survives_a_checkpoint(tmp_path: Path) -> None:
    rows = flowml.read_parquet(adult(), target="income", features=["age", "sex", "race"])
    with flowml.config_context(checkpoint=tmp_path, checkpoint_seconds=0):
        first = LogisticRegression(random_state=0).fit(rows)
    with flowml.config_context(checkpoint=tmp_path, resume=True):
        again = LogisticRegression(random_state=0).fit(rows)
    assert (first.coef_ == again.coef_).all()


def test_more_levels_than_a_matrix_of_products_could_hold() -> None:
    random = np.random.default_rng(0)
    codes = random.integers(0, 5000, (20_000, 4))
    frame = pd.DataFrame({f"c{j}": pd.Categorical(codes[:, j]) for j in range(4)})
    effects = random.standard_normal((4, 5000))
    y = sum(effects[j, codes[:, j]] for j in range(4)) + 0.1 * random.standard_normal(20_000)
    model = Ridge(alpha=1.0).fit(frame, y)
    assert model.solver_used_ == "lbfgs"
    one_hot_rows = OneHotEncoder().fit_transform(frame)
    peer = SklearnRidge(alpha=1.0, solver="sparse_cg", tol=1e-12).fit(one_hot_rows, y)
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-4)


def test_a_column_of_mixed_labels_is_named() -> None:
    frame = pd.DataFrame({"place": pd.Categorical([1, "a"] * 5)})
    with pytest.raises(TypeError, match="labels of column 'place' are neither all text nor all"):
        Ridge().fit(frame, np.arange(10.0))


def test_a_text_column_beside_categorical_ones_is_named() -> None:
    frame, y = adult_frame(50)
    frame["sex"] = frame["sex"].astype(str)
    with pytest.raises(TypeError, match=r"'sex' has dtype .*astype\('category'\)"):
        LogisticRegression().fit(frame, y)
