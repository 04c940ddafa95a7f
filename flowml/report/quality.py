"""How good a model is: what it knows from its fit, and what its score is called."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier

from flowml.linear_model.categorical import names_of_coefficients
from flowml.linear_model.generalized_linear_model import GeneralizedLinearModel

FROM_SUMMARY = {"r_squared": "R²", "pseudo_r_squared": "Pseudo-R²"}


def summary_of(model: Any) -> Any:
    """Return a model's summary; None where it has none without data, or none of all its targets."""
    try:
        return model.summary() if hasattr(model, "summary") else None
    except ValueError:
        return None


def fit_measures(model: Any) -> dict[str, float]:
    """Return how good a model is on the rows that it was fitted to, where it knows."""
    if hasattr(model, "inertia_"):
        return {"Inertia": float(model.inertia_)}
    summary = summary_of(model)
    known = {} if summary is None else summary.measures
    return {label: float(known[name]) for name, label in FROM_SUMMARY.items() if name in known}


def score_name(model: Any) -> str:
    """Return what a model's ``score`` is."""
    if hasattr(model, "inertia_"):
        return "Inertia"
    if is_classifier(model):
        return "Accuracy"
    return "D²" if isinstance(model, GeneralizedLinearModel) else "R²"


def coefficient_table(model: Any, target_names: tuple[str, ...] | None) -> pd.DataFrame:
    """Return a model's coefficients, a column for each class or target."""
    coef = np.atleast_2d(model.coef_)
    columns = list(target_names or ())
    if is_classifier(model):
        columns = [str(label) for label in model.classes_[-len(coef) :]]
    if len(columns) != len(coef):
        columns = ["coefficient"] if len(coef) == 1 else [f"y{i}" for i in range(len(coef))]
    return pd.DataFrame(coef.T, pd.Index(names_of_coefficients(model)), columns)
