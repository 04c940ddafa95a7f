"""Peeling: unknowns are freed one after the other, as soon as an equation holds only one."""

from dataclasses import dataclass, field

import numpy as np

from flowml.kernels.rows import Array


@dataclass(eq=False)
class Peeling:
    r"""Solves :math:`y_p = \sum_b G_{bp} x_b` as the :math:`y_p` come, by substitution alone.

    What it frees doesn't depend on the order in which pieces come. It is less than elimination
    could: pieces that all hold two unknowns or more free nothing.

    Parameters
    ----------
    generator : ndarray of shape (n_blocks, n_pieces)
        :math:`G`, with few coefficients other than zero in a column.

    Examples
    --------
    >>> import numpy as np
    >>> peeling = Peeling(np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]))
    >>> peeling.add(2, np.array([5.0]))
    []
    >>> peeling.add(0, np.array([2.0]))
    [0, 1]
    >>> peeling.known[1]
    array([3.])
    """

    generator: Array
    known: dict[int, Array] = field(default_factory=dict, init=False)
    """Blocks that are freed."""
    waiting: dict[int, Array] = field(default_factory=dict, init=False)
    """Pieces that hold several unknown blocks, less the known ones."""

    def __post_init__(self) -> None:
        self.unknown = [set(np.flatnonzero(column).tolist()) for column in self.generator.T]
        self.holding = [np.flatnonzero(row).tolist() for row in self.generator]

    def add(self, piece: int, value: Array) -> list[int]:
        """Take a piece, and return the blocks that it frees, in that order."""
        solved = {block for block in self.unknown[piece] if block in self.known}
        for block in sorted(solved):
            value = value - self.generator[block, piece] * self.known[block]
        self.unknown[piece] -= solved
        self.waiting[piece] = value
        return self._peel([piece])

    def _peel(self, pieces: list[int]) -> list[int]:
        """Free what can be freed, beginning with some pieces."""
        freed = []
        while pieces:
            piece = pieces.pop()
            if len(self.unknown[piece]) > 1 or piece not in self.waiting:
                continue
            value = self.waiting.pop(piece)
            if self.unknown[piece]:
                block = self.unknown[piece].pop()
                self.known[block] = value / self.generator[block, piece]
                freed.append(block)
                pieces.extend(self._substitute(block))
        return freed

    def _substitute(self, block: int) -> list[int]:
        """Take a known block out of the pieces that wait, and return those."""
        holding = [piece for piece in self.holding[block] if piece in self.waiting]
        for piece in holding:
            scaled = self.generator[block, piece] * self.known[block]
            self.waiting[piece] = self.waiting[piece] - scaled
            self.unknown[piece].remove(block)
        return holding
