"""Which solver minimises an objective, and why."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from flowml.kernels.fold import Ask
from flowml.kernels.linear_loss import Target
from flowml.losses.kinked import KinkedLoss
from flowml.losses.loss import Loss
from flowml.penalties.elastic_net import ElasticNet
from flowml.solvers.admm import Admm
from flowml.solvers.block_descent import BlockDescent
from flowml.solvers.fista import Fista
from flowml.solvers.globbing import Globbing
from flowml.solvers.lbfgs import Lbfgs
from flowml.solvers.newton import Newton
from flowml.solvers.objective import Objective, Start
from flowml.solvers.solver import Solver

VALUE_NS, STORED_NS = 1.0, 5.0
"""Nanoseconds for a value of a row and an output in a pass for the gradient, of dense rows and of
others. These and the next were measured on one core of two; the choice goes by their ratios."""
PAIR_NS, STORED_PAIR_NS = 0.1, 3.0
"""The same for a pair of them in a pass for the curvature."""
ENTRY_NS = 5.0
"""For each number of a curvature matrix that is summed up with the next leaf's."""
LEAF_VALUES, LEAF_ROWS = 1_000_000, 1 << 16
SOLVE_NS = 0.1
"""For one of the :math:`P^3 / 3` steps that factor a curvature matrix of P parameters."""
NEWTON_PASSES, NEWTON_SOLVES = 3, 6
SMOOTH_PASSES, KINKED_PASSES = 13, 40
"""What L-BFGS takes of well-conditioned columns, and FISTA between the 15 for independent columns
and the 100 and more for such that are correlated by a half."""
WORTH = 4.0
"""How many times as much Newton's method may cost: its passes don't depend on the condition, and
it alone keeps the curvature that standard errors are made of."""
CHEAP = 0.5
"""Seconds below which it may cost any number of times as much."""
USUAL_ROWS, USUAL_SHARE = 1_000_000, 0.01
"""Where they aren't known: how many rows, and what share of their values CSR stores."""
HELD, SHARE_OF_MEMORY = 4, 0.25
"""Curvature matrices that are held at once, and what share of the memory they may take."""
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
    "block_descent": Method(BlockDescent, takes_kinks=True, has_curvature=False),
    "admm": Method(Admm, takes_kinks=True, has_curvature=True),
}


class Work(NamedTuple):
    """What the cost of a pass depends on.

    Attributes
    ----------
    parameters : int
        Of all outputs.
    outputs : int
    rows : float or None
        None where they aren't counted yet.
    stored : float or None
        Values that a row stores, where that is less than all: of CSR rows on average, of
        categorical ones their number. None for dense rows.
    memory : int or None
        Bytes that a process has, None where that isn't known.
    """

    parameters: int
    outputs: int = 1
    rows: float | None = None
    stored: float | None = None
    memory: int | None = None

    def gradient_seconds(self) -> float:
        """Return what a pass costs that sums up the gradient."""
        return self._n_rows * self._row_seconds()

    def curvature_seconds(self) -> float:
        """Return what a pass costs that sums up the curvature too."""
        values, pair = self._values, PAIR_NS if self.stored is None else STORED_PAIR_NS
        pairs = 0.5 * values**2 * 0.5 * self.outputs * (self.outputs + 1)
        leaf = min(LEAF_ROWS, LEAF_VALUES / max(values, 1.0))
        entries = self.parameters**2 / min(leaf, self._n_rows)
        more = pair * pairs + ENTRY_NS * entries
        return self._n_rows * (self._row_seconds() + 1e-9 * more)

    def newton_seconds(self) -> float:
        """Return what Newton's method costs."""
        solves = NEWTON_SOLVES * 1e-9 * SOLVE_NS * self.parameters**3 / 3
        return NEWTON_PASSES * self.curvature_seconds() + solves

    @property
    def curvature_bytes(self) -> int:
        """Size of a curvature matrix."""
        return 8 * self.parameters**2

    @property
    def _n_rows(self) -> float:
        return max(USUAL_ROWS if self.rows is None else self.rows, 1.0)

    @property
    def _values(self) -> float:
        of_output = self.parameters / self.outputs
        return of_output if self.stored is None else min(self.stored, of_output)

    def _row_seconds(self) -> float:
        cost = VALUE_NS if self.stored is None else STORED_NS
        return 1e-9 * cost * self._values * self.outputs


def choose_solver(wanted: str, work: Work, kinks: bool) -> tuple[str, str]:
    """Return a solver's name, and why it is that one.

    "auto" is "newton" where that costs at most `WORTH` times as much as a method without curvature,
    or next to nothing, and where memory holds its matrices: it alone keeps what `summary()` needs
    without the rows. Otherwise it is "lbfgs", or "fista" where the penalty has kinks.

    Parameters
    ----------
    wanted : str
        "auto" or a key of `SOLVERS`.
    work : Work
    kinks : bool
        Whether the penalty holds absolute values or bounds.

    Raises
    ------
    ValueError
        If the wanted solver can't take such a penalty, or so many parameters.

    Examples
    --------
    >>> choose_solver("auto", Work(51), kinks=False)
    ('newton', '51 parameters: a pass with curvature costs as much as 3.6 without')
    >>> choose_solver("auto", Work(1001), kinks=False)
    ('lbfgs', '1,001 parameters: a pass with curvature would cost as much as 56 without')
    >>> choose_solver("auto", Work(100_001), kinks=True)[0]
    'fista'
    """
    if wanted == "auto":
        return _cheapest(work, kinks)
    if kinks and not SOLVERS[wanted].takes_kinks:
        able = ", ".join(repr(name) for name, method in SOLVERS.items() if method.takes_kinks)
        raise ValueError(
            f"solver={wanted!r} can't take a penalty with absolute values (l1_ratio above 0) or "
            f"bounds: give solver='auto' or one of {able}"
        )
    size = work.curvature_bytes
    if SOLVERS[wanted].has_curvature and size > MOST_CURVATURE:
        raise ValueError(
            f"solver={wanted!r} would need a curvature matrix of {size / 1e9:.2g} GB for "
            f"{work.parameters:,} parameters: give solver='auto', 'lbfgs' or 'fista'"
        )
    return wanted, "as asked for"


def _cheapest(work: Work, kinks: bool) -> tuple[str, str]:
    """Return the solver that is worth its cost, and why."""
    name, passes = ("fista", KINKED_PASSES) if kinks else ("lbfgs", SMOOTH_PASSES)
    parameters, size = f"{work.parameters:,} parameters", work.curvature_bytes
    room = np.inf if work.memory is None else SHARE_OF_MEMORY * work.memory
    if size > MOST_CURVATURE or HELD * size > room:
        return name, f"{parameters}: a curvature matrix would hold {size / 1e9:.2g} GB"
    ratio = work.curvature_seconds() / max(work.gradient_seconds(), 1e-9)
    times = f"as much as {ratio:.2g} without" if ratio < 10 else f"as much as {ratio:,.0f} without"
    seconds = work.newton_seconds()
    if seconds <= max(CHEAP, WORTH * passes * work.gradient_seconds()):
        return "newton", f"{parameters}: a pass with curvature costs {times}"
    return name, f"{parameters}: a pass with curvature would cost {times}"


def planned_ask(solver: Solver) -> Ask:
    """Return a question as long as those that a solver asks in most passes, or longer."""
    state = solver.init()
    return solver.ask(solver.late(state) if isinstance(solver, Admm) else state)


def planned(name: str, loss: Loss, n_features: int, max_passes: int) -> Solver:
    """Return a solver that asks questions of the shape that a fit's will have."""
    objective = Objective(loss, ElasticNet(), Target(), np.zeros(n_features), np.ones(n_features))
    nothing = np.zeros(objective.shape)
    if isinstance(loss, KinkedLoss):
        return Globbing(objective, nothing, np.inf, 0.0, max_passes)
    solver: Solver = SOLVERS[name].make(objective, Start(nothing, nothing, np.inf), 0.0, max_passes)
    return solver
