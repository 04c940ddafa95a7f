"""Where a block comes from: it is here already, a reader makes it, or Dask keys hold its arrays."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from flowml.kernels.rows import Block


class DaskKeys(NamedTuple):
    """The keys of the Dask chunks that make up one block, and how to put them together.

    Attributes
    ----------
    assemble : callable ``(X, y, weight) -> Block``
        Module-level or picklable; runs where the chunks are.
    X, y, weight : Dask keys, or None
    """

    assemble: Callable[[Any, Any, Any], Block]
    X: Any
    y: Any = None
    weight: Any = None


Reader: TypeAlias = Callable[[], Block]
"""Picklable: reads one block from a file."""

BlockSource: TypeAlias = Block | Reader | DaskKeys


def load(source: BlockSource) -> Block:
    """Return the block, reading it if it isn't here yet."""
    if isinstance(source, Block):
        return source
    if isinstance(source, DaskKeys):
        raise TypeError("the chunks of a Dask collection are loaded by the graph that holds them")
    return source()
