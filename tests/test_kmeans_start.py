"""k-means|| and k-means++: how good their starts are, and what they depend on."""

import numpy as np
import pytest
from sklearn import cluster
from sklearn.datasets import make_blobs

import flowml
from flowml.cluster import KMeans
from flowml.kernels.rows import Block
from flowml.kernels.seeding import SEEDING, SeedingAsk
from flowml.solvers.reduce_candidates import distinct, reduce_candidates


@pytest.mark.parametrize(("n_clusters", "n_rows"), [(50, 10_000), (200, 8_000)])
def test_k_means_parallel_ends_within_two_percent_of_the_best_of_ten(n_clusters, n_rows):
    X, _ = make_blobs(n_rows, 8, centers=n_clusters, random_state=3)
    best = cluster.KMeans(n_clusters, n_init=10, random_state=0).fit(X).inertia_
    model = KMeans(n_clusters, random_state=0).fit(X)
    assert model.inertia_ <= 1.02 * best
    assert list(model.history_.stage).count("k-means||") == 7


def test_k_means_plus_plus_is_as_good_as_scikit_learns():
    X, _ = make_blobs(3000, 5, centers=15, random_state=1)
    ours = [KMeans(15, init="k-means++", random_state=s).fit(X).inertia_ for s in range(8)]
    theirs = [cluster.KMeans(15, n_init=1, random_state=s).fit(X).inertia_ for s in range(8)]
    assert np.median(ours) <= 1.05 * np.median(theirs)
    assert KMeans(15, init="k-means++", random_state=0).fit(X).n_passes_ >= 16


@pytest.mark.parametrize("init", ["k-means||", "k-means++"])
def test_draws_do_not_depend_on_blocks_or_threads(init):
    X, _ = make_blobs(2500, 4, centers=6, random_state=0)
    model = KMeans(6, init=init, random_state=5)
    reference = model.fit(X).cluster_centers_
    da = pytest.importorskip("dask.array")
    for chunks in (100, 999, ((1, 0, 1500, 999),)):
        rows = chunks[0] if isinstance(chunks, tuple) else chunks
        lazy = model.fit(da.from_array(X, chunks=(rows, 4))).cluster_centers_
        np.testing.assert_allclose(lazy, reference, rtol=1e-9)
    with flowml.config_context(n_threads=1):
        np.testing.assert_array_equal(model.fit(X).cluster_centers_, reference)


def seeding_ask(candidates, groups, n_draws, remember=True, trials=0):
    p = candidates.shape[1]
    extra = np.random.default_rng(9).random((trials, p))
    return SeedingAsk(candidates, groups, extra, n_draws, 7, remember, False)


@pytest.mark.parametrize("trials", [0, 3])
def test_a_lost_memory_changes_no_bit(trials):
    X = np.random.default_rng(0).random((900, 6)) + 50
    rows = [Block(X[:400]), Block(X[400:], start=400)]
    candidates, groups = X[:41], (1, 20, 20)
    memory = {}
    for seen in range(1, 4):
        n = sum(groups[:seen])
        kept = SEEDING(seeding_ask(candidates[:n], groups[:seen], 20, True, trials), rows, memory)
    anew = SEEDING(seeding_ask(candidates, groups, 20, False, trials), rows, {})
    np.testing.assert_array_equal(kept.weights, anew.weights)
    np.testing.assert_array_equal(kept.potentials, anew.potentials)
    for one, other in zip(kept.draws, anew.draws, strict=True):
        np.testing.assert_array_equal(one.keys, other.keys)
        np.testing.assert_array_equal(one.rows, other.rows)


def test_rows_are_drawn_in_proportion_to_weight_times_squared_distance():
    X = np.array([[0.0], [1.0], [2.0], [3.0]])
    weight = np.array([1.0, 4.0, 1.0, 1.0])
    first = np.zeros(4)
    for seed in range(4000):
        ask = SeedingAsk(X[:1], (1,), X[:0], 1, seed * 7919, False, False)
        drawn = SEEDING(ask, [Block(X, weight=weight)], {}).draws[0].rows[0, 0]
        first[int(drawn)] += 1
    expected = weight * X[:, 0] ** 2 / (weight * X[:, 0] ** 2).sum()
    assert np.abs(first / 4000 - expected).max() < 4 * np.sqrt(0.25 / 4000)
    assert first[0] == 0


def test_reduction_joins_equal_candidates():
    points, mass = distinct(np.array([[1.0], [0.0], [1.0], [2.0]]), np.array([1.0, 2, 3, 0]))
    np.testing.assert_array_equal(points, [[0.0], [1.0]])
    np.testing.assert_array_equal(mass, [2.0, 4.0])
    assert reduce_candidates(points, mass, 3, seed=0, restarts=2).shape == (3, 1)
