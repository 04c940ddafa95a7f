"""The runtime: whoever holds the shards and adds the summaries up."""

from typing import Protocol

from flowml.data.dataset import Dataset
from flowml.kernels.fold import Ask, Fold, Summary
from flowml.runtimes.placement import Placement


class Runtime(Protocol):
    """Holds a dataset's shards for the length of a fit."""

    @property
    def dataset(self) -> Dataset:
        """The data that it holds."""

    @property
    def placement(self) -> Placement:
        """What sits where."""

    def one_pass(self, fold: Fold, ask: Ask) -> Summary:
        """Summarise all rows once."""

    def close(self) -> None:
        """Let go of everything: nothing outlives the fit."""
