"""The elastic net whose penalty is chosen by cross-validation."""

import warnings
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from flowml.data.dataset import Dataset
from flowml.data.schema import Schema
from flowml.drive.procedure import Procedure, follow
from flowml.drive.stage import Stage
from flowml.estimator import Needs
from flowml.kernels.gram import GRAM, SLICE_ROWS
from flowml.kernels.rows import Array
from flowml.kernels.strata import STRATUM_COUNTS
from flowml.linear_model.linear_output import LinearOutput
from flowml.parameters import (
    check_flags,
    check_integer,
    check_number,
    check_numbers,
    check_positive,
)
from flowml.runtimes.blas import one_blas_thread
from flowml.solvers.gram_path import (
    Descent,
    elastic_net_path,
    largest_alpha,
    mean_squared_errors,
)
from flowml.splitters import Splitter, as_splitter
from flowml.splitting import STAGE, SplitGrams, draw_splits, sum_splits

LEAST_ALPHA = 1e-15


class PathErrors(NamedTuple):
    """How the penalties of a grid do.

    Attributes
    ----------
    alphas : ndarray of shape (n_l1_ratios, n_alphas)
    errors : ndarray of shape (n_l1_ratios, n_alphas, n_splits)
        Mean squared errors on the test rows.
    """

    alphas: Array
    errors: Array


class PathCV(LinearOutput):
    """A linear regression with an elastic net along a path of penalties.

    A subclass gives `_l1_ratios`.
    """

    needs = Needs(target=True, one_target=True)
    eps: float
    alphas: Any
    fit_intercept: bool
    max_iter: int
    tol: float
    cv: Any
    positive: bool

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Choose the penalty, and fit on all rows, in one pass over the data.

        Parameters
        ----------
        X : array, CSR array, frame, Dask collection or Dataset of shape (n_rows, n_features)
        y : array or Dask collection of shape (n_rows,)
            None for a Dataset, which has its own.
        sample_weight : array or Dask array of shape (n_rows,), optional
            Counts in fits and in errors.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If input or a parameter can't be used, or a split leaves no row to train or test on.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` sweeps don't reach `tol`.
        """
        with self._training(X, y, sample_weight) as session, one_blas_thread():
            dataset = session.runtime.dataset
            splitter = as_splitter(self.cv, X, y, None, stratified=False)
            follow(session, self._searching(splitter, dataset.schema, dataset.n_rows))
        return self

    def _learning(
        self, schema: Schema, n_rows: int | None, describe: bool = True
    ) -> Procedure[None]:
        """Search on rows of which only the fit sees where they are."""
        splitter = as_splitter(self.cv, None, None, None, stratified=False)
        return self._searching(splitter, schema, None)

    def _searching(self, splitter: Splitter, schema: Schema, n_rows: int | None) -> Procedure[None]:
        splits = yield from draw_splits(splitter, n_rows)
        grams = yield from sum_splits(splits)
        descent = Descent(self.fit_intercept, self.positive, float(self.tol), self.max_iter)
        ratios = np.atleast_1d(np.asarray(self._l1_ratios(), dtype=np.float64))
        found = path_errors(grams, self._grid(grams, ratios, descent), ratios, descent)
        self._choose(grams, found, ratios, descent, schema.dtype)

    def _l1_ratios(self) -> Any:
        """Return the shares of the absolute values to try."""
        raise NotImplementedError

    def _grid(self, grams: SplitGrams, ratios: Array, descent: Descent) -> Array:
        """Return the penalties for each ratio, descending."""
        if np.ndim(self.alphas):
            given = np.sort(np.asarray(self.alphas, dtype=np.float64))[::-1]
            return np.tile(given, (len(ratios), 1))
        grid = []
        for ratio in ratios:
            most = max(largest_alpha(grams.whole, ratio, descent), LEAST_ALPHA)
            least = most * self.eps if most > LEAST_ALPHA else LEAST_ALPHA
            grid.append(np.geomspace(most, least, self.alphas))
        return np.array(grid)

    def _choose(
        self, grams: SplitGrams, found: PathErrors, ratios: Array, descent: Descent, dtype: Any
    ) -> None:
        """Set the fitted attributes from the path on all rows up to the best penalty."""
        mean = found.errors.mean(axis=2)
        ratio, place = np.unravel_index(mean.argmin(), mean.shape)
        alphas = found.alphas[ratio, : place + 1]
        path = elastic_net_path(grams.whole, alphas, float(ratios[ratio]), descent)
        self.alpha_ = float(alphas[-1])
        self.coef_ = path.coef[-1].astype(dtype)
        self.intercept_ = path.intercept[-1].astype(dtype) if self.fit_intercept else 0.0
        self.dual_gap_ = float(path.gap[-1])
        self.n_iter_ = int(path.n_iter[-1])
        self.alphas_ = found.alphas[0] if len(ratios) == 1 or np.ndim(self.alphas) else found.alphas
        self.mse_path_ = np.squeeze(found.errors)
        self._l1_ratio = float(ratios[ratio])
        self._warn(path.n_iter[-1])

    def _warn(self, n_iter: int) -> None:
        if n_iter >= self.max_iter:
            warnings.warn(
                f"{type(self).__name__} did not converge: after max_iter={self.max_iter} sweeps "
                f"the duality gap is {self.dual_gap_:.1e}, above tol={self.tol} times the mean "
                "square of y: raise max_iter or tol",
                ConvergenceWarning,
                stacklevel=6,
            )

    def _check(self, dataset: Dataset) -> None:
        check_flags(self, "fit_intercept", "positive")
        check_positive(self, "eps")
        check_number(self, "tol", 0.0)
        check_integer(self, "max_iter", 1)
        name = type(self).__name__
        if not np.ndim(self.alphas):
            check_integer(self, "alphas", 1)
        else:
            check_numbers(self, "alphas", 0.0)
        ratios = np.atleast_1d(np.asarray(self._l1_ratios(), dtype=np.float64))
        if not np.ndim(self.alphas) and (ratios == 0).any():
            raise ValueError(
                f"{name}: with l1_ratio=0 every penalty leaves coefficients, so that a grid of "
                "alphas has no start: give alphas"
            )

    def _stages(self, schema: Schema) -> list[Stage]:
        """Describe the pass of a fit on such data."""
        columns = schema.n_features + 2
        n_splits = self.cv if isinstance(self.cv, int) else 5
        work = 8 * columns * SLICE_ROWS + 3 * (1 + n_splits) * 8 * columns**2
        return [
            Stage(STAGE, STRATUM_COUNTS, False, 1, 0, only_if="rows aren't counted yet"),
            Stage("grams", GRAM, None, 1, work),
        ]


class ElasticNetCV(PathCV):
    r"""Linear regression with an elastic net of the strength that does best on unseen rows.

    For each strength :math:`\alpha` of a descending grid, coefficients b and intercept a minimise

    .. math:: \frac{1}{2 W} \sum_i w_i (y_i - x_i b - a)^2
              + \alpha \rho \|b\|_1 + \frac{\alpha (1 - \rho)}{2} \|b\|^2

    with :math:`W = \sum_i w_i` and :math:`\rho` = `l1_ratio`. One pass sums up a Gram matrix for
    each split; every fit and every error follows from these, however many there are.

    Parameters
    ----------
    l1_ratio : float or list of float, default=0.5
        Share of the absolute values in the penalty; of several the best is taken.
    eps : float, default=1e-3
        The grid's least penalty, as a share of its largest.
    alphas : int or array of shape (n_alphas,), default=100
        The penalties, or how many: then a geometric grid down from the one at which every
        coefficient is zero.
    fit_intercept : bool, default=True
    max_iter : int, default=1000
        Most sweeps over the coefficients for each penalty.
    tol : float, default=1e-4
        Stop at a duality gap of at most this share of y's mean square.
    cv : int, splitter or iterable of pairs of index arrays, default=None
        None is 5 splits of consecutive rows.
    positive : bool, default=False
        Whether coefficients must not be below zero.

    Attributes
    ----------
    alpha_, l1_ratio_ : float
        What was chosen.
    coef_ : ndarray of shape (n_features,)
    intercept_ : float
    mse_path_ : ndarray of shape ([n_l1_ratios,] n_alphas, n_splits)
        Mean squared errors on the test rows.
    alphas_ : ndarray of shape ([n_l1_ratios,] n_alphas)
    dual_gap_ : float
        How far the objective is from its minimum at most.
    n_iter_ : int
        Sweeps for the penalty chosen.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Where X had column names.
    n_passes_ : int
        Reads of the data that the fit took.
    history_ : DataFrame
        One row for each pass.

    References
    ----------
    J. Friedman, T. Hastie & R. Tibshirani 2010, "Regularization paths for generalized linear
    models via coordinate descent", Journal of Statistical Software 33.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import ElasticNetCV
    >>> random = np.random.default_rng(0)
    >>> X = random.standard_normal((200, 3))
    >>> y = X @ [3.0, 0.0, 0.0] + random.standard_normal(200)
    >>> model = ElasticNetCV(l1_ratio=[0.5, 1.0]).fit(X, y)
    >>> model.l1_ratio_, model.mse_path_.shape, model.n_passes_
    (1.0, (2, 100, 5), 1)
    """

    def __init__(  # noqa: PLR0913 - scikit-learn's parameters
        self,
        *,
        l1_ratio: Any = 0.5,
        eps: float = 1e-3,
        alphas: Any = 100,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float = 1e-4,
        cv: Any = None,
        positive: bool = False,
    ) -> None:
        self.l1_ratio = l1_ratio
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.positive = positive

    @property
    def l1_ratio_(self) -> float:
        """The share of the absolute values that was chosen."""
        return self._l1_ratio

    def _l1_ratios(self) -> Any:
        return self.l1_ratio

    def _check(self, dataset: Dataset) -> None:
        check_numbers(self, "l1_ratio", 0.0, 1.0)
        super()._check(dataset)


def path_errors(grams: SplitGrams, alphas: Array, ratios: Array, descent: Descent) -> PathErrors:
    """Follow the paths on each split's training rows, and look how they do on its test rows."""
    errors = np.empty((*alphas.shape, len(grams.train)))
    for place, ratio in enumerate(ratios):
        for number, (train, test) in enumerate(zip(grams.train, grams.test, strict=True)):
            path = elastic_net_path(train, alphas[place], float(ratio), descent)
            coef, intercept = path.coef[:, np.newaxis], path.intercept[:, np.newaxis]
            errors[place, :, number] = mean_squared_errors(test, coef, intercept)[:, 0]
    return PathErrors(alphas, errors)
