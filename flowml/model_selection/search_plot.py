"""The plot of a search: scores over one parameter, a line for each setting of the others."""

from numbers import Real
from typing import Any

import numpy as np

MOST_LINES = 10
"""Settings of the other parameters with a line each; where there are more, points are drawn."""


def plot_scores(table: dict[str, Any], score: str, parameter: str | None, ax: Any) -> None:
    """Draw mean test scores, with their spread over the splits.

    Parameters
    ----------
    table : dict of str to array
        A search's ``cv_results_``.
    score : str
    parameter : str or None
        Whose values are the horizontal axis; None is the number that varies most, or else the
        candidates' places.
    ax : matplotlib.axes.Axes
    """
    values = _varying(table["params"])
    numbers = [name for name, column in values.items() if all(map(_is_number, column))]
    if parameter is None:
        parameter = max(numbers, key=lambda name: len(set(values[name])), default=None)
    elif parameter not in values:
        listed = ", ".join(values) or "none"
        raise ValueError(f"parameter={parameter!r} doesn't vary in this search; these do: {listed}")
    where = np.arange(len(table["params"]))
    if parameter is not None:
        where = np.array(values[parameter])
        where = where if parameter in numbers else where.astype(str)
    settings = _settings(values, parameter, len(where))
    lines: list[str | None] = [*sorted(set(settings))]
    if len(lines) > MOST_LINES:
        lines = [None]
    style = ".-" if parameter in numbers and lines != [None] else "."
    for setting in lines:
        rows = np.flatnonzero([setting in (None, own) for own in settings])
        rows = rows[np.argsort(where[rows], kind="stable")]
        mean, spread = (table[f"{name}_test_{score}"][rows] for name in ("mean", "std"))
        ax.errorbar(where[rows], mean, yerr=spread, fmt=style, capsize=2, label=setting)
    if len(lines) > 1:
        ax.legend()
    if parameter in numbers and where.min() > 0 and where.max() > 100 * where.min():
        ax.set_xscale("log")
    ax.set(xlabel=parameter or "candidate", ylabel=f"mean test {score}")


def _settings(values: dict[str, list[Any]], parameter: str | None, n_candidates: int) -> list[str]:
    """Write each candidate's values of all parameters but one."""
    if parameter is None:
        return [""] * n_candidates
    others = [name for name in values if name != parameter]
    rows = range(n_candidates)
    return [", ".join(f"{name}={values[name][row]}" for name in others) for row in rows]


def _varying(params: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return the values of the parameters that differ between candidates."""
    names = dict.fromkeys(name for one in params for name in one)
    values = {name: [one.get(name) for one in params] for name in names}
    return {name: column for name, column in values.items() if len(set(map(repr, column))) > 1}


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
