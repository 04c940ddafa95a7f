"""Which solver minimises an objective, and why."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from flowml.kernels.linear_loss import Target
from flowml.losses.kinked import KinkedLoss
from flowml.losses.loss import Loss
from flowml.penalties.elastic_net import ElasticNet
from flowml.solvers.admm import Admm
from flowml.solvers.fista import Fista
from flowml.solvers.globbing import Globbing
from flowml.solvers.lbfgs import Lbfgs
from flowml.solvers.newton import Newton
from flowml.solvers.objective import Objective, Start
from flowml.solvers.solver import Solver

NEWTON_PARAMETERS = 2000
"""Up to here a curvature matrix is cheap beside the passes that it saves."""
MOST_CURVATURE = 4 << 30
"""Bytes of a curvature matrix above which none is made."""


class Method(NamedTuple):
    """A solver as a choice.

    Attributes
    ----------
    make : callable
        From an objective, a start, a tolerance and a number of passes.
    takes_kinks : bool
        Whether the penalty may hold absolute values or bounds.
    has_curvature : bool
        Whether it holds a matrix with a row for each parameter.
    """

    make: Callable[..., Any]
    takes_kinks: bool
    has_curvature: bool


SOLVERS = {
    "newton": Method(Newton, takes_kinks=True, has_curvature=True),
    "lbfgs": Method(Lbfgs, takes_kinks=False, has_curvature=False),
    "fista": Method(Fista, takes_kinks=True, has_curvature=False),
    "admm": Method(Admm, takes_kinks=True, has_curvature=True),
}


def choose_solver(wanted: str, n_parameters: int, kinks: bool) -> tuple[str, str]:
    """Return a solver's name, and why it is that one.

    Parameters
    ----------
    wanted : str
        "auto" or a key of `SOLVERS`.
    n_parameters : int
    kinks : bool
        Whether the penalty holds absolute values or bounds.

    Raises
    ------
    ValueError
        If the wanted solver can't take such a penalty, or so many parameters.

    Examples
    --------
    >>> choose_solver("auto", 51, kinks=False)
    ('newton', '51 parameters: a curvature matrix is cheap')
    >>> choose_solver("auto", 100_001, kinks=True)[0]
    'fista'
    """
    size = 8 * n_parameters**2
    if wanted == "auto":
        if n_parameters <= NEWTON_PARAMETERS:
            return "newton", f"{n_parameters:,} parameters: a curvature matrix is cheap"
        many = f"{n_parameters:,} parameters: a curvature matrix would hold {size / 1e9:.2g} GB"
        if kinks:
            return "fista", f"{many}, and the penalty has kinks"
        return "lbfgs", f"{many}, and the penalty is smooth"
    if kinks and not SOLVERS[wanted].takes_kinks:
        able = ", ".join(repr(name) for name, method in SOLVERS.items() if method.takes_kinks)
        raise ValueError(
            f"solver={wanted!r} can't take a penalty with absolute values (l1_ratio above 0) or "
            f"bounds: give solver='auto' or one of {able}"
        )
    if SOLVERS[wanted].has_curvature and size > MOST_CURVATURE:
        raise ValueError(
            f"solver={wanted!r} would need a curvature matrix of {size / 1e9:.2g} GB for "
            f"{n_parameters:,} parameters: give solver='auto', 'lbfgs' or 'fista'"
        )
    return wanted, "as asked for"


def planned(name: str, loss: Loss, n_features: int, max_passes: int) -> Solver:
    """Return a solver that asks questions of the shape that a fit's will have."""
    objective = Objective(loss, ElasticNet(), Target(), np.zeros(n_features), np.ones(n_features))
    nothing = np.zeros(objective.shape)
    if isinstance(loss, KinkedLoss):
        return Globbing(objective, nothing, np.inf, 0.0, max_passes)
    solver: Solver = SOLVERS[name].make(objective, Start(nothing, nothing, np.inf), 0.0, max_passes)
    return solver
