"""Searches over other libraries' estimators: each fit is kept, and what is missing is made."""

from typing import Any, Self

import dask
import dask.array as da
import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn import linear_model as peers
from sklearn import model_selection as sk
from sklearn.base import clone
from sklearn.datasets import load_diabetes

import flowml
from flowml import model_selection as fl
from flowml.drive.checkpoint import CheckpointError
from flowml.estimator import described

ALPHAS = {"alpha": [0.001, 0.1, 10.0, 1000.0]}
FITS: list[float] = []
"""The penalties of the fits that were begun."""


class Counted(peers.Ridge):
    """A regression whose fits are counted; one of `stop` is interrupted."""

    def __init__(self, alpha: float = 1.0, stop: int = 0) -> None:
        super().__init__(alpha=alpha)
        self.stop = stop

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        FITS.append(self.alpha)
        if len(FITS) == self.stop:
            raise KeyboardInterrupt
        super().fit(X, y, sample_weight)
        return self


def rows(kind: str) -> tuple[Any, Any]:
    X, y = load_diabetes(return_X_y=True)
    return (X, y) if kind == "in memory" else (da.from_array(X, (150, -1)), da.from_array(y, 150))


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    FITS.clear()


@pytest.mark.parametrize("kind", ["in memory", "lazy"])
def test_an_interrupted_search_makes_the_fits_that_are_missing(kind: str, tmp_path: Any) -> None:
    X, y = rows(kind)
    saved: dict[str, Any] = {"checkpoint": tmp_path, "checkpoint_seconds": 0}
    with flowml.config_context(**saved), dask.config.set(scheduler="synchronous"):
        search = fl.GridSearchCV(Counted(stop=10), ALPHAS, cv=5)
        with pytest.raises(KeyboardInterrupt) as stopped:
            search.fit(X, y)
        assert "resume=True" in stopped.value.__notes__[0]
        assert not hasattr(search, "cv_results_")
        done = len(FITS)
        with flowml.config_context(resume=True):
            resumed = search.fit(X, y)
    assert len(FITS) - done == 4 * 5 - (done - 1) + 1  # and the best one on all rows
    expected = sk.GridSearchCV(peers.Ridge(), ALPHAS, cv=5).fit(*rows("in memory"))
    for name in ("split3_test_score", "mean_test_score", "rank_test_score"):
        np.testing.assert_allclose(resumed.cv_results_[name], expected.cv_results_[name])
    assert resumed.best_params_ == expected.best_params_


@pytest.mark.parametrize("kind", ["in memory", "lazy"])
def test_rounds_and_brackets_are_resumed(kind: str, tmp_path: Any) -> None:
    X, y = rows(kind)
    search = fl.HyperbandSearchCV(
        Counted(), {"alpha": loguniform(1e-3, 1e3)}, cv=3, random_state=0, min_resources=20
    )
    whole = clone(search).fit(X, y).cv_results_
    count = len(FITS)
    FITS.clear()
    saved: dict[str, Any] = {"checkpoint": tmp_path, "checkpoint_seconds": 0}
    with flowml.config_context(**saved):
        clone(search).fit(X, y)
        with flowml.config_context(resume=True):
            resumed = clone(search).fit(X, y)
    assert len(FITS) == count + 1  # the refit alone
    np.testing.assert_array_equal(resumed.cv_results_["mean_test_score"], whole["mean_test_score"])


def test_other_rows_and_other_candidates_are_refused(tmp_path: Any) -> None:
    X, y = rows("in memory")
    with flowml.config_context(checkpoint=tmp_path):
        fl.GridSearchCV(Counted(), ALPHAS).fit(X, y)
        with flowml.config_context(resume=True):
            with pytest.raises(CheckpointError, match="data: the checkpoint has"):
                fl.GridSearchCV(Counted(), ALPHAS).fit(X, y + 1.0)
            with pytest.raises(CheckpointError, match="param_grid: the checkpoint has"):
                fl.GridSearchCV(Counted(), {"alpha": [7.0]}).fit(X, y)


def test_fits_whose_estimators_are_wanted_are_made_again(tmp_path: Any) -> None:
    X, y = rows("in memory")
    with flowml.config_context(checkpoint=tmp_path, resume=True):
        for _ in range(2):
            found = fl.cross_validate(Counted(), X, y, cv=3, return_estimator=True)
    assert len(FITS) == 6
    train, _ = next(sk.KFold(3).split(X))
    expected = peers.Ridge().fit(X[train], y[train])
    np.testing.assert_array_equal(found["estimator"][0].coef_, expected.coef_)


@pytest.mark.filterwarnings("ignore:One or more of the")
@pytest.mark.parametrize("kind", ["in memory", "lazy"])
def test_a_candidate_that_fails_is_scored_as_by_scikit_learn(kind: str) -> None:
    X, y = rows(kind)
    grid = {"alpha": [-1.0, 1.0]}
    with pytest.warns(match="3 fits failed out of a total of 6.*'alpha' parameter"):
        search = fl.GridSearchCV(Counted(), grid, cv=3, return_train_score=True).fit(X, y)
    expected = sk.GridSearchCV(peers.Ridge(), grid, cv=3, return_train_score=True)
    with pytest.warns(match="3 fits failed out of a total of 6"):
        expected.fit(*rows("in memory"))
    for name in ("mean_test_score", "mean_train_score", "rank_test_score"):
        np.testing.assert_allclose(search.cv_results_[name], expected.cv_results_[name])
    with pytest.raises(ValueError, match=r"all 3 fits failed. The first: .*'alpha' parameter"):
        fl.GridSearchCV(Counted(), {"alpha": [-1.0]}, cv=3).fit(X, y)
    with pytest.raises(ValueError, match="'alpha' parameter"):
        fl.GridSearchCV(Counted(), grid, cv=3, error_score="raise").fit(X, y)


def test_parameters_are_described_alike_in_every_process() -> None:
    """What names an address, and what a long repr leaves out, would tell no fits apart."""
    assert described({"C": loguniform(1e-3, 1)}) == described({"C": loguniform(1e-3, 1)})
    assert described({"C": loguniform(1e-3, 1)}) != described({"C": loguniform(1e-3, 2)})
    assert " at 0x" not in described([loguniform(1e-3, 1)])
    long = [peers.Ridge(alpha=alpha) for alpha in range(100)]
    assert described(long) != described([*long[:-1], peers.Ridge(alpha=7)])
