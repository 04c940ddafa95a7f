"""What several linear classifiers say of the same rows, from one product for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flowml.kernels.rows import Array, Matrix, is_sparse
from flowml.kernels.scratch import once
from flowml.linear_model.label_output import label_of
from flowml.linear_model.logistic_regression import LogisticRegression, shares


@dataclass(frozen=True, eq=False)
class Joint:
    """The predictors of several models.

    Parameters
    ----------
    coef : ndarray of shape (n_models * n_outputs, n_features)
    intercept : ndarray of shape (n_models * n_outputs, 1)
    """

    coef: Array
    intercept: Array


@dataclass(frozen=True, eq=False)
class JointAnswer:
    """What one of the models says of rows; of two classes' probabilities the second one's.

    Parameters
    ----------
    joint : Joint
    outputs : slice
        The model's.
    classes : ndarray of shape (n_classes,)
    method : {"predict", "decision_function", "predict_proba"}
    """

    joint: Joint
    outputs: slice
    classes: Array
    method: str

    def __call__(self, X: Matrix) -> Array:
        """Return predictions or scores."""
        eta = once(_predictors, self.joint, X)[self.outputs].T
        if self.method == "predict":
            return label_of(eta, self.classes)
        if self.method == "decision_function":
            return eta[:, 0] if eta.shape[1] == 1 else eta
        probabilities = shares(eta)
        return probabilities[:, 1] if eta.shape[1] == 1 else probabilities


@dataclass(frozen=True, eq=False)
class Answering:
    """A fitted model as `fit_scores.Fit` takes it, one of several that answer together.

    Parameters
    ----------
    joint : Joint
    outputs : slice
    classes : ndarray of shape (n_classes,)
    """

    joint: Joint
    outputs: slice
    classes: Array

    def __call__(self, method: str) -> JointAnswer:
        """Return the function of rows that stands for a method."""
        return JointAnswer(self.joint, self.outputs, self.classes, method)


def answer_together(models: Sequence[LogisticRegression]) -> list[Any]:
    """Return what answers for each of several fitted models, of numeric columns."""
    coef = np.concatenate([model.coef_ for model in models])
    intercept = np.concatenate([model.intercept_ for model in models])
    joint, width = Joint(coef, intercept[:, np.newaxis]), len(models[0].coef_)
    return [
        Answering(joint, slice(place * width, (place + 1) * width), model.classes_)
        for place, model in enumerate(models)
    ]


def _predictors(joint: Joint, X: Matrix) -> Array:
    """Return the predictors of all, of shape (n_models * n_outputs, n_rows)."""
    eta = (X @ joint.coef.T).T if is_sparse(X) else joint.coef @ X.T
    predictors: Array = eta + joint.intercept
    return predictors
