"""The merge tree: the same additions for any split of the leaves."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flowml.kernels.fold import Fold
from flowml.kernels.gram import Gram
from flowml.runtimes.packed import pack, unpack
from flowml.runtimes.tree import add_leaf, join, root


def write_down(left: Any, right: Any) -> Any:
    """Merge into a term that shows which additions were made."""
    return (left, right)


TERM = Fold(write_down, write_down)


def term(n_leaves: int) -> Any:
    """Return the term that one worker with all leaves ends with."""
    nodes: dict[tuple[int, int], Any] = {}
    for leaf in range(n_leaves):
        add_leaf(nodes, leaf, leaf, TERM)
    return root(nodes, TERM)


def test_the_tree_of_five_leaves():
    assert term(5) == (((0, 1), (2, 3)), 4)


@given(
    n_leaves=st.integers(1, 70),
    n_workers=st.integers(1, 6),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_owner_of_any_leaf_and_any_order_of_arrival(n_leaves: int, n_workers: int, seed: int):
    rng = np.random.default_rng(seed)
    owner = rng.integers(n_workers, size=n_leaves)
    parts = []
    for worker in range(n_workers):
        nodes: dict[tuple[int, int], Any] = {}
        for leaf in np.flatnonzero(owner == worker).tolist():
            add_leaf(nodes, leaf, leaf, TERM)
        parts.append(nodes)
    arrived = [parts[number] for number in rng.permutation(n_workers)]
    assert root(join(arrived, TERM), TERM) == term(n_leaves)


def test_subtrees_are_unpacked_to_the_same_bits_in_memory_of_their_own():
    rng = np.random.default_rng(0)
    nodes = {
        (0, 5): Gram(3.0, 2.5, -0.0, rng.normal(size=3), rng.normal(size=(3, 3))),
        (2, 0): (
            np.arange(3, dtype=np.uint8),
            np.zeros((0, 2)),
            np.asfortranarray(np.eye(2)),
            None,
        ),
        (1, 2): {"cost": np.float32(1.5)},
    }
    packed = pack(nodes)
    first, second = unpack(packed), unpack(packed)
    assert repr(first) == repr(nodes)
    for array in (*first[0, 5][3:], *first[2, 0][:3]):
        assert array.flags.aligned
        array += 1
    assert repr(second) == repr(nodes)
    assert repr(unpack(packed)) == repr(nodes)
