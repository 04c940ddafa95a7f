"""A solver that learns from a subset of the rows."""

from dataclasses import dataclass
from functools import cached_property

from flowml.kernels.fold import Fold, Summary
from flowml.kernels.masked import MaskedAsk, masked
from flowml.kernels.splits import Subset
from flowml.solvers.solver import Progress, Solver, State


@dataclass(frozen=True, eq=False)
class Masked:
    """Go the way that a solver goes where the subset is all there is.

    Parameters
    ----------
    solver : Solver
    subset : Subset
    """

    solver: Solver
    subset: Subset

    @cached_property
    def fold(self) -> Fold:
        """The solver's own, over the subset."""
        return masked(self.solver.fold)

    @property
    def max_passes(self) -> int:
        """The solver's own."""
        return self.solver.max_passes

    def init(self) -> State:
        """Start the solver."""
        return self.solver.init()

    def ask(self, state: State) -> MaskedAsk:
        """Ask the solver's question about the subset."""
        return MaskedAsk(self.subset, self.solver.ask(state))

    def step(self, state: State, summary: Summary) -> State:
        """Step the solver."""
        return self.solver.step(state, summary)

    def done(self, state: State) -> bool:
        """Stop when the solver does."""
        return self.solver.done(state)

    def progress(self, state: State) -> Progress:
        """Report the solver's."""
        return self.solver.progress(state)
