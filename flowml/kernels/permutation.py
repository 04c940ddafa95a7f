"""A random order of the rows as a function of their positions: shuffling without moving a row."""

import numba
import numpy as np

from flowml.kernels.random_keys import uniform_at
from flowml.kernels.rows import Array

ROUNDS = 4
LEAST_HALF = 4
"""Bits: a network of fewer prefers some orders."""


def permuted(positions: Array, sizes: Array, seed: int) -> Array:
    """Return where positions go when the numbers below a size are put into random order.

    A Feistel network permutes the numbers of an even number of bits; a result that is too large
    goes through it again until it isn't. J. Black & P. Rogaway 2002, "Ciphers with arbitrary
    finite domains".

    Parameters
    ----------
    positions : ndarray of shape (n,)
        Each from 0 to its size, less one.
    sizes : ndarray of shape (n,)
        Positions of the same size share an order.
    seed : int

    Examples
    --------
    >>> sorted(permuted(np.arange(5), np.full(5, 5), 7).tolist())
    [0, 1, 2, 3, 4]
    """
    result = np.empty(len(positions), dtype=np.int64)
    _permute(positions.astype(np.int64), sizes.astype(np.int64), seed, result)
    return result


@numba.njit(nogil=True, cache=True)
def _permute(positions: Array, sizes: Array, seed: int, result: Array) -> None:
    for i in range(len(positions)):
        half = LEAST_HALF
        while (1 << (2 * half)) < sizes[i]:
            half += 1
        mask = (1 << half) - 1
        value = positions[i]
        while True:
            left, right = value >> half, value & mask
            for number in range(ROUNDS):
                key = np.int64(uniform_at(seed + number, right) * (mask + 1))
                left, right = right, left ^ key
            value = (left << half) | right
            if value < sizes[i]:
                break
        result[i] = value
