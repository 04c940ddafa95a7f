"""The fold: how a block becomes a summary and how summaries merge; the law every kernel keeps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from flowml.kernels.rows import Rows

Ask: TypeAlias = Any
"""The part of a solver's state that travels to the data: None, arrays, or a NamedTuple of them."""

Summary: TypeAlias = Any
"""A NamedTuple of arrays whose sizes don't depend on the number of rows."""

Memory: TypeAlias = dict[str, Any]
"""What a kernel keeps beside its own rows between passes. It is never gathered, and a kernel that
finds it empty rebuilds it: the summary must come out with the same bits either way."""


def all_finite(summary: Summary) -> bool:
    """Tell whether every array of a summary is free of NaN and infinity."""
    return all(bool(np.isfinite(value).all()) for value in summary if value is not None)


@dataclass(frozen=True)
class Fold:
    """A reduction over rows, as data: two module-level functions.

    Laws (held for every fold by ``tests/test_laws.py``): merging is associative up to rounding;
    the summary of no rows changes nothing; ``summarise(A ++ B)`` equals
    ``merge(summarise(A), summarise(B))``; a weight of 2 is the row twice, a weight of 0 the row
    absent.

    Parameters
    ----------
    summarise : callable ``(ask, rows) -> summary``, or ``(ask, rows, memory)``
        Pure in its arrays; must not write to them.
    merge : callable ``(left, right) -> summary``
        May write into `left`, never into `right`.
    uses_memory : bool
        Whether `summarise` takes the memory that lives beside the rows.
    finite : callable ``summary -> bool``
        False where the rows held a NaN or infinity that this fold can't take.
    takes_nan : bool
        Whether NaN is a missing value here, so that only infinity can be at fault.
    additive : bool
        Whether merging is adding, array by array and number by number, but for `maxima`. Sums of
        such summaries may be left to whoever adds plain vectors: a collective, a linear code.
    maxima : tuple of str
        Fields of an additive summary of which merging keeps the larger one.
    """

    summarise: Callable[..., Summary]
    merge: Callable[[Summary, Summary], Summary]
    uses_memory: bool = False
    finite: Callable[[Summary], bool] = all_finite
    takes_nan: bool = False
    additive: bool = False
    maxima: tuple[str, ...] = ()

    def __call__(self, ask: Ask, rows: Rows, memory: Memory) -> Summary:
        """Summarise rows, handing over the memory where this fold has any."""
        if self.uses_memory:
            return self.summarise(ask, rows, memory)
        return self.summarise(ask, rows)
