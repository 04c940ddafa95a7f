"""Fitted models as results: anything with scikit-learn's attributes."""

from typing import Any

import numpy as np

from benchmarks.contenders.turn import Result


def coefficients(model: Any) -> Result:
    """Describe a linear model."""
    return {
        "coefficients": np.ravel(model.coef_).tolist(),
        "intercept": float(np.ravel(model.intercept_)[0]),
    }


def centres(model: Any) -> Result:
    """Describe a k-means model that started where all others started."""
    return {
        "centres": np.asarray(model.cluster_centers_).tolist(),
        "iterations": int(model.n_iter_),
    }


def inertia(model: Any) -> Result:
    """Describe a k-means model that drew its own start."""
    return {"inertia": float(model.inertia_)}


def moments(model: Any) -> Result:
    """Describe a standard scaler."""
    return {"mean": model.mean_.tolist(), "scale": model.scale_.tolist()}


def chosen(model: Any) -> Result:
    """Describe a linear model whose penalty was chosen."""
    penalty = model.alpha_ if hasattr(model, "alpha_") else model.C_
    return {"penalty": float(np.ravel(penalty)[0])} | coefficients(model)
