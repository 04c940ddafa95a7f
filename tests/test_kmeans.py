"""KMeans against scikit-learn: from the same start, the same answer."""

import pickle
import warnings

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn import cluster
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning

import flowml
from flowml.cluster import KMeans


def blobs(n_rows=3000, p=7, centers=9, spread=2.0, seed=0):
    return make_blobs(n_rows, p, centers=centers, cluster_std=spread, random_state=seed)[0]


def random_start(X, k, seed=0):
    return X[np.random.default_rng(seed).choice(len(X), k, replace=False)]


def assert_same_clustering(ours, theirs, tolerance=1e-9):
    scale = np.abs(theirs.cluster_centers_).max()
    np.testing.assert_allclose(
        ours.cluster_centers_, theirs.cluster_centers_, rtol=0, atol=tolerance * scale
    )
    np.testing.assert_array_equal(np.asarray(ours.labels_), theirs.labels_)
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-9)


@pytest.mark.parametrize("algorithm", ["lloyd", "hamerly"])
@pytest.mark.parametrize("tol", [0.0, 1e-4, 1e-2])
@pytest.mark.parametrize("kind", ["blobs", "noise", "far from the origin", "fortran"])
def test_same_centres_as_scikit_learn(kind, tol, algorithm):
    X = blobs()
    if kind == "noise":
        X = np.random.default_rng(1).random((2000, 5))
    elif kind == "far from the origin":
        X = X + 1e6
    elif kind == "fortran":
        X = np.asfortranarray(X)
    start = random_start(X, 12)
    theirs = cluster.KMeans(12, init=start, n_init=1, tol=tol).fit(X)
    assert_same_clustering(KMeans(12, init=start, tol=tol, algorithm=algorithm).fit(X), theirs)


@pytest.mark.parametrize("max_iter", [1, 2, 7])
def test_stops_at_max_iter_as_scikit_learn_does(max_iter):
    X = blobs(spread=8.0)
    start = random_start(X, 10)
    theirs = cluster.KMeans(10, init=start, n_init=1, tol=0, max_iter=max_iter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs.fit(X)
    ours = KMeans(10, init=start, tol=0, max_iter=max_iter).fit(X)
    assert_same_clustering(ours, theirs)
    assert ours.n_passes_ == max_iter + 1
    assert list(ours.history_.stage) == ["lloyd"] * max_iter + ["assign"]


def test_whole_weights_are_repeated_rows():
    X = blobs(600)
    weight = np.random.default_rng(0).integers(0, 4, len(X))
    repeated = np.repeat(X, weight, axis=0)
    start = random_start(X, 6)
    weighted = KMeans(6, init=start).fit(X, sample_weight=weight)
    theirs = cluster.KMeans(6, init=start, n_init=1).fit(repeated)
    np.testing.assert_allclose(weighted.cluster_centers_, theirs.cluster_centers_, rtol=1e-9)
    assert weighted.n_iter_ == theirs.n_iter_
    assert weighted.inertia_ == pytest.approx(theirs.inertia_, rel=1e-9)
    assert weighted.score(X, sample_weight=weight) == pytest.approx(-weighted.inertia_)


@pytest.mark.parametrize("sparse", [False, True])
def test_empty_clusters_take_the_farthest_row_as_scikit_learn_does(sparse):
    X = blobs(400, p=3, centers=4)
    start = random_start(X, 5)
    start[2] += 1e4  # attracts no row
    data = sp.csr_array(X) if sparse else X
    theirs = cluster.KMeans(5, init=start, n_init=1).fit(data)
    ours = KMeans(5, init=start).fit(data)
    assert_same_clustering(ours, theirs)
    assert ours.n_passes_ == ours.n_iter_ + 2


def test_several_empty_clusters_are_all_filled():
    X = blobs(500, p=3, centers=6)
    start = np.vstack([X[:1], np.full((5, 3), 1e5)])
    model = KMeans(6, init=start).fit(da.from_array(X, chunks=(60, 3)))
    assert len(np.unique(model.labels_.compute())) == 6


def test_fewer_distinct_rows_than_clusters_warns():
    X = np.repeat([[0.0, 1.0], [5.0, 5.0], [9.0, 0.0]], 10, axis=0)
    for init in ("k-means||", "k-means++"):
        with pytest.warns(ConvergenceWarning, match=r"distinct clusters \(3\).*n_clusters \(5\)"):
            model = KMeans(5, init=init, random_state=0).fit(X)
        assert model.inertia_ == 0.0


@pytest.mark.parametrize("weighted", [False, True])
def test_csr_equals_scikit_learn(weighted):
    X = sp.random(800, 40, density=0.1, format="csr", random_state=0)
    weight = np.random.default_rng(0).random(800) if weighted else None
    start = X[:6].toarray()
    theirs = cluster.KMeans(6, init=start, n_init=1, tol=0).fit(X, sample_weight=weight)
    ours = KMeans(6, init=start, tol=0).fit(X, sample_weight=weight)
    assert_same_clustering(ours, theirs)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.transform(X), theirs.transform(X), rtol=1e-9, atol=1e-12)


def test_float32_stays_float32():
    X = blobs().astype(np.float32)
    model = KMeans(9, init=random_start(X, 9)).fit(X)
    exact = cluster.KMeans(9, init=random_start(X, 9), n_init=1).fit(X.astype(np.float64))
    assert model.cluster_centers_.dtype == model.transform(X).dtype == np.float32
    np.testing.assert_allclose(model.cluster_centers_, exact.cluster_centers_, rtol=1e-5)
    np.testing.assert_array_equal(model.labels_, model.predict(X))


def test_lazy_in_lazy_out():
    X = blobs(1000)
    start = random_start(X, 9)
    eager = KMeans(9, init=start).fit(X)
    lazy = KMeans(9, init=start).fit(da.from_array(X, chunks=(130, 4)))
    assert isinstance(lazy.labels_, da.Array)
    assert isinstance(lazy.predict(da.from_array(X, chunks=(500, 7))), da.Array)
    np.testing.assert_array_equal(lazy.labels_.compute(), eager.labels_)
    np.testing.assert_allclose(lazy.cluster_centers_, eager.cluster_centers_, rtol=1e-12)
    restored = pickle.loads(pickle.dumps(lazy))
    assert not hasattr(restored, "labels_")
    np.testing.assert_array_equal(restored.predict(X), eager.labels_)


def test_frames_keep_their_index_and_names():
    X = pd.DataFrame(blobs(300, p=3), columns=["a", "b", "c"]).set_index(np.arange(300) * 2)
    model = KMeans(4, random_state=0).fit(X)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    assert model.predict(X).index.equals(X.index)
    distances = model.set_output(transform="pandas").transform(X)
    assert list(distances.columns) == ["kmeans0", "kmeans1", "kmeans2", "kmeans3"]
    assert distances.index.equals(X.index)
    lazy = KMeans(4, random_state=0).fit(dd.from_pandas(X, npartitions=3))
    assert len(lazy.labels_.compute()) == 300


def test_to_sklearn_predicts_the_same():
    X = blobs()
    model = KMeans(9, random_state=0).fit(X)
    peer = model.to_sklearn()
    assert type(peer) is cluster.KMeans
    np.testing.assert_array_equal(peer.cluster_centers_, model.cluster_centers_)
    np.testing.assert_array_equal(peer.predict(X), model.predict(X))
    np.testing.assert_allclose(peer.transform(X), model.transform(X), rtol=1e-9)
    assert peer.score(X) == pytest.approx(model.score(X))


def test_transform_is_zero_at_a_centre():
    X = blobs(50)
    model = KMeans(50, init=X).fit(X)
    assert (np.diag(model.transform(model.cluster_centers_)) == 0).all()


def test_init_may_be_a_callable_and_tries_ten_times():
    X = blobs(500)
    calls = []

    def init(X, n_clusters, random_state):
        calls.append(n_clusters)
        return X[random_state.choice(len(X), n_clusters, replace=False)]

    model = KMeans(9, init=init, random_state=0).fit(X)
    assert calls == [9] * 10
    assert model.inertia_ == model.set_params(n_init=10).fit(X).inertia_
    single = [KMeans(9, init=init, n_init=1, random_state=s).fit(X).inertia_ for s in range(3)]
    assert model.inertia_ <= max(single)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"n_clusters": 0}, ValueError, "n_clusters must be at least 1"),
        ({"n_clusters": 2.5}, TypeError, "n_clusters must be a whole number"),
        ({"n_clusters": 31}, ValueError, "n_samples=30 should be >= n_clusters=31"),
        ({"max_iter": 0}, ValueError, "max_iter must be at least 1"),
        ({"tol": -1.0}, ValueError, "tol must be at least 0"),
        ({"tol": "small"}, TypeError, "tol must be a number"),
        ({"n_init": 0}, ValueError, "n_init must be at least 1"),
        ({"algorithm": "elkan"}, ValueError, "algorithm must be 'auto', 'lloyd', 'hamerly'"),
        ({"init": "kmeans"}, ValueError, "init must be 'k-means||'"),
        ({"init": np.zeros((8, 3))}, ValueError, r"shape \(8, 3\).*must be \(8, 2\)"),
        ({"init": np.full((8, 2), np.nan)}, ValueError, "init contains NaN"),
        ({"random_state": "seed"}, ValueError, "seed"),
    ],
)
def test_bad_parameters_are_named(parameters, error, message):
    model = KMeans(**parameters)
    with pytest.raises(error, match=message):
        model.fit(np.random.default_rng(0).random((30, 2)))
    assert not hasattr(model, "cluster_centers_")
    assert not hasattr(model, "n_features_in_")


def test_too_few_rows_are_found_where_only_reading_tells():
    X = da.from_array(np.random.default_rng(0).random((30, 2)), chunks=(10, 2))
    few = X[X[:, 0] < 0.1]
    with pytest.raises(ValueError, match="should be >= n_clusters=20"):
        KMeans(20).fit(few)
    weight = np.zeros(30)
    weight[:3] = 1
    with pytest.raises(ValueError, match="n_samples=3 should be >= n_clusters=4"):
        KMeans(4).fit(X, sample_weight=weight)


def test_nan_is_named_by_block_and_column():
    X = blobs(100, p=3)
    X[55, 1] = np.nan
    with pytest.raises(ValueError, match="NaN: block 2, row 15 of the block, column 1"):
        KMeans(3).fit(da.from_array(X, chunks=(20, 3)))


def test_huge_values_are_refused_rather_than_clustered_wrongly():
    X = blobs(100, p=3) * 1e200
    with pytest.raises(ValueError, match="overflow"):
        KMeans(3, random_state=0).fit(X)


def test_arguments_are_not_modified():
    X, start = blobs(200), random_start(blobs(200), 5)
    weight = np.ones(200)
    kept = X.copy(), start.copy(), weight.copy()
    KMeans(5, init=start).fit(X, sample_weight=weight)
    for before, after in zip(kept, (X, start, weight), strict=True):
        np.testing.assert_array_equal(before, after)


def test_read_only_input_is_fine():
    X = blobs(200)
    X.flags.writeable = False
    assert KMeans(5, random_state=0).fit(X).inertia_ > 0


def test_on_a_cluster_the_same_bits_as_here(client):
    X = blobs(4000)
    lazy = da.from_array(X, chunks=(500, 7))
    there = KMeans(9, random_state=0, tol=0).fit(lazy)
    with flowml.config_context(client=client, keep=False):
        streamed = KMeans(9, random_state=0, tol=0).fit(lazy)
    np.testing.assert_array_equal(there.cluster_centers_, streamed.cluster_centers_)
    assert there.inertia_ == streamed.inertia_
    assert there.n_iter_ == streamed.n_iter_
