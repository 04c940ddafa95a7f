"""What searches share: candidates out, the best one in, on passes that all fits share."""

import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from importlib import import_module
from numbers import Real
from typing import Any, NamedTuple, Self

import numpy as np
from dask.base import tokenize
from sklearn.base import MetaEstimatorMixin, clone, is_classifier
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from flowml.config import get_config
from flowml.data.adopt import is_lazy
from flowml.data.dataset import Dataset
from flowml.data.schema import Schema
from flowml.drive.events import CandidateScored
from flowml.drive.procedure import Procedure, follow
from flowml.drive.session import recording
from flowml.drive.stage import Stage
from flowml.estimator import Needs, PassEstimator, adopt, as_it_was_on_error
from flowml.kernels.rows import Array
from flowml.metrics.fit_scores import DEFAULT, choose_scorers
from flowml.model_selection.apart import Rows, Way
from flowml.model_selection.evaluator import Evaluator, InMemory, SharedPasses, Tasks
from flowml.model_selection.outcome import Outcome, tabulate
from flowml.model_selection.search_plot import plot_scores
from flowml.model_selection.shared import Setting, shares_passes
from flowml.runtimes.blas import one_blas_thread
from flowml.splitters import Splitter, as_splitter
from flowml.splitting import count_classes, draw_splits


class Trial(NamedTuple):
    """A candidate, and what came of it.

    Attributes
    ----------
    params : mapping of str to value
    outcome : Outcome
    beside : dict of str to value
        Further columns of the table.
    """

    params: Mapping[str, Any]
    outcome: Outcome
    beside: dict[str, Any]


def _best_has(name: str) -> Any:
    def check(search: Any) -> bool:
        inner = getattr(search, "best_estimator_", search.estimator)
        getattr(inner, name)
        return True

    return available_if(check)


class BaseSearch(MetaEstimatorMixin, PassEstimator):
    """A search over parameters of an estimator.

    A subclass gives `_explore`.
    """

    estimator: Any
    scoring: Any
    refit: Any
    cv: Any
    error_score: Any
    return_train_score: bool

    @property
    def needs(self) -> Needs:  # type: ignore[override]
        """What the estimator asks of its input."""
        return getattr(self.estimator, "needs", Needs())

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None) -> Self:
        """Fit and score all candidates, and fit the best one to all rows.

        Parameters
        ----------
        X, y, sample_weight : as for the estimator
        groups : array of shape (n_rows,), optional
            For splitters that keep groups together.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As the estimator's ``fit``; or if a parameter can't be used, or a split leaves a class
            out.
        """
        self._fit(X, y, sample_weight, groups)
        return self

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, groups: Any, estimators: bool = False
    ) -> list[Trial]:
        """Fit, and return the trials, with the estimators of the splits if they are wanted."""
        self._check_search()
        splitter = as_splitter(self.cv, X, y, groups, is_classifier(self.estimator))
        way = Way(self.scoring, self.return_train_score, self.error_score, estimators)
        if not (shares_passes(self.estimator) or is_lazy(X)):
            pairs = list(splitter.split(X, y, groups))
            params = {} if sample_weight is None else {"sample_weight": sample_weight}
            return self._search_in_memory(Rows(X, y, pairs, params), way)
        with self._training(X, y, sample_weight) as session, one_blas_thread():
            dataset = session.runtime.dataset
            trials = follow(session, self._search_passes(splitter, dataset, way))
        if hasattr(self, "best_estimator_") and shares_passes(self.estimator):
            self.best_estimator_.n_passes_ = self.n_passes_
            self.best_estimator_._history = self._history
        return trials

    def _dataset(
        self, X: Any, y: Any = None, sample_weight: Any = None, reset: bool = True
    ) -> Dataset:
        """Validate input; keep a y that only scores take."""
        needs = self.needs
        if y is not None and not (needs.target or is_lazy(X)):
            needs = replace(needs, target=True, labels=np.asarray(y).dtype.kind not in "fiub")
        return adopt(self, X, y, sample_weight, needs, reset)

    def _check_search(self) -> None:
        """Refuse what no search can use, before anything is read."""
        name = type(self).__name__
        if not (hasattr(self.estimator, "fit") and hasattr(self.estimator, "get_params")):
            raise TypeError(f"{name}(estimator={self.estimator!r}): give an estimator, with fit")
        if self.error_score != "raise" and not isinstance(self.error_score, Real):
            raise ValueError(
                f"{name}(error_score={self.error_score!r}): error_score must be 'raise' or a number"
            )

    def _search_in_memory(self, rows: Rows, way: Way) -> list[Trial]:
        config, fingerprint = get_config(), self._fingerprint()
        if config.checkpoint is not None:
            fingerprint["data"] = tokenize(*rows)
        with as_it_was_on_error(self), recording(config, fingerprint) as records:
            return follow(records, self._search(InMemory(rows, way)))

    def _search_passes(
        self, splitter: Splitter, dataset: Dataset, way: Way
    ) -> Procedure[list[Trial]]:
        sharing = shares_passes(self.estimator)
        scorers = choose_scorers(self.estimator, self.scoring) if sharing else {}
        splits = yield from draw_splits(splitter, dataset.n_rows)
        if is_classifier(self.estimator):
            yield from count_classes(splits, splitter.stratified)
        error_score, train = self.error_score, self.return_train_score
        setting = Setting(dataset, splits, scorers, train, error_score)
        evaluator = SharedPasses(setting) if sharing else Tasks(setting, way)
        return (yield from self._search(evaluator))

    def _search(self, evaluator: Evaluator) -> Procedure[list[Trial]]:
        trials = yield from self._explore(evaluator)
        table = tabulate([trial.params for trial in trials], [trial.outcome for trial in trials])
        for name in trials[0].beside:
            table[name] = np.array([trial.beside[name] for trial in trials])
        self.cv_results_ = table
        self.n_splits_ = evaluator.n_splits
        names = list(trials[0].outcome.test)
        self.multimetric_ = names != [DEFAULT]
        self._choose(table, names)
        if self.refit:
            started = time.perf_counter()
            candidate = self._candidate(self.best_params_)
            self.best_estimator_ = yield from evaluator.refit(candidate)
            self.refit_time_ = time.perf_counter() - started
        return trials

    def _explore(self, evaluator: Evaluator) -> Procedure[list[Trial]]:
        """Evaluate candidates."""
        raise NotImplementedError

    def _choose(self, table: dict[str, Any], names: list[str]) -> None:
        """Find the best row of the table."""
        if callable(self.refit):
            self.best_index_ = int(self.refit(table))
            self.best_params_ = table["params"][self.best_index_]
            return
        if self.multimetric_ and (not self.refit or self.refit not in names):
            if self.refit:
                raise ValueError(
                    f"refit={self.refit!r}: with several scores, refit must be the name of the one "
                    f"to choose by ({', '.join(names)}), or False"
                )
            return
        name = self.refit if self.multimetric_ else DEFAULT
        self.best_index_ = self._best(table, f"test_{name}")
        self.best_score_ = float(table[f"mean_test_{name}"][self.best_index_])
        self.best_params_ = table["params"][self.best_index_]

    def _best(self, table: dict[str, Any], name: str) -> int:
        """Return the row of the best score."""
        return int(table[f"rank_{name}"].argmin())

    def _candidate(self, params: Mapping[str, Any]) -> Any:
        """Return an unfitted estimator of these parameters."""
        return clone(self.estimator).set_params(
            **{name: clone(value, safe=False) for name, value in params.items()}
        )

    def _tell(self, trials: list[Trial]) -> None:
        """Report candidates to whoever listens."""
        for number, trial in enumerate(trials, 1):
            scores = next(iter(trial.outcome.test.values()))
            event = CandidateScored(
                number, len(trials), repr(dict(trial.params)), float(np.mean(scores))
            )
            for receive in get_config().callbacks:
                receive(event)

    def _check(self, dataset: Dataset) -> None:
        if shares_passes(self.estimator):
            choose_scorers(self.estimator, self.scoring)

    def _stages(self, schema: Schema) -> list[Stage]:
        """Describe the passes of one candidate's fit: they are shared by all."""
        if not shares_passes(self.estimator):
            return []
        stages: list[Stage] = clone(self.estimator)._stages(schema)
        return stages

    # --- the best estimator's own methods

    @_best_has("predict")
    def predict(self, X: Any) -> Any:
        """Call ``predict`` of the best estimator."""
        return self._best_estimator().predict(X)

    @_best_has("predict_proba")
    def predict_proba(self, X: Any) -> Any:
        """Call ``predict_proba`` of the best estimator."""
        return self._best_estimator().predict_proba(X)

    @_best_has("predict_log_proba")
    def predict_log_proba(self, X: Any) -> Any:
        """Call ``predict_log_proba`` of the best estimator."""
        return self._best_estimator().predict_log_proba(X)

    @_best_has("decision_function")
    def decision_function(self, X: Any) -> Any:
        """Call ``decision_function`` of the best estimator."""
        return self._best_estimator().decision_function(X)

    @_best_has("transform")
    def transform(self, X: Any) -> Any:
        """Call ``transform`` of the best estimator."""
        return self._best_estimator().transform(X)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Score the best estimator as the search did.

        Parameters
        ----------
        X, y, sample_weight : as for the estimator

        Returns
        -------
        float
        """
        best = self._best_estimator()
        given = {} if sample_weight is None else {"sample_weight": sample_weight}
        if self.scoring is None or not shares_passes(self.estimator):
            return float(best.score(X, y, **given))
        name = self.refit if self.multimetric_ else DEFAULT
        if callable(name):
            raise ValueError("refit is a callable: of several scores none is the search's own")
        return float(choose_scorers(best, self.scoring)[name](best, X, y, **given))

    @property
    def classes_(self) -> Array:
        """Labels that the best estimator knows."""
        classes: Array = self._best_estimator().classes_
        return classes

    def plot_search(self, parameter: str | None = None, ax: Any = None) -> Any:
        """Plot the candidates' mean test scores, with the spread over the splits.

        Each setting of the other parameters has a line of its own.

        Parameters
        ----------
        parameter : str, optional
            Whose values are the horizontal axis; by default the number that varies most, or else
            the candidates' places.
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ValueError
            If the parameter doesn't vary.
        """
        check_is_fitted(self, "cv_results_")
        ax = import_module("matplotlib.pyplot").subplots()[1] if ax is None else ax
        score = self.refit if self.multimetric_ else DEFAULT
        plot_scores(self.cv_results_, score, parameter, ax)
        ax.set_title(type(self).__name__)
        return ax

    def _best_estimator(self) -> Any:
        if not self.refit:
            raise AttributeError(f"{type(self).__name__}(refit=False) keeps no estimator")
        check_is_fitted(self, "best_estimator_")
        return self.best_estimator_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "cv_results_")

    def __sklearn_tags__(self) -> Any:
        tags, own = super().__sklearn_tags__(), get_tags(self.estimator)
        for name in ("estimator_type", "classifier_tags", "regressor_tags", "target_tags"):
            setattr(tags, name, deepcopy(getattr(own, name)))
        tags.input_tags = deepcopy(own.input_tags)
        return tags
