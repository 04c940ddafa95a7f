"""Least squares with an elastic-net penalty."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import ElasticNet as SklearnElasticNet
from sklearn.utils.validation import check_is_fitted

from flowml.data.dataset import Dataset
from flowml.data.schema import Schema
from flowml.drive.procedure import Procedure, Step
from flowml.drive.stage import Stage
from flowml.kernels.gram import GRAM, Gram
from flowml.kernels.gram import SLICE_ROWS as GRAM_SLICE_ROWS
from flowml.kernels.linear_loss import LOSS_GRADIENT, LossSums, Point, Target
from flowml.linear_model.base import check_rows
from flowml.linear_model.conversion import to_sklearn
from flowml.linear_model.evidence import Described
from flowml.linear_model.linear_regressor import LinearRegressor
from flowml.linear_model.minimising import Minimum
from flowml.linear_model.survey import Survey
from flowml.losses.loss import Loss
from flowml.losses.squared import SquaredLoss
from flowml.parameters import check_flags, check_number, check_share
from flowml.penalties.elastic_net import ElasticNet as ElasticNetPenalty
from flowml.solvers.gram_path import Descent, elastic_net_path
from flowml.solvers.one_pass import OnePass

GRAM_FEATURES, SPARSE_GRAM_FEATURES = 5000, 500
"""Columns up to which their products are cheap beside more passes."""


class ElasticNet(LinearRegressor):
    r"""Least squares with an elastic-net penalty, from one pass over the rows.

    Finds the coefficients b and the intercept a that minimise

    .. math:: \frac{1}{2 W} \sum_i w_i (y_i - x_i b - a)^2
              + \alpha \rho \|b\|_1 + \frac{\alpha (1 - \rho)}{2} \|b\|^2

    with :math:`W = \sum_i w_i` and :math:`\rho` = `l1_ratio`. One pass sums the columns' products,
    and coordinate descent goes on from there without the rows. Where there are too many columns
    for that (or CSR of more than a few hundred), or categorical ones, a solver takes as many
    passes as it needs, and one more for the duality gap.

    Parameters
    ----------
    alpha : float, default=1.0
        The penalty, at least 0.
    l1_ratio : float, default=0.5
        Share of the absolute values in the penalty, from 0 (ridge) to 1 (lasso).
    fit_intercept : bool, default=True
    max_iter : int, default=1000
        Most sweeps over the coefficients, or passes over the rows.
    tol : float, default=1e-4
        Coordinate descent stops at a duality gap of at most this share of y's mean square; other
        solvers where the steepest way down, without unit, is at most this.
    warm_start : bool, default=False
        Start from the coefficients of the fit before; matters where there are several passes.
    positive : bool, default=False
        Keep coefficients at or above zero.
    random_state : int, RandomState or None, default=None
        Draws the sample that a solver of several passes starts on.
    solver : {"auto", "gram", "newton", "fista", "block_descent", "admm"}, default="auto"
    categorical : CategoricalEncoding, optional
        How categorical columns enter.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
    intercept_ : float
    dual_gap_ : float
        How far the objective is from its minimum at most.
    n_iter_ : int
        Sweeps over the coefficients, or steps on all rows.
    n_sample_iter_ : int
        Steps on the sample before.
    solver_used_, solver_reason_ : str
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Where X had column names.
    n_passes_ : int
        Reads of the data that the fit took.
    history_ : DataFrame
        One row for each pass.

    References
    ----------
    H. Zou & T. Hastie 2005, "Regularization and variable selection via the elastic net", Journal
    of the Royal Statistical Society B 67; J. Friedman, T. Hastie & R. Tibshirani 2010,
    "Regularization paths for generalized linear models via coordinate descent", Journal of
    Statistical Software 33.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import ElasticNet
    >>> X = np.array([[-1.0], [0.0], [1.0]])
    >>> model = ElasticNet(alpha=0.5, tol=1e-12).fit(X, np.array([-1.0, 0.0, 1.0]))
    >>> model.coef_.round(4)
    array([0.4545])
    """

    l1_ratio: float

    def __init__(  # noqa: PLR0913 - scikit-learn's parameters
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float = 1e-4,
        warm_start: bool = False,
        positive: bool = False,
        random_state: Any = None,
        solver: str = "auto",
        categorical: Any = None,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.positive = positive
        self.random_state = random_state
        self.solver = solver
        self.categorical = categorical

    @property
    def sparse_coef_(self) -> sp.csr_array:
        """The coefficients as CSR of shape (1, n_features)."""
        check_is_fitted(self)
        return sp.csr_array(self.coef_[np.newaxis])

    def to_sklearn(self) -> Any:
        """Return a plain fitted scikit-learn estimator that predicts the same."""
        return to_sklearn(self, SklearnElasticNet)

    def _procedure(
        self, schema: Schema, n_rows: int | None, describe: bool = False
    ) -> Procedure[Minimum]:
        """Take one pass, or the passes of a solver and one more."""
        if self._choose_solver(schema)[0] == "gram":
            gram = (yield Step("gram", OnePass(GRAM))).summary
            check_rows(gram)
            return self._from_gram(gram, schema)
        minimum = yield from super()._procedure(schema, n_rows, describe)
        nothing = np.zeros(minimum.coef.shape[1])
        encoding = self.encoding_ if schema.categorical else None
        end = Point(SquaredLoss(), Target(), minimum.coef, minimum.intercept, nothing, encoding)
        sums = (yield Step("duality gap", OnePass(LOSS_GRADIENT, end))).summary
        self.dual_gap_ = duality_gap(sums, minimum.coef[0], self._prices(), self.positive)
        return minimum

    def _from_gram(self, gram: Gram, schema: Schema) -> Minimum:
        descent = Descent(self.fit_intercept, self.positive, self.tol, self.max_iter)
        path = elastic_net_path(gram, np.array([float(self.alpha)]), self.l1_ratio, descent)
        self.dual_gap_ = float(path.gap[0])
        n_iter = int(path.n_iter[0])
        return Minimum(
            path.coef,
            path.intercept,
            *self._choose_solver(schema),
            n_iter=n_iter,
            n_sample_iter=0,
            value=np.nan,
            violation=self.dual_gap_,
            converged=n_iter < self.max_iter,
            separated=False,
            described=Described(None, "gram", SquaredLoss(), Target(), None),
        )

    def _loss(self, survey: Survey) -> Loss:
        return SquaredLoss()

    def _assumed_loss(self) -> Loss:
        return SquaredLoss()

    def _prices(self) -> ElasticNetPenalty:
        lower = 0.0 if self.positive else -np.inf
        l1, l2 = self.alpha * self.l1_ratio, self.alpha * (1 - self.l1_ratio)
        return ElasticNetPenalty(l1, l2, lower)

    def _penalty(self, survey: Survey) -> ElasticNetPenalty:
        return self._prices()

    @property
    def _has_kinks(self) -> bool:
        return not self._prices().is_smooth

    def _choose_solver(self, schema: Schema) -> tuple[str, str]:
        limit = SPARSE_GRAM_FEATURES if schema.sparse else GRAM_FEATURES
        if self.solver == "gram":
            return "gram", "as asked for"
        if self.solver == "auto" and schema.n_features <= limit and not schema.categorical:
            return "gram", f"{schema.n_features:,} columns: their products take one pass"
        return super()._choose_solver(schema)

    def _stages(self, schema: Schema) -> list[Stage]:
        name, reason = self._choose_solver(schema)
        columns = schema.n_features + 2
        if name == "gram":
            work = 8 * columns * GRAM_SLICE_ROWS + 3 * 8 * columns**2
            return [Stage("gram", GRAM, None, 1, work, note=f"{name}: {reason}")]
        nothing = np.zeros((1, schema.n_features))
        end = Point(SquaredLoss(), Target(), nothing, np.zeros(1), nothing[0])
        return [*super()._stages(schema), Stage("duality gap", LOSS_GRADIENT, end, 1, 0)]

    def _check(self, dataset: Dataset) -> None:
        check_flags(self, "positive")
        check_number(self, "alpha", 0.0)
        check_share(self, "l1_ratio")
        super()._check(dataset)


def duality_gap(
    sums: LossSums, coef: np.ndarray, penalty: ElasticNetPenalty, positive: bool
) -> float:
    r"""Return how far the penalised squared error is from its minimum at most.

    S.-J. Kim et al. 2007, "An interior-point method for large-scale l1-regularized least
    squares"; squares in the penalty count as rows of X and zeros of y. Without absolute values it
    is the bound :math:`|g|^2 / 2 l_2` from the least curvature.

    Parameters
    ----------
    sums : LossSums
        Of the squared loss, at the coefficients.
    coef : ndarray of shape (n_features,)
    penalty : ElasticNet
        Of one price for all.
    positive : bool
        Whether coefficients may not be below zero.
    """
    loss, slope = sums.value / sums.weight, sums.gradient[0, :-1] / sums.weight
    left = slope + penalty.l2 * coef
    if penalty.l1 == 0.0:
        return float(left @ left / (2 * penalty.l2)) if penalty.l2 else np.inf
    steepest = float(np.max(-left if positive else np.abs(left), initial=0.0))
    share = min(1.0, penalty.l1 / steepest) if steepest > 0.0 else 1.0
    square = 2 * loss + penalty.l2 * float(coef @ coef)
    explained = 2 * loss - float(coef @ slope)
    price = penalty.l1 * float(np.abs(coef).sum())
    return max(0.0, 0.5 * square * (1 + share**2) + price - share * explained)
