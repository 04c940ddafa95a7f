"""Generalised linear regression: any family, any link, elastic net, offsets and bounds."""

from typing import Any, Self, cast

import numpy as np
from sklearn.utils.validation import check_is_fitted

from flowml.data.dataset import Dataset
from flowml.data.schema import Schema
from flowml.kernels.linear_loss import Offset
from flowml.kernels.rows import Array
from flowml.linear_model.generalized_linear_model import GeneralizedLinearModel
from flowml.linear_model.offset_prediction import predict_with_offset
from flowml.linear_model.offsets import (
    adopt_beside,
    check_beside,
    named_column,
    offset_of,
    split_off,
)
from flowml.linear_model.survey import Survey
from flowml.losses.families import FAMILIES, Family, Tweedie, family_of_power
from flowml.losses.links import LINKS, Link
from flowml.parameters import check_number, check_share
from flowml.penalties.elastic_net import ElasticNet


class GeneralizedLinearRegressor(GeneralizedLinearModel):
    r"""A generalised linear model of any family and link, with elastic net, offset and bounds.

    Finds the coefficients b and the intercept a that minimise

    .. math:: \frac{1}{2 W} \sum_i w_i\, d(y_i, \mu_i)
              + \alpha \rho \|b\|_1 + \frac{\alpha (1 - \rho)}{2} \|b\|^2

    where :math:`g(\mu_i) = x_i b + a + o_i` with the link g and the offset o, d is the family's
    unit deviance, :math:`W = \sum_i w_i` and :math:`\rho` = `l1_ratio`. The intercept isn't
    penalised. A binomial target is the share of successes, with the number of trials as weight.

    Parameters
    ----------
    family : str or Family, default="gaussian"
        "gaussian", "binomial", "poisson", "gamma", "inverse_gaussian", "negative_binomial", or an
        object of `flowml.losses.families` such as ``Tweedie(1.5)`` or ``NegativeBinomial(0.5)``.
    link : str or Link, default="auto"
        "identity", "log", "logit", "probit", "cloglog", "inverse", "inverse_squared", "sqrt", or
        an object of `flowml.losses.links` such as ``Power(0.3)``. "auto" is the identity for
        "gaussian", "logit" for "binomial", and "log" for all others.
    alpha : float, default=0.0
        The penalty, at least 0.
    l1_ratio : float, default=0.0
        Share of the absolute values in the penalty, from 0 (ridge) to 1 (lasso).
    fit_intercept : bool, default=True
    lower_bounds : float or array of shape (n_features,), optional
        The least that the coefficients may be.
    upper_bounds : float or array of shape (n_features,), optional
        The most that they may be.
    categorical : CategoricalEncoding, optional
        How categorical columns enter.
    offset : str, optional
        Which of two columns of y (of a Dataset's targets, or of a frame) isn't the target but is
        added to the linear predictor. The values can instead be given to `fit`, `predict` and
        `score`.
    exposure : str, optional
        The same for a column of which the logarithm is added.
    solver : {"auto", "newton", "lbfgs", "fista", "block_descent", "admm"}, default="auto"
    tol : float, default=1e-4
        Stop where the steepest way down, without unit, is at most this: without a penalty the
        largest correlation of a column with the loss's derivative.
    max_iter : int, default=100
        Most passes after the first.
    random_state : int, RandomState or None, default=None
        Draws the sample that the solver starts on; None is a fixed seed.
    warm_start : bool, default=False
        Start from the coefficients of the fit before.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
    intercept_ : float
    n_iter_ : int
        Steps on all rows.
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

    See Also
    --------
    PoissonRegressor, GammaRegressor, TweedieRegressor : scikit-learn's choices of these.

    References
    ----------
    P. McCullagh & J. A. Nelder 1989, "Generalized Linear Models".

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import GeneralizedLinearRegressor
    >>> X, claims = np.array([[0.0], [0.0], [1.0]]), np.array([1.0, 3.0, 6.0])
    >>> model = GeneralizedLinearRegressor(family="poisson", tol=1e-9)
    >>> model = model.fit(X, claims, exposure=[1.0, 1.0, 2.0])
    >>> model.predict([[0.0], [1.0]], exposure=[1.0, 10.0]).round(6)
    array([ 2., 30.])
    """

    def __init__(  # noqa: PLR0913 - each is one of the model's
        self,
        *,
        family: str | Family = "gaussian",
        link: str | Link = "auto",
        alpha: float = 0.0,
        l1_ratio: float = 0.0,
        fit_intercept: bool = True,
        lower_bounds: Any = None,
        upper_bounds: Any = None,
        categorical: Any = None,
        offset: str | None = None,
        exposure: str | None = None,
        solver: str = "auto",
        tol: float = 1e-4,
        max_iter: int = 100,
        random_state: Any = None,
        warm_start: bool = False,
    ) -> None:
        self.family = family
        self.link = link
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.lower_bounds = lower_bounds
        self.upper_bounds = upper_bounds
        self.categorical = categorical
        self.offset = offset
        self.exposure = exposure
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.warm_start = warm_start

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        offset: Any = None,
        exposure: Any = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array, CSR array, frame, Dask collection or Dataset of shape (n_rows, n_features)
            float32 gives float32 coefficients, anything else float64; sums are in float64.
        y : array or Dask collection of shape (n_rows,)
            None for a Dataset, which has its own. With a column that `offset` or `exposure` names,
            a frame of two columns.
        sample_weight : array or Dask array of shape (n_rows,), optional
            A weight of 2 is the row twice, a weight of 0 the row absent.
        offset : array or Dask collection of shape (n_rows,), optional
            Is added to the linear predictor.
        exposure : array or Dask collection of shape (n_rows,), optional
            Of which the logarithm is added, above 0.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If input or a parameter can't be used, naming what and where.
        """
        return self._fit(X, y, sample_weight, offset=offset, exposure=exposure)

    def predict(self, X: Any, offset: Any = None, exposure: Any = None) -> Any:
        """Return the mean of each row: the inverse link of the linear predictor.

        Parameters
        ----------
        X : any input of shape (n_rows, n_features)
            A Dataset brings the column that the parameters name; for other input without an
            offset, the prediction is that of an offset of 0, or an exposure of 1.
        offset, exposure : as for `fit`

        Returns
        -------
        array or Series of shape (n_rows,)
            A Dask array where X is lazy and has an offset.
        """
        check_is_fitted(self)
        _, column = split_off(self, None, offset, exposure)
        if column is None and not (isinstance(X, Dataset) and named_column(self)):
            return super().predict(X)
        return predict_with_offset(self, X, column, self._parameters(), self._link())

    def score(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        offset: Any = None,
        exposure: Any = None,
    ) -> float:
        r"""Return D², the share of the deviance that is explained, in one pass over the data.

        .. math:: D^2 = 1 - \sum_i w_i d(y_i, \mu_i) / \sum_i w_i d(y_i, \bar y)

        Parameters
        ----------
        X, y, sample_weight, offset, exposure : as for `fit`

        Returns
        -------
        float
            1 for a perfect prediction, 0 for that of the mean (which knows no offset).
        """
        return self._score(X, y, sample_weight, offset=offset, exposure=exposure)

    def _dataset(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        reset: bool = True,
        offset: Any = None,
        exposure: Any = None,
    ) -> Dataset:
        y, column = split_off(self, y, offset, exposure)
        return adopt_beside(self, X, y, sample_weight, reset, column)

    def _offset(self, schema: Schema) -> Offset | None:
        return offset_of(schema)

    def _family(self) -> Family:
        family: Any = self.family
        if hasattr(family, "unit_deviance"):
            return family_of_power(family.power) if isinstance(family, Tweedie) else family
        if not isinstance(family, str) or family not in FAMILIES:
            names = ", ".join(map(repr, FAMILIES))
            raise ValueError(
                f"GeneralizedLinearRegressor(family={self.family!r}): family must be {names}, or "
                "an object of flowml.losses.families"
            )
        return FAMILIES[family]

    def _link(self) -> Link:
        link: Any = self.link
        if hasattr(link, "inverse"):
            return cast(Link, link)
        if self.link == "auto":
            return self._family().usual
        if not isinstance(self.link, str) or self.link not in LINKS:
            names = ", ".join(map(repr, LINKS))
            raise ValueError(
                f"GeneralizedLinearRegressor(link={self.link!r}): link must be 'auto', {names}, or "
                "an object of flowml.losses.links"
            )
        return LINKS[self.link]

    def _penalty(self, survey: Survey) -> ElasticNet:
        l1, l2 = self.alpha * self.l1_ratio, self.alpha * (1 - self.l1_ratio)
        lower, upper = self._bounds()
        return ElasticNet(l1, l2, lower, upper)

    def _bounds(self) -> tuple[Array, Array]:
        """Return the bounds, each one number or one for each feature."""
        found = []
        for name, nothing in (("lower_bounds", -np.inf), ("upper_bounds", np.inf)):
            value = getattr(self, name)
            try:
                found.append(np.asarray(nothing if value is None else value, dtype=np.float64))
            except (TypeError, ValueError):
                what = f"GeneralizedLinearRegressor({name}={value!r})"
                raise TypeError(f"{what}: {name} must be numbers, or None") from None
        return found[0], found[1]

    @property
    def _has_kinks(self) -> bool:
        bounded = self.lower_bounds is not None or self.upper_bounds is not None
        return bounded or self.alpha * self.l1_ratio > 0

    def _check(self, dataset: Dataset) -> None:
        check_number(self, "alpha", 0.0)
        check_share(self, "l1_ratio")
        self._check_bounds(dataset.schema)
        check_beside(self, dataset.schema)
        super()._check(dataset)

    def _check_bounds(self, schema: Schema) -> None:
        shapes = [()] if schema.categorical else [(), (schema.n_features,)]
        for name, bound in zip(("lower_bounds", "upper_bounds"), self._bounds(), strict=True):
            if bound.shape not in shapes:
                where = (
                    "with categorical columns give one number"
                    if schema.categorical
                    else (f"give one number, or one for each of {schema.n_features} features")
                )
                raise ValueError(f"{name} has the shape {bound.shape}: {where}")
        lower, upper = np.broadcast_arrays(*self._bounds())
        if (wrong := ~(lower <= upper) | (lower == np.inf) | (upper == -np.inf)).any():
            place = int(np.argmax(wrong))
            raise ValueError(
                f"lower_bounds is {lower.flat[place]:g} and upper_bounds {upper.flat[place]:g} for "
                f"feature {place}: nothing lies between them"
            )
