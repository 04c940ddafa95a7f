"""Linear classifiers by stochastic gradient descent."""

from collections.abc import Callable
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.linear_model import SGDClassifier as SklearnSGDClassifier
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import check_is_fitted

from flowml.data.dataset import Dataset
from flowml.kernels.rows import Array
from flowml.linear_model.base import linear
from flowml.linear_model.conversion import to_sklearn
from flowml.linear_model.linear_classifier import LinearClassifier
from flowml.linear_model.stochastic import StochasticPredictor, check_epsilon
from flowml.linear_model.survey import Survey
from flowml.losses.each_class import EachClassLoss
from flowml.losses.epsilon_insensitive import (
    EpsilonInsensitiveLoss,
    SquaredEpsilonInsensitiveLoss,
)
from flowml.losses.hinge import HingeLoss, ModifiedHuberLoss, SquaredHingeLoss
from flowml.losses.huber import FixedHuberLoss
from flowml.losses.logistic import LogisticLoss
from flowml.losses.loss import Loss
from flowml.losses.sides import SidesLoss
from flowml.losses.squared import SquaredLoss
from flowml.parameters import check_choice
from flowml.prediction import apply_by_class

LOSSES: dict[str, Callable[[float], Loss]] = {
    "hinge": lambda epsilon: HingeLoss(),
    "log_loss": lambda epsilon: LogisticLoss(),
    "modified_huber": lambda epsilon: ModifiedHuberLoss(),
    "squared_hinge": lambda epsilon: SquaredHingeLoss(),
    "squared_error": lambda epsilon: SidesLoss(SquaredLoss()),
    "huber": lambda epsilon: SidesLoss(FixedHuberLoss(epsilon)),
    "epsilon_insensitive": lambda epsilon: SidesLoss(EpsilonInsensitiveLoss(epsilon)),
    "squared_epsilon_insensitive": lambda epsilon: SidesLoss(
        SquaredEpsilonInsensitiveLoss(epsilon)
    ),
}


def _has_probabilities(model: Any) -> bool:
    if model.loss not in SHARES:
        able = " or ".join(map(repr, SHARES))
        raise AttributeError(f"probabilities need loss={able}, not {model.loss!r}")
    return True


class SGDClassifier(StochasticPredictor, LinearClassifier):
    r"""Linear classifiers by stochastic gradient descent with averaging.

    Finds the coefficients b and intercepts a that minimise

    .. math:: \frac{1}{W} \sum_i w_i\, \ell(y_i, x_i b + a)
              + \alpha \rho \|b\|_1 + \frac{\alpha (1 - \rho)}{2} \|b\|^2

    with :math:`W = \sum_i w_i`; three classes or more are each told from all others. Intercepts
    aren't penalised. One pass counts the labels and draws a sample, from which columns get
    comparable units; each pass after it is an epoch, which every leaf of the data goes through on
    its own, a few rows a step, and which ends in the leaves' mean. The result depends on how the
    data are cut into blocks, but not on who holds them. For a minimum of many digits take another
    estimator: this one is for data that come in batches, and for first looks.

    Parameters
    ----------
    loss : str, default="hinge"
        "hinge" is the linear support vector machine, "log_loss" logistic regression;
        "modified_huber" and "squared_hinge" are smooth relatives of the first. "squared_error",
        "huber", "epsilon_insensitive" and "squared_epsilon_insensitive" are those of
        `SGDRegressor`, for targets of −1 and 1. There is no "perceptron": its loss is least where
        all coefficients are zero, so that a search for the minimum finds nothing.
    penalty : {"l2", "l1", "elasticnet", None}, default="l2"
    alpha : float, default=0.0001
        How much the penalty counts, at least 0.
    l1_ratio : float, default=0.15
        Share of the absolute values in an "elasticnet" penalty.
    fit_intercept : bool, default=True
    max_iter : int, default=1000
        Most epochs.
    tol : float, default=1e-3
        Stop where the steepest way down, without unit, is at most this, or where the objective has
        not fallen by such a share for `n_iter_no_change` epochs in turn.
    shuffle : bool, default=True
        Whether the rows of a leaf are shuffled for each epoch.
    epsilon : float, default=0.1
        Errors up to this cost nothing with the insensitive losses; beyond it "huber" is straight.
    random_state : int, RandomState or None, default=None
        Draws the sample, and shuffles.
    learning_rate : {"optimal", "constant", "invscaling", "adaptive"}, default="optimal"
        With τ the epochs so far, "optimal" steps have a length of :math:`t / \sqrt{1 + \tau}`,
        with t the longest that the sample's curvature allows; "constant" ones of `eta0`;
        "invscaling" of `eta0` :math:`/ (1 + \tau)^{power\_t}`; "adaptive" of `eta0`, cut to a fifth
        where the objective no longer falls.
    eta0 : float, default=0.01
        In columns' units of their standard deviation.
    power_t : float, default=0.5
    n_iter_no_change : int, default=5
    class_weight : dict, "balanced" or None, default=None
        By which rows' weights are multiplied, by label.
    warm_start : bool, default=False
        Start from the coefficients of the fit before.
    average : bool, default=True
        Whether the coefficients are the mean of all steps, later epochs counting more, or the
        leaves' mean after the last.
    categorical : CategoricalEncoding, optional
        How categorical columns enter.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
    intercept_ : ndarray of shape (1,) or (n_classes,)
    n_iter_ : int
        Epochs.
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
    B. T. Polyak & A. B. Juditsky 1992, "Acceleration of stochastic approximation by averaging",
    SIAM Journal on Control and Optimization 30.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import SGDClassifier
    >>> X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    >>> model = SGDClassifier(random_state=0).fit(X, np.array(["no", "no", "yes", "yes"]))
    >>> model.predict([[-1.5], [1.5]])
    array(['no', 'yes'], dtype='<U3')
    """

    def __init__(  # noqa: PLR0913 - scikit-learn's parameters
        self,
        loss: str = "hinge",
        *,
        penalty: str | None = "l2",
        alpha: float = 0.0001,
        l1_ratio: float = 0.15,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float = 1e-3,
        shuffle: bool = True,
        epsilon: float = 0.1,
        random_state: Any = None,
        learning_rate: str = "optimal",
        eta0: float = 0.01,
        power_t: float = 0.5,
        n_iter_no_change: int = 5,
        class_weight: Any = None,
        warm_start: bool = False,
        average: bool = True,
        categorical: Any = None,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.epsilon = epsilon
        self.random_state = random_state
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.average = average
        self.categorical = categorical

    def partial_fit(
        self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None
    ) -> Self:
        """Go one epoch further on a batch of rows.

        Parameters
        ----------
        X, y, sample_weight : as for `fit`
        classes : array of shape (n_classes,), optional
            All labels that will come; needed with the first batch.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As `fit`, or if `classes` is missing or others than before, or the batch holds others.
        """
        known = getattr(self, "classes_", None)
        if known is None and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all rows at once: give a dict to partial_fit"
            )
        if classes is not None:
            classes = unique_labels(classes)
            if known is not None and not np.array_equal(known, classes):
                raise ValueError(f"classes={classes} aren't those of the first batch, {known}")
            known = classes
        return self._one_epoch(X, y, sample_weight, _known_classes=known)

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class; with ``loss="log_loss"`` or ``"modified_huber"``.

        Of the latter it is how far the predictor is on its way from −1 to 1. Three classes or more
        have the probabilities of each against all others, to a sum of 1.

        Parameters
        ----------
        X : any input of shape (n_rows, n_features)

        Returns
        -------
        array of shape (n_rows, n_classes), a Dask frame for one
        """
        check_is_fitted(self)
        function = partial(probabilities, self.coef_, self.intercept_, SHARES[self.loss])
        return apply_by_class(self, X, function, self.classes_)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithms of `predict_proba`."""
        return np.log(self.predict_proba(X))

    def to_sklearn(self) -> SklearnSGDClassifier | Pipeline:
        """Return a plain fitted scikit-learn estimator that predicts the same."""
        return to_sklearn(self, SklearnSGDClassifier)

    def _loss_of(self, n_classes: int) -> Loss:
        loss = LOSSES[self.loss](self.epsilon)
        return loss if n_classes == 2 else EachClassLoss(loss, n_classes)

    def _loss(self, survey: Survey) -> Loss:
        known: Array | None = getattr(self, "_known_classes", None)
        if known is None:
            return super()._loss(survey)
        assert survey.labels is not None
        others = np.setdiff1d(survey.labels.labels, known)
        if len(others):
            raise ValueError(f"y holds {others[0]}, which is not among the classes {known}")
        self.classes_ = known
        return self._loss_of(len(known))

    def _check(self, dataset: Dataset) -> None:
        check_choice(self, "loss", tuple(LOSSES))
        check_epsilon(self)
        super()._check(dataset)


def logistic_share(eta: Array) -> Array:
    """Return the logistic function."""
    return 0.5 * (1.0 + np.tanh(0.5 * eta))


def clipped_share(eta: Array) -> Array:
    """Return how far a predictor is on its way from −1 to 1."""
    return 0.5 * (1.0 + np.clip(eta, -1.0, 1.0))


SHARES = {"log_loss": logistic_share, "modified_huber": clipped_share}
"""The probability of a class against all others, by its predictor."""


def probabilities(coef: Array, intercept: Array, share_of: Any, X: Any) -> Array:
    """Return each row's probabilities of the classes, each against all others."""
    eta = linear(coef, intercept, X)
    share = share_of(eta)
    if eta.shape[1] == 1:
        return np.column_stack([1.0 - share, share])
    total = share.sum(axis=1, keepdims=True)
    even = np.full_like(share, 1.0 / share.shape[1])
    return np.divide(share, total, out=even, where=total > 0)
