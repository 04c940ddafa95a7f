"""Classification by least squares with a penalty on the coefficients."""

from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.linear_model import RidgeClassifier as SklearnRidgeClassifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from flowml.data.dataset import Dataset
from flowml.data.schema import Schema
from flowml.drive.procedure import Procedure, Step, follow, masked
from flowml.drive.stage import Stage
from flowml.estimator import Needs
from flowml.kernels.labels import LABEL_WEIGHTS
from flowml.kernels.recoded import Signs
from flowml.kernels.rows import Array
from flowml.linear_model.conversion import behind_encoder
from flowml.linear_model.label_output import LabelOutput, found_classes
from flowml.linear_model.ridge import Ridge
from flowml.parameters import check_flags, check_number
from flowml.runtimes.blas import one_blas_thread
from flowml.solvers.one_pass import OnePass


class RidgeClassifier(LabelOutput):
    r"""Least squares of the classes' signs with a penalty on the squared coefficients.

    With :math:`s_i = 1` for the rows of a class and −1 for others, finds the coefficients b and
    the intercept a that minimise

    .. math:: \sum_i w_i (s_i - x_i b - a)^2 + \alpha \|b\|^2

    for each class, or for the second of two, and predicts the class with the largest
    :math:`x b + a`. Intercepts aren't penalised. One pass finds the labels; then all classes go
    the way of `Ridge` together: one pass where the columns are not nearly collinear.

    Parameters
    ----------
    alpha : float, default=1.0
        The penalty, at least 0.
    fit_intercept : bool, default=True
    class_weight : dict, "balanced" or None, default=None
        By which rows' weights are multiplied, by label; "balanced" gives each class the same
        total weight.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
    intercept_ : ndarray of shape (1,) or (n_classes,)
    solver_used_ : {"gram", "qr"}
        What the coefficients were solved from.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Where X had column names.
    n_passes_ : int
        Reads of the data that the fit took.
    history_ : DataFrame
        One row for each pass.

    See Also
    --------
    Ridge : The regression behind it.

    References
    ----------
    T. Hastie, R. Tibshirani & J. Friedman 2009, "The Elements of Statistical Learning", section
    4.2.

    Examples
    --------
    >>> import numpy as np
    >>> from flowml.linear_model import RidgeClassifier
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> model = RidgeClassifier(alpha=5.0).fit(X, np.array(["no", "no", "yes", "yes"]))
    >>> model.coef_.round(9), model.intercept_.round(9)
    (array([[0.4]]), array([-0.6]))
    >>> model.predict([[0.5], [2.5]])
    array(['no', 'yes'], dtype='<U3')
    """

    needs = Needs(target=True, one_target=True, labels=True, categorical=True)

    def __init__(
        self, alpha: float = 1.0, *, fit_intercept: bool = True, class_weight: Any = None
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array, CSR array, frame, Dask collection or Dataset of shape (n_rows, n_features)
            float32 gives float32 coefficients, anything else float64; sums are in float64.
        y : array or Dask collection of shape (n_rows,)
            Labels. None for a Dataset, which has its own.
        sample_weight : array or Dask array of shape (n_rows,), optional
            A weight of 2 is the row twice, a weight of 0 the row absent.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If input or a parameter can't be used, naming what and where.

        Warns
        -----
        LinAlgWarning
            If columns are collinear and nothing is penalised.
        """
        with self._training(X, y, sample_weight) as session, one_blas_thread():
            dataset = session.runtime.dataset
            follow(session, self._learning(dataset.schema, dataset.n_rows))
        return self

    def to_sklearn(self) -> SklearnRidgeClassifier | Pipeline:
        """Return a plain fitted scikit-learn estimator that predicts the same."""
        check_is_fitted(self)
        plain = SklearnRidgeClassifier(**self.get_params())
        # sets up what its predict needs, whatever its version
        plain.fit(np.eye(len(self.classes_), self.coef_.shape[1]), self.classes_)
        plain.coef_, plain.intercept_ = self.coef_.copy(), self.intercept_.copy()
        if hasattr(self, "feature_names_in_") and not hasattr(self, "encoding_"):
            plain.feature_names_in_ = self.feature_names_in_
        return behind_encoder(self, plain)

    def _learning(
        self, schema: Schema, n_rows: int | None, describe: bool = True
    ) -> Procedure[None]:
        """Find the labels, then learn their signs."""
        labels = (yield Step("labels", OnePass(LABEL_WEIGHTS))).summary
        signs = Signs(found_classes(self, labels), self._factors(labels))
        ridge = self._ridge()
        yield from masked(ridge._learning(of_signs(schema, signs.classes), n_rows), signs)
        self.classes_ = signs.classes
        self.coef_ = np.atleast_2d(ridge.coef_)
        intercept: Array = np.atleast_1d(ridge.intercept_)
        self.intercept_ = np.broadcast_to(intercept, len(self.coef_)).astype(schema.dtype)
        self.solver_used_ = ridge.solver_used_
        self.__dict__.pop("encoding_", None)
        if hasattr(ridge, "encoding_"):
            self.encoding_ = ridge.encoding_

    def _ridge(self) -> Ridge:
        ridge = Ridge(self.alpha, fit_intercept=self.fit_intercept)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self, name):
                setattr(ridge, name, getattr(self, name))
        return ridge

    def _check(self, dataset: Dataset) -> None:
        check_number(self, "alpha", 0.0)
        check_flags(self, "fit_intercept")
        self._check_class_weight()

    def _stages(self, schema: Schema) -> list[Stage]:
        """Describe the passes of a fit on such data; two classes are assumed."""
        after = self._ridge()._stages(of_signs(schema, np.arange(2)))
        return [Stage("labels", LABEL_WEIGHTS, None, 1, 0), *after]


def of_signs(schema: Schema, classes: Array) -> Schema:
    """Describe data whose labels are seen as signs."""
    n_targets = Signs(classes).n_columns
    return replace(schema, n_targets=n_targets, y_is_1d=False, target_names=None)
