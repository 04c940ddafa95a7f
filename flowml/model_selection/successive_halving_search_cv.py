"""Search by successive halving."""

import math
from typing import Any

import numpy as np

from flowml.drive.procedure import Procedure
from flowml.model_selection.base_search import Trial
from flowml.model_selection.evaluator import Evaluator
from flowml.model_selection.halving import Bracket, HalvingSearch, rounds
from flowml.parameters import check_integer


class SuccessiveHalvingSearchCV(HalvingSearch):
    """Draw candidates, give each a little, and give ever more to ever fewer of them.

    The first round gives every candidate a small share of the training rows (or a small value of
    another resource), and each later one gives the best of them `factor` times as much. How fits
    share their passes is as for `GridSearchCV`.

    Parameters
    ----------
    estimator : estimator
    param_distributions : dict of str to list or distribution, or list of such dicts
    n_candidates : int, default=27
        How many candidates to draw.
    factor : int, default=3
        One in so many goes on.
    resource : str, default="n_samples"
        Training rows, or the name of a parameter that is a whole number, such as ``max_iter``.
    min_resources : int, optional
        The least that a fit gets; by default such that the last round gets the most.
    max_resources : int, optional
        The most that a fit gets; by default all training rows of a split.
    scoring : str, Scorer, callable, or list or dict of them, default=None
    refit : bool or str, default=True
    cv : int, splitter or iterable of pairs of index arrays, default=None
    random_state : int, RandomState or None, default=None
        Draws candidates and rows.
    error_score : "raise" or float, default=nan
    return_train_score : bool, default=False

    Attributes
    ----------
    cv_results_ : dict of str to array
        A row for each candidate in each round, with columns ``iter`` and ``n_resources``.
    best_estimator_, best_score_, best_params_, best_index_
        As for `GridSearchCV`, among those of the last round.

    References
    ----------
    K. Jamieson & A. Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter
    optimization".

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.stats import loguniform
    >>> from flowml.linear_model import Ridge
    >>> from flowml.model_selection import SuccessiveHalvingSearchCV
    >>> random = np.random.default_rng(0)
    >>> X = random.standard_normal((1000, 3))
    >>> y = X @ [1.0, 2.0, 3.0] + random.standard_normal(1000)
    >>> search = SuccessiveHalvingSearchCV(
    ...     Ridge(), {"alpha": loguniform(1e-3, 1e3)}, n_candidates=9, random_state=0)
    >>> search.fit(X, y).cv_results_["n_resources"].tolist()
    [88, 88, 88, 88, 88, 88, 88, 88, 88, 266, 266, 266, 800]
    """

    def __init__(  # noqa: PLR0913 - scikit-learn's parameters
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_candidates: int = 27,
        factor: int = 3,
        resource: str = "n_samples",
        min_resources: int | None = None,
        max_resources: int | None = None,
        scoring: Any = None,
        refit: Any = True,
        cv: Any = None,
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
    ) -> None:
        self.estimator = estimator
        self.param_distributions = param_distributions
        self.n_candidates = n_candidates
        self.factor = factor
        self.resource = resource
        self.min_resources = min_resources
        self.max_resources = max_resources
        self.scoring = scoring
        self.refit = refit
        self.cv = cv
        self.random_state = random_state
        self.error_score = error_score
        self.return_train_score = return_train_score

    def _explore(self, evaluator: Evaluator) -> Procedure[list[Trial]]:
        check_integer(self, "n_candidates", 1)
        random, seed = self._start()
        params, most = self._draw(self.n_candidates, random), self._most(evaluator)
        count = 1 + math.ceil(math.log(len(params)) / math.log(self.factor) - 1e-9)
        resources = rounds(self.min_resources or 1, most, self.factor, count)
        return (yield from self._halve(evaluator, Bracket(0, params, resources), seed))
