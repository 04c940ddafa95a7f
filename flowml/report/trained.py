"""What a report is about: a model, and what its training took."""

from dataclasses import dataclass
from typing import Any

from flowml.data.dataset import Dataset
from flowml.drive.plan import Plan


@dataclass(frozen=True)
class Trained:
    """A fitted model and what was measured.

    Parameters
    ----------
    model : estimator
        Fitted.
    data : str
        Where the rows came from.
    dataset : Dataset
    plan : Plan
        What was promised.
    seconds : float
        Of the fit.
    peak_bytes : int
        Memory of the process that grew most, over what it held before.
    place : str
        What the fit ran on.
    scores : dict of str to float
    """

    model: Any
    data: str
    dataset: Dataset
    plan: Plan
    seconds: float
    peak_bytes: int
    place: str
    scores: dict[str, float]

    @property
    def n_rows(self) -> int | None:
        """Rows that the fit read in a pass, None where nobody counted them."""
        return self.dataset.n_rows
