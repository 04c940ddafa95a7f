"""What generalised linear models share: a family and a link in, means out."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from flowml.data.dataset import Dataset
from flowml.data.schema import Schema
from flowml.drive.procedure import Procedure, together
from flowml.kernels.deviance import d_squared, deviance_fold
from flowml.kernels.linear_loss import Point, Target
from flowml.kernels.rows import Array
from flowml.kernels.several import Asks, several
from flowml.kernels.target_range import TargetRange
from flowml.kernels.target_totals import totals_fold
from flowml.linear_model.base import linear
from flowml.linear_model.glm_summary import GlmSummary
from flowml.linear_model.linear_predictor import LinearPredictor
from flowml.linear_model.minimising import Minimum, Options
from flowml.linear_model.null_model import null_value
from flowml.linear_model.survey import Survey
from flowml.losses.families import Family, Interval
from flowml.losses.family_loss import BinomialLoss, FamilyLoss, family_loss
from flowml.losses.links import Link
from flowml.parameters import check_number
from flowml.penalties.elastic_net import ElasticNet
from flowml.prediction import apply
from flowml.solvers.check_target import CheckTarget
from flowml.solvers.objective import Objective
from flowml.solvers.one_pass import OnePass
from flowml.solvers.solver import RowError, Solver


class GeneralizedLinearModel(GlmSummary, RegressorMixin, LinearPredictor):
    """A linear predictor of a link of the target's mean.

    A subclass gives `_family` and, unless it is the family's usual one, `_link`.
    """

    alpha: float
    _remedy = "set alpha above 0"

    def predict(self, X: Any) -> Any:
        """Return the mean of each row: the inverse link of the linear predictor.

        Parameters
        ----------
        X : any input of shape (n_rows, n_features)

        Returns
        -------
        array or Series of shape (n_rows,)
        """
        check_is_fitted(self)
        return apply(self, X, partial(mean, *self._parameters(), self._link()))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        r"""Return D², the share of the deviance that is explained, in one pass over the data.

        .. math:: D^2 = 1 - \sum_i w_i d(y_i, \mu_i) / \sum_i w_i d(y_i, \bar y)

        Parameters
        ----------
        X, y, sample_weight : as for `fit`

        Returns
        -------
        float
            1 for a perfect prediction, 0 for that of the mean.
        """
        return self._score(X, y, sample_weight)

    def _score(self, X: Any, y: Any, sample_weight: Any, **beside: Any) -> float:
        check_is_fitted(self)
        dataset = self._dataset(X, y, sample_weight, reset=False, **beside)
        coef, intercept = (part.astype(np.float64) for part in self._parameters())
        target = Target(offset=self._offset(dataset.schema))
        encoding = getattr(self, "encoding_", None)
        loss = self._family_loss()
        center = np.zeros(coef.shape[1])
        point = Point(loss, target, coef, intercept, center, encoding)
        fold, check = deviance_fold(loss.family, loss.link), self._target_check(dataset.schema)
        if check is None:
            return d_squared(self._summarise(dataset, fold, point))
        question = Asks((0, 1), (point, check.ask(check.init())))
        deviance, outside = self._summarise(dataset, several([fold, check.fold]), question).members
        try:
            check.step(check.init(), outside)
        except RowError as error:
            block, row = dataset.find_row(error.block, error.row)
            where = f"{dataset.name_block(block)}, row {row} of the block"
            raise ValueError(f"{error.found} in {where}: {error.needs}") from None
        return d_squared(deviance)

    def _family(self) -> Family:
        """Return the family."""
        raise NotImplementedError

    def _link(self) -> Link:
        """Return the link."""
        return self._family().usual

    def _family_loss(self) -> FamilyLoss:
        return family_loss(self._family(), self._link())

    def _loss(self, survey: Survey) -> FamilyLoss:
        loss, totals = self._family_loss(), survey.totals
        if totals is None:
            return loss
        self._check_spread(totals.mean)
        y = survey.sample.y
        assert y is not None
        if not isinstance(loss, BinomialLoss) or y.shape[1:] == (2,):
            return loss  # an offset may be what tells the rows apart
        even_at_zero = self.fit_intercept or float(loss.link.link(np.array(0.5))) == 0.0
        return replace(loss, labels=even_at_zero and totals.constant == 0.0)

    def _minimise(
        self, objective: Objective, survey: Survey, options: Options, warm: Array | None
    ) -> Procedure[Minimum]:
        """Minimise; where an offset asks for it, find the best constant on the same passes."""
        fit = super()._minimise(objective, survey, options, warm)
        known = objective.target.offset is None or self._family_loss().nets_offsets
        if known or not (options.describe and objective.penalty.is_smooth):
            return fit
        return _beside_null(fit, null_value(objective, survey))

    def _check_spread(self, mean: float) -> None:
        """Refuse targets that are all at the same end of what the family allows."""
        low, high, _ = self._family().targets
        if self.fit_intercept and mean in (low, high):
            raise ValueError(
                f"every target is {mean:g}: the intercept would grow for ever, as a "
                f"{type(self._family()).__name__} mean is never {mean:g}. Check the target, or fit "
                "without an intercept"
            )

    def _assumed_loss(self) -> FamilyLoss:
        return self._family_loss()

    def _penalty(self, survey: Survey) -> ElasticNet:
        return ElasticNet(l2=self.alpha)

    def _target_check(self, schema: Schema) -> Solver | None:
        allowed, offset = self._family().targets, self._offset(schema)
        if allowed == Interval() and offset is None:
            return None
        ask = TargetRange(Target(offset=offset), allowed)
        return CheckTarget(question=ask, family=type(self._family()).__name__)

    def _target_totals(self, schema: Schema) -> Solver | None:
        return OnePass(totals_fold(self._family_loss()), Target(offset=self._offset(schema)))

    def _parameters(self) -> tuple[Array, Array]:
        return np.atleast_2d(self.coef_), np.atleast_1d(self.intercept_)

    def _check(self, dataset: Dataset) -> None:
        super()._check(dataset)
        check_number(self, "alpha", 0.0)
        self._family_loss()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        try:
            tags.target_tags.positive_only = self._family().targets.low >= 0
        except (TypeError, ValueError):  # parameters are checked by fit
            tags.target_tags.positive_only = False
        return tags


def _beside_null(fit: Procedure[Minimum], null: Procedure[float]) -> Procedure[Minimum]:
    """Return the fit's minimum, described with the null model's loss."""
    found: list[Any] = yield from together([fit, null])  # type: ignore[list-item]
    minimum, value = found
    evidence = minimum.described.evidence._replace(null_value=value)
    return minimum._replace(described=minimum.described._replace(evidence=evidence))


def mean(coef: Array, intercept: Array, link: Link, X: Any) -> Array:
    """Return the mean of each row."""
    with np.errstate(over="ignore"):
        return link.inverse(linear(coef, intercept, X))
