"""Where a block comes from: it is here already, a reader makes it, or Dask keys hold its arrays."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

from dask.task_spec import DataNode, Task, TaskRef

from flowml.data.assemble import Assemble
from flowml.kernels.rows import Block


class DaskKeys(NamedTuple):
    """The keys of the Dask chunks that make up one block, and how to put them together.

    Attributes
    ----------
    assemble : Assemble
        Runs where the chunks are.
    X, y, weight : Dask keys, or None
    """

    assemble: Assemble
    X: Any
    y: Any = None
    weight: Any = None


@dataclass(frozen=True)
class Reader(ABC):
    """Reads one block from files; picklable, and as text it names the place that it reads.

    Parameters
    ----------
    assemble : Assemble
    """

    assemble: Assemble

    @abstractmethod
    def __call__(self) -> Block:
        """Read the block.

        Raises
        ------
        ValueError
            If a file is damaged or changed, or holds something else than numbers.
        """


BlockSource: TypeAlias = Block | Reader | DaskKeys


def load(source: BlockSource) -> Block:
    """Return the block, reading it if it isn't here yet."""
    if isinstance(source, Block):
        return source
    if isinstance(source, DaskKeys):
        raise TypeError("the chunks of a Dask collection are loaded by the graph that holds them")
    return source()


def reassembled(source: BlockSource, **changes: Any) -> BlockSource:
    """Return a source that puts its block together in another way; a block that is here stays."""
    if isinstance(source, Block):
        return source
    assemble = replace(source.assemble, **changes)
    if isinstance(source, DaskKeys):
        return source._replace(assemble=assemble)
    return replace(source, assemble=assemble)


def as_argument(source: BlockSource) -> Any:
    """Return a source as an argument of a Dask task."""
    if isinstance(source, DaskKeys):
        chunks = [None if key is None else TaskRef(key) for key in source[1:]]
        return Task(None, source.assemble, *chunks)
    return DataNode(None, source)
