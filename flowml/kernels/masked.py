"""A fold that sees only a subset of the rows: training and test rows without copies of the data."""

from functools import partial
from typing import NamedTuple

from flowml.kernels.fold import Ask, Fold, Memory, Summary
from flowml.kernels.rows import Rows
from flowml.kernels.scratch import once
from flowml.kernels.splits import Subset, select


class MaskedAsk(NamedTuple):
    """What a fold is asked, and of which rows.

    Attributes
    ----------
    subset : Subset
        Folds that are asked about the same object one after the other share its rows.
    question : Ask
    """

    subset: Subset
    question: Ask


def masked(fold: Fold) -> Fold:
    """Return the fold that takes `MaskedAsk`, and gives the summary of the subset's rows."""
    return Fold(
        partial(_summarise, fold),
        fold.merge,
        uses_memory=True,
        finite=fold.finite,
        takes_nan=fold.takes_nan,
    )


def _summarise(fold: Fold, ask: MaskedAsk, rows: Rows, memory: Memory) -> Summary:
    return fold(ask.question, once(select, ask.subset, rows), memory)
