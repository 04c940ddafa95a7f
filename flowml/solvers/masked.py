"""A solver that learns from rows seen through a view, such as a subset of them."""

from dataclasses import dataclass
from functools import cached_property

from flowml.kernels.fold import Fold, Summary
from flowml.kernels.masked import MaskedAsk, View, masked
from flowml.solvers.solver import Progress, Solver, State


@dataclass(frozen=True, eq=False)
class Masked:
    """Go the way that a solver goes where what is seen is all there is.

    Parameters
    ----------
    solver : Solver
    view : View
    """

    solver: Solver
    view: View

    @cached_property
    def fold(self) -> Fold:
        """The solver's own, over what is seen."""
        return masked(self.solver.fold)

    @property
    def max_passes(self) -> int:
        """The solver's own."""
        return self.solver.max_passes

    def init(self) -> State:
        """Start the solver."""
        return self.solver.init()

    def ask(self, state: State) -> MaskedAsk:
        """Ask the solver's question about what is seen."""
        return MaskedAsk(self.view, self.solver.ask(state))

    def step(self, state: State, summary: Summary) -> State:
        """Step the solver."""
        return self.solver.step(state, summary)

    def done(self, state: State) -> bool:
        """Stop when the solver does."""
        return self.solver.done(state)

    def progress(self, state: State) -> Progress:
        """Report the solver's."""
        return self.solver.progress(state)
