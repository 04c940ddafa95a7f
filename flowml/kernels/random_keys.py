"""Random numbers that are functions of a seed and a row's position in the data."""

import numpy as np
from numba import njit

from flowml.kernels.rows import Array


@njit(cache=True, nogil=True)
def uniform_at(seed: int, position: int) -> float:
    """Return a number between 0 and 1, neither included.

    Splitmix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators").
    """
    mixed = np.uint64(seed) + np.uint64(position + 1) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    return (np.float64(mixed >> np.uint64(11)) + 0.5) / 9007199254740992.0


def uniforms(seed: int, start: int, n_rows: int) -> Array:
    """Return the numbers of consecutive positions."""
    numbers = np.empty(n_rows)
    _fill(seed, start, numbers)
    return numbers


@njit(cache=True, nogil=True)
def _fill(seed: int, start: int, numbers: Array) -> None:
    for i in range(len(numbers)):
        numbers[i] = uniform_at(seed, start + i)
