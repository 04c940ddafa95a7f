"""Search over every combination of some parameters."""

from typing import Any

import numpy as np
from sklearn.model_selection import ParameterGrid

from flowml.drive.procedure import Procedure
from flowml.model_selection.base_search import BaseSearch, Trial
from flowml.model_selection.evaluator import Evaluator


class ListedSearch(BaseSearch):
    """A search whose candidates are known before the first is fitted.

    A subclass gives `_listed`.
    """

    def _listed(self) -> list[dict[str, Any]]:
        """Return the candidates' parameters."""
        raise NotImplementedError

    def _explore(self, evaluator: Evaluator) -> Procedure[list[Trial]]:
        params = self._listed()
        if not params:
            raise ValueError(f"{type(self).__name__} has no candidate: give parameters")
        outcomes = yield from evaluator.evaluate([self._candidate(one) for one in params])
        trials = [Trial(one, out, {}) for one, out in zip(params, outcomes, strict=True)]
        self._tell(trials)
        return trials


class GridSearchCV(ListedSearch):
    """Fit and score an estimator for every combination of parameters, and keep the best.

    Fits of flowml's estimators ride on the same passes over the data: a search over many
    candidates reads the rows about as often as the slowest candidate alone would. Others are
    fitted one at a time, lazy rows in a task for each fit, on a worker that gathers them.

    Parameters
    ----------
    estimator : estimator
    param_grid : dict of str to list, or list of such dicts
    scoring : str, Scorer, callable, or list or dict of them, default=None
        By default accuracy, R², or what ``score`` of the estimator returns otherwise. Names of
        `flowml.metrics.get_scorer_names` are summed up in a pass; for other names of
        scikit-learn's, and for callables ``(estimator, X, y) -> float``, the rows are put together
        on a worker.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate to all rows; of several scores, the name to choose by. A
        callable returns the place of the best in a ``cv_results_``.
    cv : int, splitter or iterable of pairs of index arrays, default=None
        None is 5 splits, stratified for classifiers.
    error_score : "raise" or float, default=nan
        What a fit that fails scores.
    return_train_score : bool, default=False

    Attributes
    ----------
    cv_results_ : dict of str to array
        A row for each candidate, as scikit-learn has it.
    best_estimator_ : estimator
        Fitted to all rows.
    best_score_ : float
    best_params_ : dict
    best_index_ : int
    n_splits_ : int
    refit_time_ : float
    multimetric_ : bool
    n_passes_ : int
        Reads of the data, where passes are shared.
    history_ : DataFrame
        One row for each pass.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import Ridge
    >>> from flowml.model_selection import GridSearchCV
    >>> random = np.random.default_rng(0)
    >>> X = random.standard_normal((100, 3))
    >>> y = X @ [1.0, 2.0, 3.0] + random.standard_normal(100)
    >>> search = GridSearchCV(Ridge(), {"alpha": [0.1, 1.0, 100.0]}).fit(X, y)
    >>> search.best_params_, search.n_passes_
    ({'alpha': 0.1}, 3)
    """

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        scoring: Any = None,
        refit: Any = True,
        cv: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.scoring = scoring
        self.refit = refit
        self.cv = cv
        self.error_score = error_score
        self.return_train_score = return_train_score

    def _listed(self) -> list[dict[str, Any]]:
        return list(ParameterGrid(self.param_grid))
