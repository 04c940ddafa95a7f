"""Search over parameters drawn at random."""

from typing import Any

import numpy as np
from sklearn.model_selection import ParameterSampler

from flowml.model_selection.grid_search_cv import ListedSearch
from flowml.parameters import check_integer


class RandomizedSearchCV(ListedSearch):
    """Fit and score an estimator for parameters drawn at random, and keep the best.

    How fits share their passes is as for `GridSearchCV`.

    Parameters
    ----------
    estimator : estimator
    param_distributions : dict of str to list or distribution, or list of such dicts
        A distribution has a method ``rvs``, as those of scipy.stats.
    n_iter : int, default=10
        How many candidates to draw.
    scoring : str, Scorer, callable, or list or dict of them, default=None
    refit : bool or str, default=True
    cv : int, splitter or iterable of pairs of index arrays, default=None
    random_state : int, RandomState or None, default=None
        Draws the candidates.
    error_score : "raise" or float, default=nan
    return_train_score : bool, default=False

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_
        As for `GridSearchCV`, and so are the others.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.stats import loguniform
    >>> from flowml.linear_model import Ridge
    >>> from flowml.model_selection import RandomizedSearchCV
    >>> random = np.random.default_rng(0)
    >>> X = random.standard_normal((100, 3))
    >>> y = X @ [1.0, 2.0, 3.0] + random.standard_normal(100)
    >>> search = RandomizedSearchCV(Ridge(), {"alpha": loguniform(1e-3, 1e3)}, random_state=0)
    >>> len(search.fit(X, y).cv_results_["params"])
    10
    """

    def __init__(  # noqa: PLR0913 - scikit-learn's parameters
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_iter: int = 10,
        scoring: Any = None,
        refit: Any = True,
        cv: Any = None,
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
    ) -> None:
        self.estimator = estimator
        self.param_distributions = param_distributions
        self.n_iter = n_iter
        self.scoring = scoring
        self.refit = refit
        self.cv = cv
        self.random_state = random_state
        self.error_score = error_score
        self.return_train_score = return_train_score

    def _listed(self) -> list[dict[str, Any]]:
        check_integer(self, "n_iter", 1)
        sampler = ParameterSampler(
            self.param_distributions, self.n_iter, random_state=self.random_state
        )
        return list(sampler)
