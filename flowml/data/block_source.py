"""Where a block comes from: it is here already, a reader makes it, or Dask keys hold its arrays."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from dask.task_spec import DataNode, Task, TaskRef

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


def as_argument(source: BlockSource) -> Any:
    """Return a source as an argument of a Dask task."""
    if isinstance(source, DaskKeys):
        chunks = [None if key is None else TaskRef(key) for key in source[1:]]
        return Task(None, source.assemble, *chunks)
    return DataNode(None, source)
