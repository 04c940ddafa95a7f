"""The solver that refuses targets which a family of distributions can't have."""

from dataclasses import dataclass
from typing import Any

from flowml.kernels.fold import Summary
from flowml.kernels.target_range import FIRST_OUTSIDE
from flowml.losses.families import POSITIVE
from flowml.solvers.one_pass import OnePass, OnePassState
from flowml.solvers.solver import RowError


@dataclass(frozen=True)
class CheckTarget(OnePass):
    """Look at every target once; rides on a pass that is made anyway.

    Parameters
    ----------
    fold : Fold
    question : TargetRange
    family : str
        For the message.
    """

    fold: Any = FIRST_OUTSIDE
    family: str = ""

    def step(self, state: OnePassState, summary: Summary) -> OnePassState:
        """Keep the summary.

        Raises
        ------
        RowError
            If a row's target or exposure isn't allowed.
        """
        if summary.block >= 0:
            found, allowed = f"y holds {summary.value:g}", self.question.allowed
            needs = f"a target of the {self.family} family must be {allowed}"
            if summary.column == 1:
                found, needs = f"the exposure holds {summary.value:g}", f"it must be {POSITIVE}"
            raise RowError(found, summary.block, summary.row, needs)
        return OnePassState(summary)
