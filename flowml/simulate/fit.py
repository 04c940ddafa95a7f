"""The fit: a cost model from measured passes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from flowml.kernels.rows import Array
from flowml.simulate.cost_model import CostModel
from flowml.simulate.schedule import Schedule
from flowml.simulate.timeline import Timeline
from flowml.simulate.workload import Workload

ROUNDS = 30
SETTLED = 1e-6
PATIENCE = 4
"""Turns without a better fit."""
PULL = 1e-4
"""Weight of a cost's distance from where it starts, in times of that, against a measured pass's
error: for what no pass tells, or only together with others. By Bayes' rule that is the square of
the errors that are left (0.07) over that of what the costs are known to beforehand (0.7)."""


@dataclass(frozen=True)
class Measured:
    """A pass that was measured.

    Parameters
    ----------
    schedule : Schedule
        What it ran on.
    work : Workload
    seconds : float
        What it usually took, above 0.
    """

    schedule: Schedule
    work: Workload
    seconds: float


def predicted(measured: Measured, costs: CostModel) -> float:
    """Return the seconds that the pass takes by a model, when nobody is slow."""
    return _undisturbed(measured, costs).total


def relative_errors(measured: Sequence[Measured], costs: CostModel) -> Array:
    """Return by what share the model is above each measured time, of shape (n_measured,)."""
    return np.array([predicted(one, costs) / one.seconds - 1.0 for one in measured])


def fitted(measured: Sequence[Measured], costs: CostModel) -> CostModel:
    r"""Fit the costs to measured passes by least squares of the relative errors.

    A pass takes :math:`u^T c` seconds, with the costs c and the units u along its critical path.
    Which path that is depends on the costs: so costs and paths are found by turns, costs with
    none below zero (Lawson & Hanson's non-negative least squares), and the best are kept.

    Parameters
    ----------
    measured : sequence of Measured
    costs : CostModel
        Where to start, with the machine's cores. Costs that no pass tells apart stay near it.

    Returns
    -------
    CostModel

    Raises
    ------
    ValueError
        Without passes, or if one took no time.
    """
    if not measured or not min(one.seconds for one in measured) > 0.0:
        raise ValueError("a cost model is fitted from passes that took some time; got none, or 0 s")
    anchor = costs.seconds
    seconds = np.array([one.seconds for one in measured])
    best, least, since = costs, np.inf, 0
    for _ in range(ROUNDS):
        timelines = [_undisturbed(one, costs) for one in measured]
        error = float(np.square([t.total for t in timelines] / seconds - 1.0).sum())
        since += 1
        if error < least * (1.0 - SETTLED):
            best, least, since = costs, error, 0
        if since > PATIENCE:
            break
        units = np.array([timeline.critical_units() for timeline in timelines])
        slept = np.array([timeline.slept for timeline in timelines])
        found = _solved(units / seconds[:, None], 1.0 - slept / seconds, anchor)
        step = 0.5 if since else 1.0  # paths that change to and fro meet in between
        moved = costs.seconds + step * (found - costs.seconds)
        costs = costs.with_seconds(moved)
    return best


def _undisturbed(measured: Measured, costs: CostModel) -> Timeline:
    return measured.schedule.simulate(measured.work, costs, np.ones((1, measured.work.n_workers)))


def _solved(units: Array, wanted: Array, anchor: Array) -> Array:
    """Solve ``units @ costs = wanted`` for costs that aren't negative, with a slight pull."""
    pull = np.sqrt(PULL * len(units))
    system = np.vstack([units * anchor, pull * np.eye(len(anchor))])
    relative, _ = nnls(system, np.append(wanted, np.full(len(anchor), pull)))
    found: Array = relative * anchor
    return found
