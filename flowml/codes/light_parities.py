"""Parities of few blocks each, such that peeling makes up for any s workers."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from flowml.kernels.rows import Array

TRIES = 100


def light_parities(
    owners: Array, n_workers: int, weight: int, s: int, seed: int
) -> tuple[Array, Array]:
    r"""Choose sums of `weight` blocks, each block in `s` of them, and a worker for each sum.

    Parameters
    ----------
    owners : ndarray of shape (n_blocks,)
        The worker that holds each block itself.
    n_workers, weight, s : int
    seed : int

    Returns
    -------
    parities : ndarray of shape (n_blocks, n_parities)
        Coefficients of 1 and -1 in columns of `weight` or one less.
    holders : ndarray of shape (n_parities,)
        The worker of each parity.

    Raises
    ------
    ValueError
        If none are found.

    Notes
    -----
    A parity's blocks and the parity itself are at different workers, and the s parities of a block
    have no worker in common but the block's own. So, of s lost workers, one takes the block, and
    the s - 1 others spoil a parity of it each at most: one is left, and peeling frees the block in
    one step. Of the draws that were tried, the one with the most even load is taken.

    Two parities have one block in common at most where that can be had, so the columns of
    :math:`(I | P)` have a coherence :math:`\max |\langle u, v \rangle| / \|u\| \|v\|` of
    :math:`1 / \sqrt w`, the least for a systematic code with parities of this weight: what a piece
    says of the gradient is as little as can be what another one has said.
    """
    n_parities = -(-len(owners) * s // weight)
    best, ideal = None, -(-(len(owners) + n_parities) // n_workers)
    for attempt in range(TRIES):
        strict = attempt < TRIES // 2
        if best is not None and (max(best.loads) == ideal or not strict):
            break
        drawing = Drawing(owners, n_workers, s, np.random.default_rng([seed, attempt]))
        if drawing.draw(n_parities, strict) and (
            best is None or max(drawing.loads) < max(best.loads)
        ):
            best = drawing
    if best is not None:
        return best.matrix(), np.array(best.holders)
    raise ValueError(
        f"no parities of {weight} blocks were found by which {n_workers} workers can spare any "
        f"{s}: use a smaller weight, more workers or another number of blocks"
    )


@dataclass(eq=False)
class Drawing:
    """One try at drawing parities, greedily.

    Parameters
    ----------
    owners : ndarray of shape (n_blocks,)
    n_workers, s : int
    random : Generator
    """

    owners: Array
    n_workers: int
    s: int
    random: np.random.Generator

    def __post_init__(self) -> None:
        n_blocks = len(self.owners)
        self.left = np.full(n_blocks, self.s)
        self.together: Array = np.eye(n_blocks, dtype=bool)
        self.touched: Array = np.zeros((n_blocks, self.n_workers), dtype=bool)
        self.loads = np.bincount(self.owners, minlength=self.n_workers)
        self.members: list[list[int]] = []
        self.holders: list[int] = []

    def draw(self, n_parities: int, strict: bool) -> bool:
        """Draw members and a holder for each parity; False if this comes to a dead end."""
        total = len(self.owners) * self.s
        ends = [number * total // n_parities for number in range(n_parities + 1)]
        for first, last in pairwise(ends):
            members = self._members(last - first, strict)
            if members is None or not self._host(members):
                return False
            self.members.append(members)
        return True

    def _members(self, size: int, strict: bool) -> list[int] | None:
        """Choose blocks of different workers: those that are in the fewest parities first."""
        members: list[int] = []
        while len(members) < size:
            free = self._free(members, strict)
            if not free.any():
                return None
            order = np.lexsort((self.random.random(len(free)), -self.left, ~free))
            members.append(int(order[0]))
        return members

    def _free(self, members: list[int], strict: bool) -> Array:
        """Tell which blocks may join others in a parity."""
        workers = self.owners[members]
        free = (self.left > 0) & ~np.isin(self.owners, workers)
        free &= ~self.touched[:, workers].any(axis=1)
        free &= ~self.touched[members][:, self.owners].any(axis=0)
        if strict:
            free &= ~self.together[members].any(axis=0)
        return np.asarray(free)

    def _host(self, members: list[int]) -> bool:
        """Give a parity to the worker with the least to do of those that may hold it."""
        workers = self.owners[members]
        free = np.logical_not(self.touched[members].any(axis=0))
        free[workers] = False
        if not free.any():
            return False
        order = np.lexsort((self.random.random(self.n_workers), self.loads, ~free))
        host = int(order[0])
        self.holders.append(host)
        self.loads[host] += 1
        self.left[members] -= 1
        self.together[np.ix_(members, members)] = True
        if self.s > 1:
            others = ~(self.owners[members][:, None] == np.arange(self.n_workers))
            near = np.isin(np.arange(self.n_workers), [*workers, host])
            self.touched[members] |= others & near
        return True

    def matrix(self) -> Array:
        """Return the parities as columns, with random signs."""
        matrix = np.zeros((len(self.owners), len(self.members)))
        for number, blocks in enumerate(self.members):
            matrix[blocks, number] = self.random.choice([-1.0, 1.0], len(blocks))
        return matrix
