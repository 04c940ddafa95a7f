"""LinearRegression and Ridge against scikit-learn, over every kind of input."""

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from dask.base import is_dask_collection
from scipy.linalg import LinAlgWarning
from sklearn import linear_model as sklearn_models
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score

import flowml
from flowml.linear_model import LinearRegression, Ridge

N_ROWS = 5000
PAIRS = [
    (LinearRegression(), sklearn_models.LinearRegression()),
    (LinearRegression(fit_intercept=False), sklearn_models.LinearRegression(fit_intercept=False)),
    (Ridge(alpha=50.0), sklearn_models.Ridge(alpha=50.0)),
    (Ridge(alpha=5.0, fit_intercept=False), sklearn_models.Ridge(alpha=5.0, fit_intercept=False)),
]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, 6)) * [1, 2, 3, 4, 5, 6] + [9, 8, 7, 6, 5, 4]
    Y = X @ rng.normal(size=(6, 3)) + rng.normal(size=(N_ROWS, 3)) + [1, 20, 300]
    return X, Y, rng.integers(0, 4, N_ROWS).astype(float)


def assert_equal_models(model, peer, rtol=1e-9):
    np.testing.assert_allclose(model.coef_, peer.coef_, rtol=rtol)
    np.testing.assert_allclose(model.intercept_, peer.intercept_, rtol=rtol)
    assert np.shape(model.coef_) == np.shape(peer.coef_)
    assert np.shape(model.intercept_) == np.shape(peer.intercept_)


@pytest.mark.parametrize(("model", "peer"), PAIRS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("targets", [0, slice(0, 1), slice(0, 3)])
def test_the_same_coefficients_as_scikit_learn(data, model, peer, weighted, targets):
    X, Y, weight = data
    weight = weight if weighted else None
    model.fit(X, Y[:, targets], weight)
    peer.fit(X, Y[:, targets], weight)
    assert_equal_models(model, peer)
    np.testing.assert_allclose(model.predict(X[:7]), peer.predict(X[:7]), rtol=1e-10)
    assert model.score(X, Y[:, targets], weight) == pytest.approx(
        peer.score(X, Y[:, targets], weight), rel=1e-12
    )


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32, bool])
def test_dtypes(data, order, dtype):
    X, Y, _ = data
    X = np.asarray(X, dtype=dtype, order=order)
    if dtype is bool:
        X = np.asarray(data[0] > 5, order=order)
    model, peer = LinearRegression().fit(X, Y[:, 0]), sklearn_models.LinearRegression()
    peer.fit(X.astype(float), Y[:, 0])
    wanted = np.float32 if dtype is np.float32 else np.float64
    assert model.coef_.dtype == model.predict(X).dtype == np.dtype(wanted)
    assert np.asarray(model.intercept_).dtype == np.dtype(wanted)
    assert_equal_models(model, peer, rtol=1e-6 if dtype is np.float32 else 1e-9)


@pytest.mark.parametrize(("model", "peer"), PAIRS)
@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix, sp.coo_array])
def test_sparse(data, model, peer, container):
    X = np.where(np.abs(data[0] - 6) < 5, 0, data[0])
    model.fit(container(X), data[1], data[2])
    peer.fit(X, data[1], data[2])
    assert_equal_models(model, peer)
    np.testing.assert_allclose(model.predict(container(X)), peer.predict(X), rtol=1e-9)


def test_an_alpha_for_each_target(data):
    X, Y, _ = data
    alphas = np.array([0.0, 10.0, 1000.0])
    assert_equal_models(Ridge(alphas).fit(X, Y), sklearn_models.Ridge(alphas).fit(X, Y))
    each = [Ridge(alpha).fit(X, Y[:, t]).coef_ for t, alpha in enumerate(alphas)]
    np.testing.assert_allclose(Ridge(alphas).fit(X, Y).coef_, each, rtol=1e-12)


def test_frames_keep_names_and_index(data):
    X, Y, weight = data
    frame = pd.DataFrame(X, columns=list("abcdef"), index=np.arange(N_ROWS)[::-1])
    y = pd.Series(Y[:, 0], index=frame.index, name="price")
    model = LinearRegression().fit(frame, y, weight)
    assert list(model.feature_names_in_) == list("abcdef")
    predicted = model.predict(frame)
    assert predicted.name == "price"
    assert predicted.index.equals(frame.index)
    assert model.score(frame, y) == pytest.approx(r2_score(y, predicted))
    assert model.summary().target == "price"
    assert list(model.summary().coefficients.index) == ["intercept", *"abcdef"]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"a": "z"}))


def test_several_targets_of_a_frame_are_named(data):
    X, Y, _ = data
    frame, targets = pd.DataFrame(X), pd.DataFrame(Y, columns=["u", "v", "w"])
    frame.columns = list("abcdef")
    predicted = Ridge().fit(frame, targets).predict(frame)
    assert list(predicted.columns) == ["u", "v", "w"]


@pytest.mark.parametrize("chunks", [((1000,) * 5, (6,)), ((1, 0, 4999), (2, 4))])
def test_dask_arrays_give_the_same_and_stay_lazy(data, chunks):
    X, Y, weight = data
    lazy_X, lazy_Y = da.from_array(X, chunks), da.from_array(Y, (chunks[0], 3))
    model = LinearRegression().fit(lazy_X, lazy_Y, da.from_array(weight, (chunks[0],)))
    eager = LinearRegression().fit(X, Y, weight)
    assert_equal_models(model, eager, rtol=1e-10)
    predicted = model.predict(lazy_X)
    assert is_dask_collection(predicted)
    np.testing.assert_allclose(predicted.compute(), eager.predict(X), rtol=1e-10)
    assert model.score(lazy_X, lazy_Y) == pytest.approx(eager.score(X, Y), rel=1e-10)


def test_on_a_cluster(data, client):
    X, Y, weight = data
    lazy = [da.from_array(part, chunks=(700, *part.shape[1:])) for part in (X, Y, weight)]
    model = Ridge(alpha=3.0).fit(*lazy)
    peer = sklearn_models.Ridge(alpha=3.0).fit(X, Y, weight)
    assert_equal_models(model, peer)
    assert model.score(*lazy) == pytest.approx(peer.score(X, Y, weight), rel=1e-10)


def test_the_qr_path_on_a_cluster(data, client):
    x = np.linspace(0, 20, 3000)
    X = np.column_stack([x**k for k in range(1, 6)])
    y = X.sum(axis=1) + np.random.default_rng(0).normal(size=3000)
    lazy = da.from_array(X, (500, 5)), da.from_array(y, (500,))
    there = LinearRegression().fit(*lazy)
    with flowml.config_context(n_threads=1):
        here = LinearRegression().fit(X, y)
    assert there.solver_used_ == "qr"
    assert there.n_passes_ == 3
    np.testing.assert_allclose(there.coef_, here.coef_, rtol=1e-11)


def test_dask_frames(data):
    X, Y, _ = data
    frame = pd.DataFrame(X, columns=list("abcdef")).assign(price=Y[:, 0])
    lazy = dd.from_pandas(frame, npartitions=3)
    model = LinearRegression().fit(lazy[list("abcdef")], lazy["price"])
    assert_equal_models(model, sklearn_models.LinearRegression().fit(X, Y[:, 0]))
    assert list(model.feature_names_in_) == list("abcdef")
    predicted = model.predict(lazy[list("abcdef")]).compute()
    assert predicted.index.equals(frame.index)


@pytest.mark.parametrize(("model", "peer"), PAIRS)
def test_to_sklearn(data, model, peer):
    X, Y, _ = data
    plain = model.fit(pd.DataFrame(X, columns=list("abcdef")), Y).to_sklearn()
    assert type(plain) is type(peer)
    assert plain.get_params() == peer.get_params()
    frame = pd.DataFrame(X, columns=list("abcdef"))
    np.testing.assert_array_equal(plain.predict(frame), model.predict(frame))
    plain.coef_[:] = 0
    assert model.coef_.all()


def test_partial_fit_is_fit_on_the_batches_together(data):
    X, Y, weight = data
    for model in (LinearRegression(), Ridge(alpha=7.0)):
        whole = type(model)(**model.get_params()).fit(X, Y, weight)
        for low in range(0, N_ROWS, 1300):
            batch = slice(low, low + 1300)
            model.partial_fit(X[batch], Y[batch], weight[batch])
        assert_equal_models(model, whole, rtol=1e-10)
        assert model.summary(target=0).n_rows == whole.summary(target=0).n_rows
    with pytest.raises(ValueError, match="2 targets, but the model was fitted to 3"):
        model.partial_fit(X, Y[:, :2])
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(X[:, :2], Y)


def test_partial_fit_says_what_it_cannot_do():
    x = np.linspace(0, 20, 100)
    X = np.column_stack([x**k for k in range(1, 6)])
    with pytest.warns(LinAlgWarning, match="call fit on all rows at once"):
        LinearRegression().partial_fit(X, x + np.sin(x))


def test_a_failed_fit_leaves_the_model_as_it_was(data):
    X, Y, _ = data
    model = LinearRegression().fit(X, Y[:, 0])
    before = dict(vars(model))
    spoilt = X.copy()
    spoilt[4321, 2] = np.nan
    with pytest.raises(ValueError, match=r"NaN: block 0, row 4321 of the block, column 2"):
        model.fit(spoilt, Y[:, 0])
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(spoilt, Y[:, 0])
    assert vars(model) == before


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (Ridge(alpha=-1.0), ValueError, r"Ridge\(alpha=-1.0\): alpha must be at least 0"),
        (Ridge(alpha="much"), TypeError, "alpha must be a number"),
        (Ridge(alpha=True), TypeError, "alpha must be a number"),
        (Ridge(alpha=[1.0, 2.0]), ValueError, "targets and number of penalties do not corresp"),
        (LinearRegression(fit_intercept="yes"), TypeError, "fit_intercept must be True or False"),
    ],
)
def test_bad_parameters(data, model, error, message):
    with pytest.raises(error, match=message):
        model.fit(data[0], data[1])
    assert not hasattr(model, "coef_")


def test_bad_input(data):
    X, Y, weight = data
    with pytest.raises(ValueError, match="requires y"):
        LinearRegression().fit(X)
    with pytest.raises(ValueError, match="negative weight"):
        LinearRegression().fit(X, Y, weight - 1)
    with pytest.raises(ValueError, match="zero for every row"):
        LinearRegression().fit(X, Y, 0 * weight)
    lazy = [da.from_array(part, chunks=(700, *part.shape[1:])) for part in (X, Y, 0 * weight)]
    with pytest.raises(ValueError, match="nothing to fit"):
        LinearRegression().fit(*lazy)
    for method in ("predict", "score", "summary", "to_sklearn"):
        with pytest.raises(NotFittedError):
            getattr(LinearRegression(), method)(*{"predict": (X,), "score": (X, Y)}.get(method, ()))
    with pytest.raises(ValueError, match="y has 1 targets, but the model was fitted to 3"):
        LinearRegression().fit(X, Y).score(X, Y[:, 0])
    with pytest.raises(ValueError, match="NaN"):
        LinearRegression().fit(X, Y).score(
            X, np.where(np.arange(N_ROWS)[:, np.newaxis] == 7, np.nan, Y)
        )


def test_stages_name_what_a_fit_runs(data):
    x = np.linspace(0, 20, 100)
    X = np.column_stack([x**k for k in range(1, 6)])
    model = LinearRegression().fit(X, np.sin(x))
    dataset = flowml.data.adopt.from_arrays(X, np.sin(x))
    stages = [stage.name for stage in model._stages(dataset.schema)]
    assert list(model.history_["stage"]) == stages
