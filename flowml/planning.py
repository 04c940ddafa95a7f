"""``flowml.plan``: what a fit will cost, from an estimator and its data."""

from typing import Any

from sklearn.base import clone

from flowml.config import get_config
from flowml.drive.plan import Plan
from flowml.estimator import PassEstimator
from flowml.runtimes.choose import choose


def plan(estimator: PassEstimator, X: Any, y: Any = None, sample_weight: Any = None) -> Plan:
    """Say what ``estimator.fit(X, y, sample_weight)`` would cost here and now.

    Nothing is computed, loaded or sent anywhere, and the estimator stays as it is.

    Parameters
    ----------
    estimator : estimator of flowml
    X : array, frame, CSR array, Dask collection or Dataset of shape (n_rows, n_features)
    y : target of shape (n_rows,) or (n_rows, n_targets), optional
    sample_weight : array of shape (n_rows,), optional

    Returns
    -------
    Plan
        Passes, tasks and bytes per pass, peak memory, where it runs and why; `graph` is the lazy
        Dask graph of one pass.

    Raises
    ------
    TypeError, ValueError
        Where ``fit`` would raise them before its first pass.

    Examples
    --------
    >>> import numpy as np, flowml
    >>> from flowml.preprocessing import StandardScaler
    >>> plan = flowml.plan(StandardScaler(), np.ones((1000, 4)))
    >>> plan.passes, plan.bytes_per_pass, plan.runtime
    (1, 32000, 'threads')
    """
    if not isinstance(estimator, PassEstimator):
        raise TypeError(f"plan takes an estimator of flowml, got {type(estimator).__name__}")
    unfitted = clone(estimator)
    dataset = unfitted._dataset(X, y, sample_weight)
    stages = tuple(unfitted._stages(dataset.measured))
    return Plan(type(estimator).__name__, dataset, stages, choose(dataset, get_config()))
