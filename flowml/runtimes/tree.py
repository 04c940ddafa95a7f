"""The fixed merge tree: the same additions in the same order, whoever makes them.

Leaves are numbered ``0 .. n-1``. Node ``(level, i)`` covers the leaves
``i * 2**level .. (i + 1) * 2**level - 1`` and is only ever made from its two halves, so a worker
can merge the complete subtrees it holds, send the few that are left, and the result has the same
bits for any placement.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

from flowml.kernels.fold import Fold, Summary

Node: TypeAlias = tuple[int, int]
Nodes: TypeAlias = dict[Node, Summary]


def add_leaf(nodes: Nodes, leaf: int, summary: Summary, fold: Fold) -> None:
    """Put a leaf's summary into the tree and merge every subtree that it completes."""
    add_node(nodes, (0, leaf), summary, fold)


def add_node(nodes: Nodes, node: Node, summary: Summary, fold: Fold) -> None:
    """Put a subtree's summary in and merge upwards as long as its sibling is there."""
    level, index = node
    while (sibling := (level, index ^ 1)) in nodes:
        other = nodes.pop(sibling)
        left, right = (other, summary) if index & 1 else (summary, other)
        summary = fold.merge(left, right)
        level, index = level + 1, index >> 1
    nodes[level, index] = summary


@np.errstate(invalid="ignore", over="ignore")
def join(parts: Iterable[Nodes], fold: Fold) -> Nodes:
    """Join the subtrees that several workers hold."""
    joined: Nodes = {}
    for part in parts:
        for node, summary in part.items():
            add_node(joined, node, summary, fold)
    return joined


@np.errstate(invalid="ignore", over="ignore")
def root(nodes: Nodes, fold: Fold) -> Summary:
    """Merge the subtrees that no sibling completes, from the first leaves to the last."""
    ordered: Sequence[Node] = sorted(nodes, key=lambda node: node[1] << node[0])
    summary = nodes[ordered[0]]
    for node in ordered[1:]:
        summary = fold.merge(summary, nodes[node])
    return summary
