"""Search by hyperband."""

import math
from typing import Any

import numpy as np

from flowml.drive.procedure import Procedure, together
from flowml.model_selection.base_search import Trial
from flowml.model_selection.evaluator import Evaluator
from flowml.model_selection.halving import Bracket, HalvingSearch, rounds

BRACKETS = 4


class HyperbandSearchCV(HalvingSearch):
    """Successive halving from several starts: from many candidates on little to few on all.

    Halving is best with a small start where candidates show early what they are worth, and with a
    large one where they don't. Hyperband runs both, and what is between; the brackets go side by
    side, so that fits of all of them share their passes.

    Parameters
    ----------
    estimator : estimator
    param_distributions : dict of str to list or distribution, or list of such dicts
    factor : int, default=3
        One in so many goes on.
    resource : str, default="n_samples"
        Training rows, or the name of a parameter that is a whole number, such as ``max_iter``.
    min_resources : int, optional
        The least that a fit gets; by default a share that makes four brackets.
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
        A row for each candidate in each round, with columns ``bracket``, ``iter`` and
        ``n_resources``.
    best_estimator_, best_score_, best_params_, best_index_
        As for `GridSearchCV`, among those that got the most.

    References
    ----------
    L. Li, K. Jamieson, G. DeSalvo, A. Rostamizadeh & A. Talwalkar 2018, "Hyperband: a novel
    bandit-based approach to hyperparameter optimization", JMLR 18.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.stats import loguniform
    >>> from flowml.linear_model import Ridge
    >>> from flowml.model_selection import HyperbandSearchCV
    >>> random = np.random.default_rng(0)
    >>> X = random.standard_normal((1000, 3))
    >>> y = X @ [1.0, 2.0, 3.0] + random.standard_normal(1000)
    >>> search = HyperbandSearchCV(Ridge(), {"alpha": loguniform(1e-3, 1e3)}, random_state=0)
    >>> sorted(set(search.fit(X, y).cv_results_["n_resources"].tolist()))
    [29, 88, 266, 800]
    """

    def __init__(  # noqa: PLR0913 - scikit-learn's parameters
        self,
        estimator: Any,
        param_distributions: Any,
        *,
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
        random, seed = self._start()
        most = self._most(evaluator)
        least = self.min_resources or max(1, most // self.factor ** (BRACKETS - 1))
        n_brackets = 1 + math.floor(math.log(most / least) / math.log(self.factor) + 1e-9)
        brackets = []
        for number in range(n_brackets):
            count = n_brackets - number
            n_candidates = math.ceil(n_brackets / count * self.factor ** (count - 1))
            resources = rounds(least, most, self.factor, count)
            brackets.append(Bracket(number, self._draw(n_candidates, random), resources))
        found = yield from together([self._halve(evaluator, one, seed) for one in brackets])
        return [trial for trials in found for trial in trials]
