"""Turns of contenders that minimise: at the loosest tolerance that comes near enough."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders.turn import Run, Turn, Work
from benchmarks.problem import LARGEST_GAP, Problem, gap

TOLERANCES = (1e-3, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12)
CLEAR_PEAK = "5"


def reaching(
    work: Work,
    fit: Callable[[float], Any],
    parameters: Callable[[Any], tuple[Any, Any]] | None = None,
    count: Callable[[Any], dict[str, float]] | None = None,
) -> Run:
    """Make a turn of a fit, after trying untimed which tolerance it takes.

    Parameters
    ----------
    work : Work
        Its options say what is minimised, as a `Problem`'s fields, and perhaps the tolerances.
    fit : callable ``tolerance -> model``
    parameters : callable ``model -> (coefficients, intercept)``, optional
        By default scikit-learn's attributes.
    count : callable ``model -> dict of str to float``, optional
        What else is told beside the time.
    """
    problem = Problem(**work.options["problem"])
    parameters = parameters or (lambda model: (model.coef_, model.intercept_))

    def turn(tolerance: float) -> Turn:
        clear_peak()
        started = time.perf_counter()
        model = fit(tolerance)
        seconds, megabytes = time.perf_counter() - started, peak()
        coef, intercept = parameters(model)
        told = {"gap": gap(problem, work.folder, coef, intercept), "tol": tolerance}
        told |= {"peak MB": megabytes} | (count(model) if count else {})
        everything = np.append(np.ravel(coef), np.ravel(intercept))
        return Turn(seconds, {"largest": float(np.abs(everything).max())}, told)

    tolerances = work.options.get("tolerances", TOLERANCES)
    enough = (tol for tol in tolerances if (turn(tol).facts or {})["gap"] <= LARGEST_GAP)
    tolerance = next(enough, tolerances[-1])
    return lambda: turn(tolerance)


def passes(model: Any) -> dict[str, float]:
    """Tell how often flowml read the data."""
    return {"passes": float(model.n_passes_)}


def clear_peak() -> None:
    """Let the process's peak memory begin anew."""
    Path("/proc/self/clear_refs").write_text(CLEAR_PEAK)


def peak() -> float:
    """Return the process's peak memory since then, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1000
