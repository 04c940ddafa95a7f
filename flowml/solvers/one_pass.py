"""The solver of everything that one summary settles: least squares, scaling, counting."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from flowml.kernels.fold import Ask, Fold, Summary
from flowml.solvers.solver import Progress


class OnePassState(NamedTuple):
    """The merged summary, None before the pass."""

    summary: Any


@dataclass(frozen=True)
class OnePass:
    """Ask once and keep the summary.

    Parameters
    ----------
    fold : Fold
    question : Ask
        What travels to the data.
    """

    fold: Fold
    question: Ask = None
    max_passes: int = 1

    def init(self) -> OnePassState:
        """Start with no summary."""
        return OnePassState(None)

    def ask(self, state: OnePassState) -> Ask:
        """Return the one question."""
        return self.question

    def step(self, state: OnePassState, summary: Summary) -> OnePassState:
        """Keep the summary."""
        return OnePassState(summary)

    def done(self, state: OnePassState) -> bool:
        """Stop once there is a summary."""
        return state.summary is not None

    def progress(self, state: OnePassState) -> Progress:
        """Nothing is minimised and nothing moves."""
        return Progress(float("nan"), float("nan"))
