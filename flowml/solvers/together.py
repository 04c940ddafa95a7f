"""Several solvers on the same passes: each block is read once for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.several import Asks, Summaries, several
from flowml.solvers.solver import Progress, Solver


class TogetherState(NamedTuple):
    """The members' states.

    Attributes
    ----------
    members : tuple
    """

    members: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Together:
    """Run solvers side by side until the last is done; each goes the way it goes alone.

    Parameters
    ----------
    solvers : sequence of Solver
    names : sequence of str, optional
        By which each finds its memory beside the rows again in a later stage.
    """

    solvers: Sequence[Solver]
    names: Sequence[str] | None = None

    @cached_property
    def fold(self) -> Fold:
        """The folds of all."""
        return several([solver.fold for solver in self.solvers], self.names)

    @property
    def max_passes(self) -> int:
        """Those of the longest."""
        return max(solver.max_passes for solver in self.solvers)

    def init(self) -> TogetherState:
        """Start all."""
        return TogetherState(tuple(solver.init() for solver in self.solvers))

    def ask(self, state: TogetherState) -> Asks:
        """Ask what those want to know that aren't done."""
        live = self._live(state)
        return Asks(live, tuple(self.solvers[i].ask(state.members[i]) for i in live))

    def step(self, state: TogetherState, summary: Summaries) -> TogetherState:
        """Step those that have asked."""
        members = list(state.members)
        for place in self._live(state):
            members[place] = self.solvers[place].step(members[place], summary.members[place])
        return TogetherState(tuple(members))

    def done(self, state: TogetherState) -> bool:
        """Stop when all are done."""
        return not self._live(state)

    def progress(self, state: TogetherState) -> Progress:
        """Report the mean objective, and the largest change of those that aren't done."""
        pairs = zip(self.solvers, state.members, strict=True)
        reports = [solver.progress(member) for solver, member in pairs]
        live = [reports[place].change for place in self._live(state)]
        mean = float(np.mean([report.objective for report in reports]))
        return Progress(mean, max(live) if live else max(report.change for report in reports))

    def _live(self, state: TogetherState) -> tuple[int, ...]:
        pairs = enumerate(zip(self.solvers, state.members, strict=True))
        return tuple(place for place, (solver, member) in pairs if not solver.done(member))
