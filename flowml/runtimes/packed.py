"""Many summaries as one value: what a task of a pass gives to the next."""

import pickle
from typing import NamedTuple

import numpy as np

from flowml.kernels.rows import Array
from flowml.runtimes.span import Spans
from flowml.runtimes.tree import Nodes

ALIGNMENT = 64
"""Bytes: each array starts at a multiple of it, so that none is misaligned."""


class Packed(NamedTuple):
    """Subtrees with the contents of all their arrays end to end.

    Hundreds of small arrays that travel one by one cost a worker several times as much.

    Attributes
    ----------
    head : bytes
        The pickle, without the arrays' contents.
    sizes : list of int
        Bytes of each array.
    data : ndarray of uint8
    spans : tuple of Span
        Who made them, and when.
    """

    head: bytes
    sizes: list[int]
    data: Array
    spans: Spans = ()


def pack(nodes: Nodes, spans: Spans = ()) -> Packed:
    """Make one value of subtrees."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(nodes, protocol=5, buffer_callback=buffers.append)
    contents = [buffer.raw() for buffer in buffers]
    padded = (part for raw in contents for part in (raw, bytes(-len(raw) % ALIGNMENT)))
    data = np.frombuffer(b"".join(padded), np.uint8)
    return Packed(head, [len(raw) for raw in contents], data, spans)


def unpack(packed: Packed) -> Nodes:
    """Return the subtrees in memory of their own, so that merges may write into them.

    A task that Dask runs again, after a worker was lost, must find its inputs as they were.
    """
    data, contents, start = packed.data.copy(), [], 0
    for size in packed.sizes:
        contents.append(data[start : start + size])
        start += size + -size % ALIGNMENT
    nodes: Nodes = pickle.loads(packed.head, buffers=contents)
    return nodes
