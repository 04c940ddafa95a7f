"""One pass over a ring: all ranks get all subtrees and merge them, or add up plain vectors."""

import pickle
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold, Summary
from flowml.kernels.rows import Array
from flowml.runtimes.allreduce.ring import Ring
from flowml.runtimes.flat import Flat, Form, flatten, unflatten
from flowml.runtimes.span import Span
from flowml.runtimes.tree import Nodes, join, root

SUM_ABOVE = 1 << 20
"""Bytes of a rank's subtrees above which an additive fold's summaries are added up as vectors:
they are sent once and not to every rank, for which the order of the additions is the ring's, and
the last bits are others than those of the fixed tree."""


class Word(NamedTuple):
    """What a rank sends to all in a pass.

    Attributes
    ----------
    packed : bytes or None
        Its subtrees, pickled; None where they are too large to be sent to all.
    error : Exception or None
        What went wrong instead.
    stop : bool
        Whether it wants the loop to end after this pass.
    span : Span
        When it worked.
    facts : tuple of str
        What the ranks must agree on, with the first pass: the digest of solver and state, and the
        kind of the rows.
    """

    packed: bytes | None
    error: Exception | None
    stop: bool
    span: Span
    facts: tuple[str, ...] = ()


class Sums(NamedTuple):
    """What a rank sends ahead of a sum.

    Attributes
    ----------
    form : Form
        None where it has no rows.
    size : int
        Of the vector of sums.
    maxima : ndarray
    """

    form: Form
    size: int
    maxima: Array


def packed(nodes: Nodes, fold: Fold, sum_above: int) -> bytes | None:
    """Return subtrees as they are sent to all; None if they are to be added up instead."""
    data = pickle.dumps(nodes, 5)
    return None if fold.additive and len(data) > sum_above else data


def total(ring: Ring, nodes: Nodes, words: Sequence[Word], fold: Fold) -> Summary:
    """Return the summary of all ranks' rows: the same object, to the bit, on each.

    All ranks have the same words, and so take the same branch.

    Parameters
    ----------
    ring : Ring
    nodes : Nodes
        This rank's subtrees.
    words : sequence of Word
        All ranks'.
    fold : Fold
    """
    if any(word.packed is None for word in words):
        return _summed(ring, nodes, fold)
    return root(join((pickle.loads(word.packed or b"") for word in words), fold), fold)


def _summed(ring: Ring, nodes: Nodes, fold: Fold) -> Summary:
    """Add up as vectors; a rank without rows adds nothing."""
    own = flatten(root(nodes, fold), fold) if nodes else None
    ahead = Sums(None, 0, np.empty(0)) if own is None else Sums(own.form, own.sums.size, own.maxima)
    all_parts: list[Sums] = [pickle.loads(part) for part in ring.gather(pickle.dumps(ahead, 5))]
    parts = [part for part in all_parts if part.form is not None]
    form, size, _ = parts[0]
    if any(part.form != form for part in parts):
        raise ValueError("summaries of different forms can't be added up")
    sums = ring.total(np.zeros(size) if own is None else own.sums)
    return unflatten(Flat(sums, np.max([part.maxima for part in parts], axis=0), form))


def said(ring: Ring, word: Word) -> list[Word]:
    """Return what all ranks say."""
    return [pickle.loads(part) for part in ring.gather(pickle.dumps(word, 5))]
