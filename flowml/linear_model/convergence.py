"""What to say where a minimisation has not converged, and what to change."""

from collections.abc import Sequence

import numpy as np

from flowml.linear_model.minimising import Minimum, Options
from flowml.solvers.glm_statistics import Evidence, collinear_columns

NAMED_COLUMNS = 10
"""Most columns that a warning names."""


def collinear_problem(evidence: Evidence, names: Sequence[str], remedy: str) -> str | None:
    """Say which columns others make up, if any, so that many coefficients fit equally well.

    Parameters
    ----------
    evidence : Evidence
    names : sequence of str
        Of the coefficients.
    remedy : str
        How to set a penalty.
    """
    involved, rank = collinear_columns(evidence)
    if not involved.any():
        return None
    if evidence.rows <= len(involved):
        problem = f"{int(evidence.rows)} rows don't determine {len(involved)} coefficients"
    else:
        listed = _listed(names, np.flatnonzero(involved).tolist())
        problem = f"columns {listed} are collinear (rank {rank})"
    return (
        f"{problem}: many solutions fit equally well, and one of them is taken. Drop columns, or "
        f"{remedy}"
    )


def problem_of(minimum: Minimum, options: Options, names: Sequence[str], remedy: str) -> str:
    """Say what kept a fit from converging, and what to change.

    Parameters
    ----------
    minimum : Minimum
    options : Options
    names : sequence of str
        Of the coefficients.
    remedy : str
        How to set a penalty, without which coefficients may grow for ever.
    """
    where = f"{minimum.violation:.1e}, above tol={options.tol}"
    if minimum.growing:
        listed = _listed(names, minimum.growing)
        return (
            f"columns {listed} separate some rows perfectly (quasi-complete separation: one label "
            "only, or no count above zero), so that without a penalty their coefficients grow for "
            f"ever: {remedy}, or drop them"
        )
    if minimum.separated:
        return (
            "the classes are perfectly separated, so that without a penalty the coefficients grow "
            f"for ever: {remedy}"
        )
    if minimum.stuck:
        return (
            f"no step lowers the objective any more, and the steepest way down is still {where}: "
            "scale the columns, or raise tol"
        )
    return (
        f"after max_iter={options.max_iter} passes the steepest way down is still {where}: raise "
        "max_iter or tol"
    )


def _listed(names: Sequence[str], places: Sequence[int]) -> str:
    named = [names[place] for place in places[:NAMED_COLUMNS]]
    more = len(places) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")
