"""Several epochs between two averages, and a single average: the same on every runtime."""

from typing import Any

import dask.array as da
import numpy as np
import pytest
from distributed import Client

import flowml
from flowml.cluster import KMeans
from flowml.linear_model import SGDClassifier, SGDRegressor
from flowml.preprocessing import StandardScaler

ROWS, FEATURES = 4_000, 5


def rows() -> tuple[Any, Any, float]:
    """Return lines, answers and the least mean square that a line leaves."""
    random = np.random.default_rng(0)
    X = random.normal(size=(ROWS, FEATURES))
    y = X @ np.arange(1.0, FEATURES + 1) + random.normal(size=ROWS)
    lines = np.column_stack([X, np.ones(ROWS)])
    return X, y, float(np.square(y - lines @ np.linalg.lstsq(lines, y)[0]).mean())


def lazy(X: Any, y: Any) -> tuple[Any, Any]:
    return da.from_array(X, chunks=(701, -1)), da.from_array(y, chunks=701)


@pytest.mark.parametrize("local_steps", [3, None])
def test_all_runtimes_give_the_same_bits(client: Client, local_steps: int | None) -> None:
    X, y, _ = rows()
    found = []
    for runtime in ("dataflow", "allreduce", "parameter_server"):
        with flowml.config_context(runtime=runtime, local_steps=local_steps):
            found.append(SGDRegressor(random_state=0).fit(*lazy(X, y)))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0].coef_, other.coef_)
        assert found[0].n_passes_ == other.n_passes_


@pytest.mark.parametrize(
    ("local_steps", "said"),
    [
        (1, "an epoch is a pass"),
        (8, "8 epochs are a pass"),
        (None, "all epochs are a pass, and another looks at their mean"),
    ],
)
def test_a_plan_says_how_many_epochs_a_pass_is(local_steps: int | None, said: str) -> None:
    X = np.zeros((100, 3))
    with flowml.config_context(local_steps=local_steps):
        assert said in str(flowml.plan(SGDRegressor(), X, X[:, 0]))


@pytest.mark.parametrize("local_steps", [1, 2, 8])
def test_passes_are_fewer_and_the_minimum_is_the_same(local_steps: int) -> None:
    X, y, least = rows()
    plain = SGDRegressor(alpha=0.0, random_state=0).fit(X, y)
    with flowml.config_context(local_steps=local_steps):
        plan = flowml.plan(SGDRegressor(alpha=0.0, random_state=0), X, y)
        model = SGDRegressor(alpha=0.0, random_state=0).fit(X, y)
    assert model.n_passes_ <= plan.passes == 1 + 1000 // local_steps
    assert np.square(y - model.predict(X)).mean() <= least * 1.002
    assert model.n_passes_ <= plain.n_passes_
    assert model.n_iter_ % local_steps == 0


def test_a_single_average_takes_a_pass_and_one_to_look() -> None:
    X, y, least = rows()
    with flowml.config_context(local_steps=None):
        model = SGDRegressor(alpha=0.0, random_state=0, max_iter=200).fit(*lazy(X, y))
    assert model.n_passes_ == 3, "the survey, the epochs, and a look at their mean"
    assert np.square(y - model.predict(X)).mean() <= least * 1.01
    assert model.history_["objective"].iloc[-1] == pytest.approx(
        np.square(y - model.predict(X)).mean() / 2, rel=1e-9
    )


def test_a_leaf_of_one_block_goes_on_as_if_alone() -> None:
    """On one leaf there is nothing to average: three local epochs are three epochs."""
    X, y, _ = rows()
    one = SGDRegressor(alpha=0.0, random_state=0, max_iter=6, tol=0.0, average=False).fit(X, y)
    with flowml.config_context(local_steps=3):
        other = SGDRegressor(alpha=0.0, random_state=0, max_iter=6, tol=0.0, average=False)
        other.fit(X, y)
    np.testing.assert_array_equal(one.coef_, other.coef_)
    assert (one.n_passes_, other.n_passes_) == (1 + 6, 1 + 2)


def test_averages_count_later_epochs_as_much_as_without_local_steps() -> None:
    X, y, _ = rows()
    one = SGDRegressor(alpha=0.0, random_state=0, max_iter=6, tol=0.0).fit(X, y)
    with flowml.config_context(local_steps=3):
        other = SGDRegressor(alpha=0.0, random_state=0, max_iter=6, tol=0.0).fit(X, y)
    np.testing.assert_allclose(one.coef_, other.coef_, rtol=1e-12)


def test_steps_that_are_too_long_are_shortened_there_too() -> None:
    X, y, least = rows()
    for local_steps in (4, None):
        with flowml.config_context(local_steps=local_steps):
            model = SGDRegressor(
                learning_rate="constant", eta0=50.0, alpha=0.0, random_state=0, max_iter=100
            ).fit(X, y)
        assert np.isfinite(model.coef_).all()
        assert np.square(y - model.predict(X)).mean() <= least * 1.1


def test_labels_are_told_apart() -> None:
    X, y, _ = rows()
    with flowml.config_context(local_steps=4):
        assert SGDClassifier(random_state=0).fit(X, y > 0).score(X, y > 0) > 0.85


def test_who_has_no_local_steps_says_so() -> None:
    X, _, _ = rows()
    with flowml.config_context(local_steps=2):
        with pytest.raises(ValueError, match="KMeans has no local steps; SGDClassifier"):
            KMeans(2).fit(X)
        StandardScaler().fit(X)
    with pytest.raises(ValueError, match="local_steps=0"), flowml.config_context(local_steps=0):
        pass
