"""A fold that sees rows through a view: training rows, or one class against the rest."""

from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np

from flowml.kernels.fold import Ask, Fold, Memory, Summary
from flowml.kernels.rows import Rows
from flowml.kernels.scratch import once


class View(Protocol):
    """How rows look to a fold: fewer of them, or with another target; picklable, as data."""

    def see(self, rows: Rows) -> Rows:
        """Return the rows as they look; may not write to them."""


@dataclass(frozen=True)
class TargetsOnly:
    """Rows without their features: nothing of them is copied where rows are taken out."""

    def see(self, rows: Rows) -> Rows:
        """Return blocks whose X has no columns."""
        return once(_bare, rows)


TARGETS = TargetsOnly()


class MaskedAsk(NamedTuple):
    """What a fold is asked, and through which view.

    Attributes
    ----------
    view : View
        Folds that are asked through the same object one after the other share its rows.
    question : Ask
    """

    view: View
    question: Ask


def masked(fold: Fold) -> Fold:
    """Return the fold that takes `MaskedAsk`, and gives the summary of what is seen."""
    return replace(fold, summarise=partial(_summarise, fold), uses_memory=True)


def _summarise(fold: Fold, ask: MaskedAsk, rows: Rows, memory: Memory) -> Summary:
    return fold(ask.question, once(_seen, ask.view, rows), memory)


def _bare(rows: Rows) -> Rows:
    return [block._replace(X=np.empty((block.X.shape[0], 0))) for block in rows]


def _seen(view: View, rows: Rows) -> Rows:
    return view.see(rows)
