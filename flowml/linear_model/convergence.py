"""What to say where a minimisation has not converged, and what to change."""

from collections.abc import Sequence

from flowml.linear_model.minimising import Minimum, Options

NAMED_COLUMNS = 10
"""Most columns that a warning names."""


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
        named = [names[place] for place in minimum.growing[:NAMED_COLUMNS]]
        more = len(minimum.growing) - len(named)
        listed = ", ".join(named) + (f" and {more} more" if more else "")
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
