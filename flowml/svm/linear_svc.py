"""Linear support vector classification."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC as SklearnLinearSVC

from flowml.data.dataset import Dataset
from flowml.drive.procedure import Procedure, together
from flowml.kernels.rows import Array
from flowml.linear_model.conversion import to_sklearn
from flowml.linear_model.linear_classifier import LinearClassifier
from flowml.linear_model.minimising import Minimum, Options, minimise
from flowml.linear_model.survey import Survey
from flowml.linear_model.with_kinks import WithKinks
from flowml.losses.hinge import HingeLoss, SquaredHingeLoss
from flowml.losses.loss import Loss
from flowml.parameters import check_choice, check_positive
from flowml.penalties.elastic_net import ElasticNet
from flowml.solvers.objective import Objective

LOSSES: dict[str, Callable[..., Loss]] = {"hinge": HingeLoss, "squared_hinge": SquaredHingeLoss}


class LinearSVC(WithKinks, LinearClassifier):
    r"""Linear support vector machine of two classes, or of one class against the rest for more.

    For each class, with :math:`s_i = 1` for its rows and −1 for others, finds the coefficients b
    and the intercept a that minimise

    .. math:: C \sum_i w_i\, \ell(s_i (x_i b + a)) + \tfrac{1}{2} \|b\|^2

    with :math:`\ell(m) = (1 - m)_+` or its square, or with :math:`\|b\|_1` as the penalty. The
    intercept isn't penalised, as scikit-learn's is. All classes are trained in the same passes.
    The squared hinge goes the way of Newton's method; the hinge is found exactly: a quadratic
    program over the rows near the margin is solved in memory, and further passes see to it that no
    other row matters.

    Parameters
    ----------
    penalty : {"l1", "l2"}, default="l2"
    loss : {"hinge", "squared_hinge"}, default="squared_hinge"
    tol : float, default=1e-4
        For ``"hinge"`` stop where the objective is above its minimum by at most this share; for
        the squared one where the steepest way down, without unit, is at most this.
    C : float, default=1.0
        How much the rows count against the penalty, above 0.
    fit_intercept : bool, default=True
    class_weight : dict, "balanced" or None, default=None
        By which rows' weights are multiplied, by label; "balanced" gives each class the same
        total weight.
    random_state : int, RandomState or None, default=None
        Draws the sample that the solver starts on; None is a fixed seed.
    max_iter : int, default=1000
        Most passes after the first.
    warm_start : bool, default=False
        Start from the coefficients of the fit before.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
    intercept_ : ndarray of shape (1,) or (n_classes,)
    n_iter_ : int
        Steps on all rows, the most of any class.
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
    C. Cortes & V. Vapnik 1995, "Support-vector networks", Machine Learning 20; O. L. Mangasarian
    2002, "A finite Newton method for classification", Optimization Methods and Software 17; R.-E.
    Fan et al. 2008, "LIBLINEAR: a library for large linear classification".

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.svm import LinearSVC
    >>> X = np.array([[0.0], [1.0], [3.0], [4.0]])
    >>> model = LinearSVC(loss="hinge", C=10.0).fit(X, np.array(["no", "no", "yes", "yes"]))
    >>> model.coef_.round(9), model.intercept_.round(9)
    (array([[1.]]), array([-2.]))
    >>> model.predict([[0.5], [2.5]])
    array(['no', 'yes'], dtype='<U3')
    """

    def __init__(  # noqa: PLR0913 - scikit-learn's parameters
        self,
        penalty: str = "l2",
        loss: str = "squared_hinge",
        *,
        tol: float = 1e-4,
        C: float = 1.0,
        fit_intercept: bool = True,
        class_weight: Any = None,
        random_state: Any = None,
        max_iter: int = 1000,
        warm_start: bool = False,
    ) -> None:
        self.penalty = penalty
        self.loss = loss
        self.tol = tol
        self.C = C
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.random_state = random_state
        self.max_iter = max_iter
        self.warm_start = warm_start

    def to_sklearn(self) -> SklearnLinearSVC | Pipeline:
        """Return a plain fitted scikit-learn estimator that predicts the same."""
        return to_sklearn(self, SklearnLinearSVC)

    def _loss_of(self, n_classes: int) -> Loss:
        return LOSSES[self.loss]()

    def _penalty(self, survey: Survey) -> ElasticNet:
        price = 1.0 / (self.C * self._total_weight(survey))
        return ElasticNet(l1=price) if self.penalty == "l1" else ElasticNet(l2=price)

    def _minimise(
        self, objective: Objective, survey: Survey, options: Options, warm: Array | None
    ) -> Procedure[Minimum]:
        """Minimise for each class against the rest, in the same passes."""
        positives = range(1, 2) if len(self.classes_) == 2 else range(len(self.classes_))
        make, procedures = LOSSES[self.loss], []
        for place, positive in enumerate(positives):
            one = replace(objective, loss=make(float(positive)))
            start = None if warm is None else warm[place : place + 1]
            procedures.append(minimise(one, survey, options, start))
        return joined((yield from together(procedures)))

    def _warm_parameters(self, objective: Objective) -> Array | None:
        n_outputs = 1 if len(self.classes_) == 2 else len(self.classes_)
        wanted = n_outputs, len(objective.center)
        if not hasattr(self, "coef_") or self.coef_.shape != wanted:
            return None
        coef, intercept = self.coef_.astype(np.float64), self.intercept_.astype(np.float64)
        return objective.parameters(coef, intercept)

    def _adopt(self, minimum: Minimum, dtype: Any) -> None:
        super()._adopt(minimum, dtype)
        self.n_iter_ = minimum.n_iter

    @property
    def _has_kinks(self) -> bool:
        return self.penalty == "l1"

    def _check(self, dataset: Dataset) -> None:
        check_choice(self, "penalty", ("l1", "l2"))
        check_choice(self, "loss", tuple(LOSSES))
        check_positive(self, "C")
        super()._check(dataset)


def joined(minima: Sequence[Minimum]) -> Minimum:
    """Return the minima of several objectives as one; what it says of the way is of the worst."""
    worst = max(minima, key=lambda minimum: (not minimum.converged, minimum.violation))
    return worst._replace(
        coef=np.concatenate([minimum.coef for minimum in minima]),
        intercept=np.concatenate([minimum.intercept for minimum in minima]),
        n_iter=max(minimum.n_iter for minimum in minima),
        n_sample_iter=max(minimum.n_sample_iter for minimum in minima),
        value=sum(minimum.value for minimum in minima),
    )
