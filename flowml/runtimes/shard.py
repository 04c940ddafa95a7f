"""The shard: the leaves that sit together on one worker, and what a pass does with them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from flowml.data.assemble import join_blocks
from flowml.data.block_source import BlockSource, load
from flowml.kernels.fold import Ask, Fold, Memory
from flowml.kernels.mixed import Mixed
from flowml.kernels.rows import Block
from flowml.kernels.scratch import place_block, scratch_scope
from flowml.runtimes.blas import one_blas_thread
from flowml.runtimes.packed import Packed, pack
from flowml.runtimes.span import since
from flowml.runtimes.tree import Nodes, add_leaf

Leaves: TypeAlias = Sequence[tuple[int, Sequence[BlockSource]]]


@dataclass
class Leaf:
    """Consecutive blocks that a kernel summarises in one call, and the memory beside them.

    Parameters
    ----------
    number : int
        The leaf's place in the merge tree.
    sources : sequence of BlockSource
        The blocks themselves, or how to read them again every pass.
    """

    number: int
    sources: Sequence[BlockSource]
    memory: Memory = field(default_factory=dict)

    def rows(self) -> Sequence[Block]:
        """Return the rows as one block, read now if they aren't kept: valid until the next leaf's.

        One block, so that small ones cost no more than large ones.
        """
        blocks = []
        for place, source in enumerate(self.sources):
            place_block(place)
            blocks.append(load(source))
        return [join_blocks(blocks)]

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arrive in another process."""
        self.__dict__.update(state | {"sources": [align(source) for source in state["sources"]]})


@dataclass
class Shard:
    """The leaves of one worker (one for each of its threads): what is scheduled.

    Parameters
    ----------
    leaves : list of Leaf
        In ascending order of number.
    owned : bool
        Whether the shard's blocks are its own copy; if they only refer to a user's persisted
        chunks, these are counted there already.
    """

    leaves: list[Leaf]
    owned: bool = True

    def __sizeof__(self) -> int:
        """Count the blocks' bytes, so that the worker's memory monitor sees them once."""
        if not self.owned:
            return 64
        return 64 + sum(source_nbytes(source) for leaf in self.leaves for source in leaf.sources)


def source_nbytes(source: BlockSource) -> int:
    """Count the bytes that a resident block holds; a reader holds none."""
    if not isinstance(source, Block):
        return 0
    X = source.X
    parts = [X.data, X.indices, X.indptr] if hasattr(X, "indptr") else [X]
    parts += [part for part in (source.y, source.weight) if part is not None]
    return sum(int(part.nbytes) for part in parts)


def align(value: Any) -> Any:
    """Move arrays to aligned memory where they aren't: what came over a network may not be.

    NumPy hands such arrays to BLAS by another route, which ends in other last bits.
    """
    if isinstance(value, np.ndarray):
        return np.require(value, requirements="A")
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(align, value))
    if isinstance(value, Mixed):
        return Mixed(align(value.dense), align(value.codes), value.levels)
    return value


def make_shard(leaves: Leaves, owned: bool, keep: bool) -> Shard:
    """Gather a worker's leaves, loading their blocks once if they are to be kept."""
    made = []
    for number, sources in leaves:
        leaf = Leaf(number, [align(source) for source in sources])
        made.append(Leaf(number, [align(block) for block in leaf.rows()]) if keep else leaf)
        owned = owned or len(sources) > 1
    return Shard(made, owned)


@np.errstate(invalid="ignore", over="ignore")  # what isn't finite shows in the summary
def summarise_leaves(leaves: Sequence[Leaf], fold: Fold, ask: Ask) -> Nodes:
    """Summarise leaves in order, merging the subtrees that they complete."""
    nodes: Nodes = {}
    with scratch_scope():
        for leaf in leaves:
            add_leaf(nodes, leaf.number, fold(ask, leaf.rows(), leaf.memory), fold)
    return nodes


def summarise_shard(shard: Shard, fold: Fold, ask: Ask) -> Packed:
    """Run one pass over a shard: the task that travels to the workers."""
    started = time.time()
    with one_blas_thread():
        nodes = summarise_leaves(shard.leaves, fold, align(ask))
    return pack(nodes, (since(started),))
