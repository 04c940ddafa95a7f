"""Several folds over the same rows: a block is read once for all of them."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from flowml.kernels.fold import Ask, Fold, Memory, Summary
from flowml.kernels.rows import Rows


class Summaries(NamedTuple):
    """The summaries of several folds, None for one that wasn't asked.

    Attributes
    ----------
    members : tuple
    """

    members: tuple[Any, ...]


class Asks(NamedTuple):
    """What each of several folds is asked; one that isn't listed in `live` rests.

    Attributes
    ----------
    live : tuple of int
        Places of the folds that are asked.
    asks : tuple
        For each of these.
    """

    live: tuple[int, ...]
    asks: tuple[Ask, ...]


def several(folds: Sequence[Fold], names: Sequence[str] | None = None) -> Fold:
    """Return the fold that runs folds side by side; it takes `Asks` and gives `Summaries`.

    Parameters
    ----------
    folds : sequence of Fold
    names : sequence of str, optional
        Of the memory that each has beside the rows, which outlives the fold: it is found again by
        the fold of the same name in the next. By default names are places.
    """
    members = tuple(folds)
    names = tuple(map(str, range(len(members))) if names is None else names)
    return Fold(
        partial(_summarise, members, names),
        partial(_merge, members),
        uses_memory=True,
        finite=partial(_finite, members),
        takes_nan=all(fold.takes_nan for fold in members),
        additive=all(fold.additive for fold in members),
        maxima=tuple(sorted({name for fold in members for name in fold.maxima})),
    )


def members_of(fold: Fold) -> tuple[Fold, ...]:
    """Return the folds that are run side by side, or the one that is run alone.

    Examples
    --------
    >>> one = Fold(None, None)
    >>> members_of(several([one, one])) == (one, one), members_of(one) == (one,)
    (True, True)
    """
    run = fold.summarise
    return run.args[0] if isinstance(run, partial) and run.func is _summarise else (fold,)


def _summarise(
    folds: tuple[Fold, ...], names: tuple[str, ...], ask: Asks, rows: Rows, memory: Memory
) -> Summaries:
    """Ask each live fold; each has a memory of its own, and that of others is let go."""
    for stale in memory.keys() - set(names):
        del memory[stale]
    members: list[Summary] = [None] * len(folds)
    for place, question in zip(ask.live, ask.asks, strict=True):
        members[place] = folds[place](question, rows, memory.setdefault(names[place], {}))
    return Summaries(tuple(members))


def _merge(folds: tuple[Fold, ...], left: Summaries, right: Summaries) -> Summaries:
    pairs = zip(folds, left.members, right.members, strict=True)
    return Summaries(
        tuple(None if one is None else fold.merge(one, other) for fold, one, other in pairs)
    )


def _finite(folds: tuple[Fold, ...], summary: Summaries) -> bool:
    pairs = zip(folds, summary.members, strict=True)
    return all(member is None or fold.finite(member) for fold, member in pairs)
